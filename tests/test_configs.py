# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Experiments at full scale: what they run, what they refuse, and tiny runs of all their stages."""

import importlib.util
import json
import re
from pathlib import Path

import jax
import pytest

from ttc_jax.__main__ import main
from ttc_jax.model.random_models import random_checkpoint
from ttc_jax.run import pipeline, stage, sweep
from ttc_jax.search.names import parse

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
PIPELINES = ("math_gemma2", "math_scratch_labels")
SWEEPS = ("math_qwen_prm", "math_llama_rlhflow")
# What each variant lacks to run, by the setting of the command line.
LACKING = {
    "math_gemma2": {"model", "larger"},
    "math_gemma2:sft,restem": {"model", "larger"},
    "math_scratch_labels": {"model"},
    "math_scratch_labels:chat,revisions": {"model"},
    "math_qwen_prm": {"model", "scorer"},
    "math_qwen_prm:7b": {"model", "scorer"},
    "math_llama_rlhflow": {"model", "scorer"},
    "math_llama_rlhflow:3b,lookahead": {"model", "scorer"},
}


def config_of(name: str):
    name, _, variant = name.partition(":")
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant or None)


def command(name: str, tmp_path: Path, *extra: str) -> list[str]:
    name, _, variant = name.partition(":")
    file = f"{CONFIGS / name}.py" + (f":{variant}" if variant else "")
    cache = f"--config.cache_dir={tmp_path / 'cache'}"
    return ["ttc", "run", f"--config={file}", f"--workdir={tmp_path / 'run'}", cache, *extra]


@pytest.mark.parametrize("name", LACKING)
def test_without_weights_they_are_refused_with_every_flag_that_is_missing(name, tmp_path, capsys):
    assert main(command(name, tmp_path, f"--config.data.dir={tmp_path}")) == 2
    error = capsys.readouterr().err
    assert set(re.findall(r"--config\.(\w+)\.path=DIR", error)) == LACKING[name]
    assert "Hugging Face directory" in error and "Traceback" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", LACKING)
def test_every_setting_passes_its_check(name, tmp_path):
    """Only weights are missing: no search, format or length is found wrong once they are there."""
    config = config_of(name)
    if config.job == "pipeline":
        stages = pipeline.check(config, tmp_path)
        assert tuple(stages) == tuple(config.order)
        assert {own.data.name for own in stages.values()} == {"math"}
    else:
        stage.check(config)


@pytest.mark.parametrize("group", ["model", "larger"])
def test_a_directory_that_is_not_there_is_told_before_the_first_stage(group, tmp_path, capsys):
    paths = dict.fromkeys(("model", "larger"), random_checkpoint("Qwen/Qwen3-0.6B", tmp_path))
    paths[group] = tmp_path / "nothing"
    flags = [f"--config.{name}.path={path}" for name, path in paths.items()]
    assert main(command("math_gemma2", tmp_path, *flags)) == 2
    assert f"{group}.path = '{tmp_path / 'nothing'}': there is no such" in capsys.readouterr().err


def test_presets_are_known_and_paths_not_empty(tmp_path, capsys):
    assert main(command("math_gemma2", tmp_path, "--config.model.path=preset:google/gemma-2b")) == 2
    assert "no preset 'google/gemma-2b'; there is google/gemma-2" in capsys.readouterr().err
    assert main(command("smollm2", tmp_path, "--config.model.path=")) == 2
    error = capsys.readouterr().err
    assert "model.path is ''; pass --config.model.path=DIR" in error and "preset" not in error


def test_stages_that_need_no_larger_model_run_without_one(tmp_path, capsys):
    assert main(command("math_gemma2", tmp_path, "--config.order=labels,prm")) == 2
    error = capsys.readouterr().err
    assert "--config.model.path=DIR" in error and "larger" not in error


def test_the_paper_s_budgets_are_covered():
    """Table 1's ratios up to 256, best-of-N up to 2,048, figure 3's searches at equal budgets."""
    config = config_of("math_gemma2")
    runs = sweep.check(config.stages.test)
    found = [parse(own.search.strategy) for own in runs.values()]
    chains = {(s.s, s.p) for s in found if s.name == "revise"}
    for n in range(9):
        # Exponents of s with s p = 2^n: each ratio of table 1, which goes by fours at 256.
        for i in range(0, n + 1, 2 if n == 8 else 1):
            assert any(s >= 2**i and p >= 2 ** (n - i) for s, p in chains), (2**i, 2 ** (n - i))
    assert max(s.generations for s in found if s.name == "best_of_n") == 2048
    budgets = {4, 16, 64, 256}
    assert {s.generations for s in found if s.name == "beam" and s.M == 4} == budgets
    assert {s.generations for s in found if s.name == "beam" and s.M**2 == s.N} == budgets
    ahead = {(s.k, s.generations) for s in found if s.name == "lookahead"}
    assert ahead == {(k, n) for k in (1, 3) for n in (16, 64, 256)}
    labels, train = config.stages.labels.labels, config.stages.prm.train
    assert (labels.samples, labels.rollouts, labels.rounds) == (16, 16, 40)
    assert (train.rate, train.batch, train.dropout, train.betas) == (3e-5, 128, 0.05, (0.9, 0.95))
    assert train.hard < 0  # soft labels
    revision = config.stages.revision.train
    assert (revision.rate, revision.dropout, revision.attempts) == (1e-5, 0.0, 4)


def test_examples_state_the_answers_that_are_graded():
    from ttc_jax.data.prompts import split_steps
    from ttc_jax.run.protocol import EXAMPLES
    from ttc_jax.verify.answers import extract

    assert [extract(text) for _, text in EXAMPLES] == ["400", "5", "\\frac{1}{4}", "48"]
    for _, text in EXAMPLES:
        steps = [step.text for step in split_steps(text, "\n")]
        assert len(steps) > 3 and steps[-1] == f"#### {extract(text)}"


def test_a_pipeline_s_own_settings_are_its_stages_until_they_have_their_own():
    config = config_of("math_gemma2").unlock()
    config.sample.max_new, config.stages.test.sample.max_new = 100, 50
    config.model.path = "other"
    found = {name: own.sample.max_new for name, own in config.stages.items()}
    assert found.pop("test") == 50 and set(found.values()) == {100}
    assert config.stages.labels.model.path == "other"
    assert config.stages.larger.model.path == config.larger.path


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A cache for all tiny runs, whose programs are compiled without optimising them.

    Compiling is most of what such a run takes.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield tmp_path_factory.mktemp("cache")
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.parametrize("name", (*SWEEPS, *PIPELINES))
def test_tiny_runs_to_its_end(name, tmp_path, quick):
    """`ttc run --config=configs/NAME.py:tiny --workdir=DIR`, without a download or a checkpoint."""
    assert main([*command(f"{name}:tiny", tmp_path), f"--config.cache_dir={quick}"]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    config, whole = config_of(f"{name}:tiny"), config_of(name)
    if config.job == "pipeline":
        assert list(results["stages"]) == list(whole.order)
    else:
        assert len(results["runs"]) == len(config.sweep.strategies) + len(config.sweep.runs)
    if name != "math_scratch_labels":  # which searches training questions alone
        told = json.loads((tmp_path / "run" / "report" / "results.json").read_text())
        assert len(told["claims"]) == 10
