# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Work directories as runs leave them, made up in seconds: single ones, and a whole study."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from study.synthetic_world import ACCURACY, Question, World, questions_of

from ttc_jax.core.records import key_of
from ttc_jax.core.samples import SampleStore
from ttc_jax.search.names import parse

SMALL = {"path": "models/small", "kind": "base", "params": 100_000_000}
LARGE = {"path": "models/large", "kind": "base", "params": 1_400_000_000}
REVISION = SMALL | {"path": "runs/revision/model", "kind": "revision"}
RESTEM = SMALL | {"path": "runs/restem/model", "kind": "restem"}
PRM = {"path": "runs/prm/model", "kind": "prm", "params": 100_000_000}
ORM = PRM | {"path": "runs/orm/model", "kind": "orm"}
LIKELIHOOD = {"path": "likelihood", "kind": "likelihood", "params": 0}
HISTORY = PRM | {"path": "runs/orm_history/model", "kind": "orm_history"}

LARGE_ACCURACY = (0.95, 0.8, 0.55, 0.3, 0.1)
SHARPNESS = {"prm": 3.0, "orm": 1.6, "orm_history": 2.4, "likelihood": 1.0}
STARTED = "2026-01-01T00:00:00+00:00"


def write_run(
    path: Path,
    strategy: str = "best_of_n(N=16)",
    *,
    questions: int | Sequence[Question] = 40,
    accuracy: Sequence[float] = ACCURACY,
    policy: Mapping = SMALL,
    verifier: Mapping | None = PRM,
    sharpness: float | None = None,
    temperature: float = 0.8,
    decline: float = 0.0,
    seed: int = 0,
    answered: int | None = None,
) -> Path:
    """A finished search, or one that was killed after `answered` questions; returns its directory.

    `accuracy` is that of one sample in each bin, and `sharpness` how well the verifier tells right
    from wrong, by default as good as its kind.
    """
    asked = questions_of(questions) if isinstance(questions, int) else list(questions)
    plan = parse(strategy)
    world = World(
        accuracy=tuple(accuracy), decline=decline, greedy=temperature == 0,
        policy_params=policy["params"], seed=seed,
    )  # fmt: skip
    if verifier:
        kind = verifier["kind"]
        world = replace(
            world, sharpness=sharpness or SHARPNESS[kind], outcome=kind.startswith("orm"),
            history=kind == "orm_history", verifier_params=verifier["params"], judge=kind,
        )  # fmt: skip
    else:
        world = replace(world, sharpness=None)
    depends = {
        "job": "search",
        "seed": seed,
        "model.path": policy["path"],
        "data.name": "made_up",
        "data.limit": 0,
        "data.questions": key_of({q.id: [q.text, q.answer] for q in asked}),
        "sample.temperature": temperature,
        "search.strategy": str(plan),
        "scorer.path": verifier["path"] if verifier else "",
        "scorer.aggregate": "last",
    }
    path = Path(path)
    path.mkdir(parents=True)
    _write_config(path, depends)
    noted = [{"id": q.id, "level": q.level} for q in asked]
    _write(path / "questions.json", {"questions": noted})
    _write(path / "models.json", {"policy": dict(policy), "verifier": verifier and dict(verifier)})
    store = SampleStore(path / "samples")
    usage: Counter = Counter()
    for question in asked[:answered]:
        rows = world.tree(plan, question)
        for row in rows:
            usage.update(row.usage)
        store.append(rows)
    store.flush()
    _write_metrics(path, usage, policy["params"], verifier["params"] if verifier else 0)
    if answered is None:
        _write(path / "results.json", {"strategy": str(plan), "settings": depends})
    return path


