# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""`ttc solve` with policies written by hand, against ordinary runs over the same question."""

import io
import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from tiny_checkpoint import write_checkpoint, write_short_config

from ttc_jax.__main__ import main
from ttc_jax.core.records import key_of
from ttc_jax.core.samples import SampleStore, candidates
from ttc_jax.data.sources import Question
from ttc_jax.run.models import Models
from ttc_jax.search.features import features
from ttc_jax.study import policy_file
from ttc_jax.study.difficulty import Shrinkage
from ttc_jax.study.fitted import Considered, Entry, FittedPolicy
from ttc_jax.study.probe import Probe

QUESTION = "Tom has 3 apples and buys 4. How many has he now?"
SHRINKAGE = Shrinkage(mean=0.5, between=0.04, within=0.01)
RULES = {
    "best_of_n(N=2)": "majority",
    "best_of_n(N=6)": "weighted",
    "revise(s=3,p=2)": "hierarchical",
}
BINS = (("best_of_n(N=2)", "best_of_n(N=6)"), ("best_of_n(N=2)", "revise(s=3,p=2)"))


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A folder with a model, a config, and a file of one question, named as `solve` names it."""
    path = tmp_path_factory.mktemp("solve")
    write_checkpoint(path / "small", writes_numbers=True)
    write_short_config(path / "short.py")
    line = {"id": f"solve/{key_of({'question': QUESTION})}", "question": QUESTION, "answer": "7"}
    (path / "question.jsonl").write_text(json.dumps(line))
    return path


def ran(room: Path, name: str, n: int, *extra: str) -> Path:
    """The work directory of best-of-n over the question, n rows wide as `solve` makes it."""
    argv = [
        "ttc", "run", f"--config={room / 'short.py'}:tiny", f"--workdir={room / name}",
        f"--config.model.path={room / 'small'}", f"--config.cache_dir={room / 'cache'}",
        "--config.data.name=jsonl", f"--config.data.dir={room / 'question.jsonl'}",
        "--config.sample.max_new=12", "--config.sample.temperature=1.0",
        "--config.search.max_step=8", "--config.grade.last_number=True",
        f"--config.scorer.path={room / 'small'}",
        "--config.scorer.untrained=True", f"--config.search.strategy=best_of_n(N={n})",
        f"--config.engine.rows={n}", f"--config.report.ks={n},", *extra,
    ]  # fmt: skip
    assert main(argv) == 0
    return room / name


@pytest.fixture(scope="module")
def wide(room) -> Path:
    return ran(room, "wide", 6)


@pytest.fixture(scope="module")
def ease(room) -> float:
    """What the estimate must come to: two samples, not those that are chosen from."""
    run = ran(room, "apart", 2, "--config.seed=1")
    values = [row.value for row in candidates(SampleStore(run / "samples").read())]
    noise = 0.01 / 2
    return 0.5 + 0.04 / (0.04 + noise) * (sum(values) / 2 - 0.5)


@pytest.fixture(scope="module")
def policy(room, wide) -> FittedPolicy:
    """Two bins, and two budgets in generations."""
    table = tuple(
        Entry(number, budget, strategy, RULES[strategy], "wide", 0.5, 0.4, 0.6, 10, 1e6, budget,
              1.0, (Considered(strategy, RULES[strategy], 0.5),))
        for number, strategies in enumerate(BINS)
        for budget, strategy in zip((2.0, 6.0), strategies, strict=True)
    )  # fmt: skip
    config = json.loads((wide / "config.json").read_text())["config"]
    estimator = {"name": "few", "samples": 2} | asdict(SHRINKAGE)
    return FittedPolicy("generations", estimator, (0.5,), table, {"wide": config}, {})


def solved(policy: FittedPolicy, path: Path, capsys, *args: str) -> dict:
    """What `ttc solve --json` prints."""
    policy_file.write(policy, path / "policy.json")
    capsys.readouterr()
    argv = ["ttc", "solve", f"--policy={path / 'policy.json'}", "--json", QUESTION]
    assert main([*argv, *args]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_easy_question_is_answered_as_a_run_would(policy, wide, ease, tmp_path, capsys):
    found = solved(replace(policy, edges=(ease - 0.01,)), tmp_path, capsys, "--budget=7")
    assert found["ease"] == pytest.approx(ease, abs=1e-5) and (found["bin"], found["bins"]) == (
        1,
        2,
    )
    assert (found["strategy"], found["rule"]) == ("best_of_n(N=6)", "weighted")
    assert found["budget"] == {"given": 7, "unit": "generations", "left": 1, "charged": False}
    rows = SampleStore(wide / "samples").read()
    sums: dict[str, float] = {}
    for row in candidates(rows):
        sums[row.answer] = sums.get(row.answer, 0) + row.value
    sums.pop(None, None)
    best = max(sums, key=sums.__getitem__)
    same = [row for row in candidates(rows) if row.answer == best]
    assert found["answer"] == best and found["candidates"] == 6 and len(sums) > 1
    sure = found["confidence"]
    assert sure["votes"] == pytest.approx(len(same) / 6)
    assert sure["value"] == pytest.approx(same[0].value, abs=1e-5)
    everything = sum(row.value for row in candidates(rows))
    assert sure["weighted"] == pytest.approx(sums[best] / everything, abs=1e-5)
    flops = sum((Counter(row.flops) for row in rows), Counter())
    assert found["search"]["flops"] == dict(flops)
    tokens = sum((Counter(row.usage) for row in rows), Counter())
    assert found["search"]["tokens"] == {k: n for k, n in tokens.items() if "pages" not in k}
    assert found["difficulty"]["generations"] == 2 and found["difficulty"]["flops"]["verify"] > 0


def test_a_hard_question_is_revised_and_the_estimate_is_charged(policy, ease, tmp_path, capsys):
    hard = replace(policy, edges=(ease + 0.01,))
    found = solved(hard, tmp_path, capsys, "--budget=9", "--charge")
    assert (found["bin"], found["strategy"]) == (2, "revise(s=3,p=2)")
    assert found["budget"]["left"] == 9 - 2 - 6 and found["candidates"] == 6
    assert found["search"]["flops"]["revision_context"] > 0
    # One generation fewer, and the larger budget is out of reach.
    assert solved(hard, tmp_path, capsys, "--budget=7", "--charge")["strategy"] == "best_of_n(N=2)"


def test_budgets_in_flops_pay_for_the_estimate_and_votes_need_no_verifier(policy, tmp_path, capsys):
    table = [replace(entry, budget=1e5 * entry.budget) for entry in policy.table]
    found = solved(replace(policy, unit="flops", table=tuple(table)), tmp_path, capsys,
                   "--budget=3e8")  # fmt: skip
    spent = [sum(found[part]["flops"].values()) for part in ("difficulty", "search")]
    assert found["budget"]["charged"] and found["budget"]["left"] == 3e8 - sum(spent)
    votes = replace(policy, table=tuple(e for e in policy.table if e.budget == 2))
    found = solved(votes, tmp_path, capsys)
    assert found["rule"] == "majority" and found["budget"]["given"] == 2
    assert set(found["search"]["flops"]) == {"prefill", "decode"}
    assert found["confidence"]["value"] is None


def test_a_probe_reads_the_question_in_the_prompt_it_was_made_with(
    policy, room, tmp_path, capsys, monkeypatch
):
    config = ConfigDict(dict(policy.sources["wide"]))
    config.prompt.examples = [["1 + 1?", "2"]]
    asked = Models(room / "cache").policy(config)
    vector = features(asked, [Question("q", QUESTION, "")]).vectors[0].astype(np.float64)
    probe = Probe(np.linspace(-1, 1, 32), 0.25, np.zeros(32), np.ones(32), 1.0, 10, 0.5, 0.6)
    made = {"model.path": str(room / "small"), "prompt.style": "few_shot",
            "prompt.examples": [["1 + 1?", "2"]]}  # fmt: skip
    estimator = {"name": "probe", "probe": probe.to_json() | {"made_with": made}}
    policy_file.write(replace(policy, estimator=estimator), tmp_path / "policy.json")
    monkeypatch.setattr("sys.stdin", io.StringIO(QUESTION + "\n"))
    argv = ["ttc", "solve", f"--policy={tmp_path / 'policy.json'}", "-", "--budget=2", "--json"]
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    expected = 1 / (1 + np.exp(-0.25 - vector @ probe.weights))
    assert found["ease"] == pytest.approx(expected, abs=1e-4) and found["question"] == QUESTION
    assert found["difficulty"]["generations"] == 0
    assert found["difficulty"]["flops"]["difficulty"] > found["search"]["flops"]["prefill"]


def test_one_bin_needs_no_estimate_and_what_is_printed(policy, tmp_path, capsys):
    one = replace(policy, edges=(), table=tuple(e for e in policy.table if e.bin == 0))
    policy_file.write(one, tmp_path / "policy.json")
    argv = ["ttc", "solve", f"--policy={tmp_path / 'policy.json'}", QUESTION, "--budget=2"]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "best_of_n(N=2) with majority was best there" in shown
    assert "\nAnswer: " in shown and "of 2 candidates give it" in shown
    assert "FLOPs of search: " in shown and "FLOPs of difficulty" not in shown
    assert "left of the budget: 0 generations" in shown
    assert main([*argv, "--config.grade.last_number=False"]) == 0
    assert "No answer: none of 2 candidates states one." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["  "], "the question is empty"),
        ([QUESTION, "--budget=1"], "the smallest budget fitted is 2 generations, more than 1"),
        ([QUESTION, "--budget=3", "--charge"], "takes 2; the smallest budget fitted is 2"),
        ([QUESTION, "--unit=flops"], "the policy is fitted in generations"),
        ([QUESTION, "--config.model.path=/nowhere"], "no checkpoint at /nowhere"),
        ([QUESTION, "--config.model.pat=x"], "--config.model.pat: the runs"),
        ([QUESTION, "--config.sample.top_k=x"], "--config.sample.top_k=x: give a value like 0"),
        ([QUESTION, "--config.seed"], "--config.seed has no value"),
        ([QUESTION, "--config.scorer.path="], "its runs have no verifier"),
        ([QUESTION, "--polcy=x"], "unrecognized arguments: --polcy=x"),
        ([QUESTION, "more"], "unrecognized arguments: more"),
        ([], "required: QUESTION"),
    ],
)
def test_wrong_commands_load_nothing(policy, args, message, tmp_path, capsys, monkeypatch):
    policy_file.write(policy, tmp_path / "policy.json")
    monkeypatch.setattr(Models, "_load", None)
    assert main(["ttc", "solve", f"--policy={tmp_path / 'policy.json'}", *args]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error


def test_wrong_policies(policy, tmp_path, capsys):
    def error(text: str, *args: str) -> str:
        (tmp_path / "policy.json").write_text(text)
        assert main(["ttc", "solve", f"--policy={tmp_path / 'policy.json'}", QUESTION, *args]) == 2
        return capsys.readouterr().err

    assert "policy.json is not a policy file: it is not JSON" in error("?")
    policy_file.write(policy, tmp_path / "good.json")
    good = json.loads((tmp_path / "good.json").read_text())
    assert "is not a policy file: edges" in error(json.dumps(good | {"edges": "x"}))
    other = good["sources"]["wide"] | {"model": good["sources"]["wide"]["model"] | {"path": "y"}}
    both = good["sources"] | {"other": other}
    changed = error(json.dumps(good | {"sources": both}), "--config.model.path=z")
    assert "--config.model.path would stand for " in changed and " and y alike" in changed
    ones = np.ones(2)
    probe = Probe(ones, 0.0, ones, ones, 1.0, 10, 0.5, 0.5).to_json()
    estimator = {"name": "probe", "probe": probe}
    assert "does not say which model and prompt" in error(
        json.dumps(good | {"estimator": estimator})
    )
    assert main(["ttc", "solve", "--policy=/nowhere", QUESTION]) == 2
