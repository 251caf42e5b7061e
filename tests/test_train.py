# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""From nothing to a revision model and its verifier, each by its own command, on one-digit sums."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ttc_jax.__main__ import main
from ttc_jax.core.metrics import read_metrics
from ttc_jax.learn.labels import read_labels
from ttc_jax.learn.trajectory_file import read_trajectories

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "train_smollm2.py"
# The config of the repository, with a model of two layers and prompts without examples.
SMALL = """

full_config = get_config


def get_config(arg=None):
    config = full_config(arg).copy_and_resolve_references()
    with config.unlocked():
        config.prompt.examples = ()
        config.data.name = "jsonl"
        config.data.limit = 0
        config.sample.max_new = 40
        config.sample.temperature = 1.0
        config.search.max_step = 24
        config.engine.rows = 32
        config.engine.segment = 32
        config.report.resamples = 100
        config.labels.update({"samples": 6, "rollouts": 4, "rounds": 6})
        config.train.evaluate_every = 10
        config.train.held_out = 0.25
        config.train.best_of = 4
    return config.lock()
"""


def small_tokenizer(directory: Path) -> Path:
    """A byte-level tokenizer.json of 258 tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|start|>", "<|end|>"])
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {"bos_token": "<|start|>", "eos_token": "<|end|>"}
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A folder with a config, a tokenizer and 36 sums with solutions."""
    path = tmp_path_factory.mktemp("training")
    (path / "small.py").write_text(CONFIG.read_text() + SMALL)
    (path / "tokenizer").mkdir()
    small_tokenizer(path / "tokenizer")
    sums = [(a, b) for a in range(1, 7) for b in range(1, 7)]
    lines = [
        {
            "id": f"{a}+{b}",
            "question": f"{a}+{b}?",
            "answer": str(a + b),
            "solution": f"{a} and {b}.\nThe answer is {a + b}.",
        }
        for a, b in sums
    ]
    (path / "sums.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return path


def command(room: Path, variant: str, name: str, *extra: str) -> list[str]:
    return [
        "ttc",
        "run",
        f"--config={room / 'small.py'}:{variant}",
        f"--workdir={room / name}",
        f"--config.data.dir={room / 'sums.jsonl'}",
        f"--config.cache_dir={room / 'cache'}",
        *extra,
    ]


def ran(room: Path, variant: str, name: str, *extra: str) -> Path:
    """The work directory of a command that went well."""
    assert main(command(room, variant, name, *extra)) == 0
    return room / name


def results(workdir: Path) -> dict:
    return json.loads((workdir / "results.json").read_text())


SIZES = {
    "layers": 2, "width": 48, "heads": 4, "kv_heads": 2, "head_dim": 12, "ffn": 96, "context": 256,
}  # fmt: skip


def quick(steps: int, rate: float, *extra: str) -> list[str]:
    return [
        f"--config.train.steps={steps}", f"--config.train.rate={rate}",
        "--config.train.patience=0", "--config.train.batch=24", *extra,
    ]  # fmt: skip


def from_scratch(room: Path) -> list[str]:
    sizes = [f"--config.train.scratch.{name}={size}" for name, size in SIZES.items()]
    return quick(150, 4e-3, f"--config.model.path={room / 'tokenizer'}", *sizes)


@pytest.fixture(scope="module")
def policy(room) -> Path:
    """A policy that has learned to add a little."""
    return ran(room, "sft", "sft", *from_scratch(room)) / "model"


@pytest.fixture(scope="module")
def labels(room, policy) -> Path:
    return ran(room, "labels", "labels", f"--config.model.path={policy}")


@pytest.fixture(scope="module")
def samples(room, policy) -> Path:
    """Sixteen samples of each sum."""
    return ran(
        room, "samples", "samples", f"--config.model.path={policy}",
        "--config.search.strategy=best_of_n(N=16)", "--config.report.ks=1,",
    )  # fmt: skip


@pytest.fixture(scope="module")
def revision(room, policy, samples) -> Path:
    return ran(
        room, "revision", "revision", f"--config.model.path={policy}",
        f"--config.train.source={samples}", "--config.train.select=revise(s=2,p=2)",
        *quick(30, 1e-3),
    )  # fmt: skip


@pytest.fixture(scope="module")
def chains(room, revision) -> Path:
    return ran(
        room, "chains", "chains", f"--config.model.path={revision / 'model'}",
        "--config.search.strategy=revise(s=3,p=2)",
    )  # fmt: skip


def test_a_policy_from_scratch_learns_from_solutions(policy):
    found = results(policy.parent)
    first, last = found["evaluations"][0], found["evaluations"][-1]
    assert found["step"] == 150 and last["loss"] < 0.6 < 4 < first["loss"]
    assert found["data"]["held_out_questions"] == 9 and found["data"]["examples"] == 36
    spent = found["flops"]["training"]
    lines = [line for line in read_metrics(policy.parent / "metrics.jsonl") if "flops" in line]
    assert 0 < spent["useful"] <= spent["executed"]
    assert spent["useful"] == sum(line["flops"] for line in lines)
    model = transformers.AutoModelForCausalLM.from_pretrained(policy)
    assert model.config.num_hidden_layers == 2
    card = (policy / "README.md").read_text()
    assert "ttc run" in card and "| rate | 0.004 |" in card and "Question: {question}" in card


def test_labels_and_what_was_dropped(labels):
    solutions, made = read_labels(labels / "labels.parquet")
    counts = results(labels)["counts"]
    assert counts["samples"] == 36 * 6 == counts["kept"] + sum(counts["dropped"].values())
    assert sum(s.count for s in solutions) == counts["kept"]
    assert made["made_with"]["search.strategy"] == "monte_carlo(samples=6,rollouts=4,rounds=6)"
    assert any(s.correct for s in solutions) and not all(s.correct for s in solutions)
    values = [v for s in solutions for v in s.values[:-1] if v is not None]
    assert values and set(values) <= {0, 0.25, 0.5, 0.75, 1}


def test_a_process_verifier_learns_and_searches(room, policy, labels):
    workdir = ran(
        room, "prm", "prm", f"--config.model.path={policy}", f"--config.train.source={labels}",
        *quick(60, 2e-3),
    )  # fmt: skip
    found = results(workdir)
    first, best = found["evaluations"][0], found["held_out"]
    assert first["bce"] == pytest.approx(np.log(2), abs=1e-5)  # a head of zeros
    assert best["loss"] < first["loss"] and best["step"] == found["chosen"] > 0
    assert {"ece", "auc", "best@4", "weighted@4", "majority@4"} <= best.keys()
    assert sum(b["n"] for b in found["reliability"]) > 0
    lines = [line for line in read_metrics(workdir / "metrics.jsonl") if "loss" in line]
    assert [line["step"] for line in lines] == list(range(1, 61))
    assert lines[-1]["tokens_in_all"] == sum(line["tokens"] for line in lines)
    spent = found["flops"]["training"]
    assert spent["useful"] == sum(line["flops"] for line in lines) < spent["executed"]
    opened = transformers.AutoModelForTokenClassification.from_pretrained(workdir / "model")
    assert opened.config.num_labels == 1
    beam = ran(
        room, "samples", "beam", f"--config.model.path={policy}", "--config.data.limit=4",
        f"--config.scorer.path={workdir / 'model'}", "--config.search.strategy=beam(N=4,M=2)",
    )  # fmt: skip
    assert "weighted@4" in results(beam)["figures"]["all"]


def test_an_outcome_verifier_learns_from_the_same_labels(room, policy, labels):
    workdir = ran(
        room, "orm", "orm", f"--config.model.path={policy}", f"--config.train.source={labels}",
        *quick(10, 1e-3),
    )  # fmt: skip
    found = results(workdir)
    assert found["held_out"]["entropy"] == 0
    assert "outcome" in (workdir / "model" / "README.md").read_text()


def test_a_reviser_is_chosen_by_its_chains(revision, samples):
    found = results(revision)
    assert {int(step) for step in found["selection"]} == {
        e["step"] for e in found["evaluations"] if e["step"] >= _best(found)
    }
    means = {int(step): shares[1] for step, shares in found["selection"].items()}
    assert means[found["chosen"]] == max(means.values())
    trajectories, made = read_trajectories(revision / "trajectories.parquet")
    assert found["data"]["trajectories"] == len(trajectories) > 0
    assert made["samples"]["search.strategy"] == "best_of_n(N=16)"
    assert {len(t.attempts) for t in trajectories} == {0, 1, 2, 3, 4}


def _best(found: dict) -> int:
    return min(found["evaluations"], key=lambda e: (e["loss"], e["step"]))["step"]


def test_a_verifier_of_revisions_reads_the_attempts_before(room, revision, chains):
    base = f"--config.model.path={revision / 'model'}"
    workdir = ran(
        room, "revision_orm", "revision_orm", base, f"--config.train.source={chains}",
        *quick(10, 1e-3),
    )  # fmt: skip
    trajectories, _ = read_trajectories(workdir / "trajectories.parquet")
    assert {len(t.attempts) for t in trajectories} == {0, 1, 2}
    scored = ran(
        room, "chains", "scored", base, "--config.data.limit=4",
        "--config.search.strategy=revise(s=3,p=2)", f"--config.scorer.path={workdir / 'model'}",
        "--config.scorer.format=outcome_history",
    )  # fmt: skip
    assert "hierarchical@6" in results(scored)["figures"]["all"]
    models = json.loads((scored / "models.json").read_text())
    assert (models["policy"]["kind"], models["verifier"]["kind"]) == ("revision", "orm_history")


def test_restem_learns_from_chains_that_end_right(room, policy):
    base = f"--config.model.path={policy}"
    chains = ran(room, "chains", "own", base, "--config.search.strategy=revise(s=2,p=8)")
    workdir = ran(
        room, "restem", "restem", base, f"--config.train.source={chains}",
        "--config.train.select=", *quick(10, 1e-3),
    )  # fmt: skip
    trajectories, _ = read_trajectories(workdir / "trajectories.parquet")
    by_length = [len(t.attempts) for t in trajectories]
    assert len({by_length.count(n) for n in set(by_length)}) == 1


def test_adapters_alone_are_trained(room, policy, labels):
    workdir = ran(
        room, "prm,lora", "lora", f"--config.model.path={policy}", "--config.train.lora.rank=2",
        f"--config.train.source={labels}", *quick(10, 5e-3),
    )  # fmt: skip
    found = results(workdir)
    assert found["held_out"]["loss"] < found["evaluations"][0]["loss"]
    assert "lora" in (workdir / "model" / "README.md").read_text()


# Kills itself at the 25th line of metrics, between two checkpoints.
KILLED = """
import os, signal, sys
from ttc_jax.core import metrics
from ttc_jax.__main__ import main

append, lines = metrics.Metrics.append, []

def killing(self, values):
    append(self, values)
    lines.append(values)
    if len(lines) == 25:
        os.kill(os.getpid(), signal.SIGKILL)

metrics.Metrics.append = killing
sys.exit(main(sys.argv))
"""


def test_kill_then_the_same_command(room, policy, labels):
    flags = [
        f"--config.model.path={policy}", f"--config.train.source={labels}", *quick(30, 1e-3),
    ]  # fmt: skip
    whole = ran(room, "prm", "whole", *flags)
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "8"}
    argv = command(room, "prm", "killed", *flags)[1:]
    died = subprocess.run(
        [sys.executable, "-c", KILLED, *argv], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    again = ran(room, "prm", "killed", *flags)
    assert results(again)["evaluations"] == results(whole)["evaluations"]
    one, other = (path / "model" / "model.safetensors" for path in (whole, again))
    assert one.read_bytes() == other.read_bytes()


def fails(argv: list[str], capsys) -> str:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    return error


@pytest.mark.parametrize(
    "variant, flags, words",
    [
        ("prm", [], "train.source is empty"),
        ("prm", ["--config.train.source=nowhere"], "no labels.parquet"),
        ("revision", ["--config.train.source=nowhere"], "no samples"),
        ("sft", ["--config.train.rate=0.0"], "learning rate of 0.0"),
        ("sft", ["--config.train.steps=0"], "steps is 0"),
        ("sft", ["--config.train.held_out=1.5"], "train.held_out is 1.5"),
        ("sft", ["--config.train.dropout=1.0"], "dropout rate of 1.0"),
        ("sft", ["--config.train.schedule=steps"], "schedule 'steps'"),
        ("sft", ["--config.train.select=beam(N=4)"], "train.select is 'beam(N=4)'"),
        ("sft", ["--config.train.kind=rl"], "train.kind is 'rl'"),
        ("labels", ["--config.labels.samples=0"], "samples=0"),
        ("labels", ["--config.job=play"], "job is 'play'"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_made(room, capsys, variant, flags, words):
    assert words in fails(command(room, variant, "refused", *flags), capsys)
    assert not (room / "refused").exists()


def test_no_correct_sample_for_any_question(room, policy, labels, capsys):
    import pyarrow.parquet as pq

    wrong = room / "wrong"
    wrong.mkdir()
    for name in ("config.json", "results.json"):
        (wrong / name).write_bytes((labels / name).read_bytes())
    table = pq.read_table(labels / "labels.parquet")
    pq.write_table(table.filter(~np.asarray(table["correct"])), wrong / "labels.parquet")
    argv = command(
        room, "prm", "hopeless", f"--config.model.path={policy}", f"--config.train.source={wrong}"
    )
    assert "is right" in fails(argv, capsys)


def test_labels_outside_0_and_1(room, policy, labels, capsys):
    from dataclasses import replace

    from ttc_jax.learn.labels import write_labels

    bad = room / "bad"
    bad.mkdir()
    for name in ("config.json", "results.json"):
        (bad / name).write_bytes((labels / name).read_bytes())
    solutions, made = read_labels(labels / "labels.parquet")
    first = replace(solutions[0], values=(*solutions[0].values[:-1], 1.5))
    write_labels(bad / "labels.parquet", [first, *solutions[1:]], made)
    argv = command(
        room, "prm", "outside", f"--config.model.path={policy}", f"--config.train.source={bad}"
    )
    assert "1.5" in fails(argv, capsys)


def test_other_settings_do_not_continue_a_work_directory(room, policy, capsys):
    argv = command(room, "sft", "sft", *from_scratch(room), "--config.train.dropout=0.5")
    assert "train.dropout was 0.0, now 0.5" in fails(argv, capsys)