def write_training(path: Path, kind: str = "prm", params: int = 100_000_000) -> Path:
    """A finished training job, which is there for its cost."""
    depends = {"job": "train", "seed": 0, "train.kind": kind, "data.questions": "0" * 16}
    path = Path(path)
    path.mkdir(parents=True)
    _write_config(path, depends)
    useful = 6 * params * 10_000
    counts = {"tokens": 10_000, "flops": useful, "executed_flops": 2 * useful, "seconds": 6.0}
    lines = [{"start": 1 + step // 6, "step": step} | counts for step in range(1, 11)]
    _write_lines(path, [*lines, {"start": 2, "step": 10, "held_out/loss": 0.5}])
    return path


def write_study(path: Path, n_questions: int = 40) -> Path:
    """All runs that the figures of the paper are drawn from, up to a budget of 64."""
    questions = questions_of(n_questions)
    path = Path(path)

    def run(name: str, strategy: str, **settings) -> None:
        write_run(path / name, strategy, questions=questions, **settings)

    run("best_of_n", "best_of_n(N=64)")
    run("best_of_n_orm", "best_of_n(N=64)", verifier=ORM)
    for n in (4, 16, 64):
        run(f"beam_4_{n}", f"beam(N={n},M=4)")
        if n != 16:  # where 4 is the root
            run(f"beam_sqrt_{n}", f"beam(N={n})")
        run(f"lookahead_1_{n}", f"lookahead(N={n // 2},k=1)")
        run(f"lookahead_3_{n}", f"lookahead(N={n // 4},k=3)")
    for n in (4, 16):
        run(f"beam_4_{n}_likelihood", f"beam(N={n},M=4)", verifier=LIKELIHOOD)
    run("greedy", "best_of_n(N=1)", verifier=None, temperature=0.0)
    run("dvts_16", "dvts(N=16,M=4)")
    run("rebase_16", "rebase(N=16)")
    run("revise", "revise(s=16,p=16)", policy=REVISION, verifier=HISTORY)
    run("revise_prm", "revise(s=16,p=16)", policy=REVISION)
    run("revise_orm", "revise(s=16,p=16)", policy=REVISION, verifier=ORM)
    run("restem", "revise(s=16,p=16)", policy=RESTEM, verifier=HISTORY, decline=0.05)
    large = {"policy": LARGE, "accuracy": LARGE_ACCURACY}
    run("large_greedy", "best_of_n(N=1)", verifier=None, temperature=0.0, **large)
    run("large", "best_of_n(N=16)", **large)
    write_training(path / "train_prm")
    return path


def _write_config(path: Path, depends: Mapping) -> None:
    config: dict = {"grade": {"workers": 1, "limit_s": 5.0, "last_number": False}}
    for key, value in depends.items():
        group, _, name = key.rpartition(".")
        (config.setdefault(group, {}) if group else config)[name] = value
    start = {
        "started": STARTED,
        "command": ["ttc", "run", "--config=configs/made_up.py", f"--workdir={path.name}"],
        "overrides": {},
        "device": "1 x cpu",
        "host": "Linux x86_64, 2 cores",
        "git_commit": None,
        "versions": {"python": "3.11", "ttc_jax": "0.1.0"},
    }
    record = {"key": key_of(depends), "samples_depend_on": dict(depends), "config": config}
    _write(path / "config.json", record | {"runs": [start]})


def _write_metrics(path: Path, usage: Counter, policy: int, verifier: int) -> None:
    """Two starts of equal length, each with a line on the way; a fifth of what runs is padding."""
    ledger = {}
    for phase, tokens in usage.items():
        useful = tokens * (verifier if phase.startswith("verif") else policy)  # 2 FLOPs, 2 starts
        ledger[phase] = {"useful": useful, "executed": useful * 5 // 4, "bytes": 2 * useful}
    lines = []
    for start in (1, 2):
        whole = {"seconds": 30.0, "new_tokens": (usage["decode"] + usage["lookahead"]) // 2}
        lines.append({"start": start, "seconds": 10.0, "new_tokens": 1, "ledger": {}})
        lines.append({"start": start, **whole, "ledger": ledger})
    _write_lines(path, lines)


def _write_lines(path: Path, lines: Sequence[Mapping]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (path / "metrics.jsonl").write_text(text, encoding="utf-8")


def _write(file: Path, value: Mapping) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
