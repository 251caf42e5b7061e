# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The main job on the models that come with the package: what it runs, and a tiny run of it."""

import importlib.util
import json
from pathlib import Path

import pytest

from ttc_jax.__main__ import main
from ttc_jax.model.load import checkpoint_directory, read_shape

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "quickstart.py"
SHIPPED = ("base", "medium", "large", "prm", "orm", "revision", "revision_orm")


@pytest.fixture(scope="module")
def get_config():
    spec = importlib.util.spec_from_file_location("quickstart", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config


def paths(config) -> set[str]:
    """The checkpoints that the stages of a config read, but for the tokenizer alone."""
    found = set()
    for name in config.order:
        own = config.stages[name]
        found |= {own.model.path, own.scorer.path}
        for _, change in own.sweep.runs:
            found |= {value for key, value in change.items() if key.endswith(".path")}
    return found - {"", "likelihood", "builtin:subset_sums"}


def test_what_the_default_reads_is_in_the_package(get_config):
    wanted = {f"builtin:subset_sums_{name}" for name in SHIPPED}
    assert paths(get_config()) == wanted
    for path in wanted:
        directory = checkpoint_directory(path)
        assert read_shape(directory).vocab == 130
        assert sum(file.stat().st_size for file in directory.iterdir()) < 2.5e6


def test_from_scratch_everything_is_trained_before_it_is_read(get_config):
    config = get_config("scratch")
    assert paths(config) == {f"{{workdir}}/{name}/model" for name in (*SHIPPED, "prm_short")}
    assert set(SHIPPED) < set(config.order)
    # The test and its settings are the same for both.
    assert config.stages.test.data.to_dict() == get_config().stages.test.data.to_dict()


def test_without_larger_policies(get_config):
    config = get_config("scratch,small")
    assert not {"medium", "large"} & set(config.order)
    assert not any("medium" in path or "large" in path for path in paths(config))


@pytest.mark.parametrize("variant, there, gone", [
    ("search", "beam", "revise"), ("revisions", "revise", "beam"),
])  # fmt: skip
def test_each_mechanism_alone(get_config, variant, there, gone):
    strategies = [strategy for strategy, _ in get_config(variant).stages.test.sweep.runs]
    assert any(s.startswith(there) for s in strategies)
    assert not any(s.startswith(gone) for s in strategies)


def test_unknown_variants_are_named(get_config):
    with pytest.raises(ValueError, match="unknown variant 'huge'; there are scratch, small, tiny"):
        get_config("tiny,huge")


def test_tiny_runs_to_its_report(tmp_path):
    """`ttc run --config=configs/quickstart.py:tiny --workdir=DIR` with two of its searches."""
    workdir = tmp_path / "run"
    flags = [
        f"--config={CONFIG}:tiny",
        f"--workdir={workdir}",
        f"--config.cache_dir={tmp_path / 'cache'}",
        "--config.stages.test.sweep.runs=()",
        "--config.stages.test.sweep.strategies=('best_of_n(N=8)','beam(N=4,M=4)')",
        "--config.stages.test.scorer.path=builtin:subset_sums_prm",
    ]
    assert main(["ttc", "run", *flags]) == 0
    results = json.loads((workdir / "results.json").read_text())
    assert list(results["stages"]) == ["samples", "probe", "test"]
    told = json.loads((workdir / "report" / "results.json").read_text())
    assert len(told["claims"]) == 10
    assert (workdir / "report" / "index.html").exists()
