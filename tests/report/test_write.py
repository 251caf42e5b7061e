# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Whole reports of made-up work directories: what they say, twice the same, and half-finished."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from study.synthetic_runs import write_run, write_study, write_training
from study.synthetic_world import questions_of

from ttc_jax.report.claims import counted
from ttc_jax.report.findings import findings
from ttc_jax.report.headline import _sentence, headlines, savings
from ttc_jax.report.write import report
from ttc_jax.study import policy_file
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.exchange import Exchange
from ttc_jax.study.factor import Factor
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings

QUICK = ReportSettings(resamples=100)


def exchange_of(path, settings=QUICK) -> Exchange:
    return Exchange(Optimum(Evidence(find_runs([path]), settings)))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("made_up") / "study"
    write_study(path, n_questions=20)
    return path


@pytest.fixture(scope="module")
def exchange(study):
    return exchange_of(study)


@pytest.fixture(scope="module")
def found(study, exchange):
    return findings(exchange, find_runs([study]))


@pytest.fixture(scope="module")
def reported(study, tmp_path_factory):
    """Where the report of the study lies, and what was printed."""
    out = tmp_path_factory.mktemp("reported")
    return out, list(report([study], out, QUICK))


def test_a_report_twice_is_the_same_to_the_byte(study, reported, tmp_path):
    out, lines = reported
    assert lines[-1] == f"report: {out / 'index.html'}"
    list(report([study], tmp_path, QUICK))
    files = {path.relative_to(out): path for path in out.rglob("*") if path.is_file()}
    assert files.keys() == {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    for name, path in files.items():
        assert path.read_bytes() == (tmp_path / name).read_bytes(), name
    names = {"index.html", "results.json", "policy.json", "policy_flops.json"}
    assert names <= {name.name for name in files}
    assert (out / "index.html").stat().st_size < 5e6
    results = json.loads((out / "results.json").read_text())
    assert len(results["figures"]) == 22 and len(results["claims"]) == 10
    assert f"claims: {counted(results['claims'])}" in lines


def test_policies_are_over_bins_that_need_no_answers(reported):
    out, _ = reported
    policy = policy_file.read(out / "policy.json")
    assert policy.estimator["name"] == "few" and policy.samples == 4
    assert policy.estimator["source"] == "study/best_of_n" in policy.sources
    assert policy.unit == "generations" and set(policy.budgets) >= {1, 2, 4, 8, 16, 32}
    assert len(policy.edges) == 4
    assert {entry.source for entry in policy.table} <= set(policy.sources)
    ease, _ = policy.ease([0.9] * 4)
    assert "bin 1 of 5" in policy.why(ease, 16, "generations")
    flops = policy_file.read(out / "policy_flops.json")
    assert flops.unit == "flops" and len(flops.budgets) > 5


def test_the_headline_says_what_the_factors_say(exchange):
    saved = list(savings(exchange.optimum))
    text = " ".join(headlines(exchange, saved))
    own = [s for s in saved if not s.charged and s.unit == "generations"]
    for kind in ("search", "revisions"):
        (saving,) = (s for s in own if (s.kind, s.estimator) == (kind, "predicted"))
        assert saving.sentence in text
    assert "14 times the parameters" in text and "at R = 0.16" in text


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        ((3.0, 2.0, 4.0, ""), "needs 3 times [2, 4] fewer generations for the 50.0% of X at 8"),
        ((3.0, 0.5, 4.0, ""), "that may be no difference at all"),
        ((0.5, 0.25, 0.8, ""), "needs 2 times [1.2, 4] as many generations"),
        ((1.02, 0.8, 1.25, ""), "needs 0.98 times [0.8, 1.2] as many generations"),
        ((3.0, 2.0, float("inf"), "at least"), "at least 3 times [2, any number] fewer"),
        ((0.5, 0.4, float("inf"), "at least"), "at most 2 times [0, 2.5] as many"),
        ((0.5, 0.0, 0.8, "at most"), "It does not come to the 50.0% of X at 8 generations"),
    ],
)
def test_sentences_about_factors(factor, words):
    mean, low, high, censored = factor
    found = _sentence("It", "X", 8.0, "generations", Factor(8.0, 0.5, mean, low, high, censored, 9))
    assert words in found
    assert ("no difference" in found) == (low <= 1 <= high)


def test_the_likelihood_is_the_control_of_every_verifier(found, exchange):
    evidence = exchange.evidence
    assert [control["kind"] for control in found["controls"]] == ["prm", "orm"]
    for control in found["controls"]:
        own = {p.budget: p.right for p in evidence.best_of_n("weighted", control["kind"]).points}
        rivals = [
            {p.budget: p.right for p in evidence.best_of_n(rule, "likelihood").points}
            for rule in ("weighted", "best")
        ]
        most = max(own.keys() & rivals[0].keys())
        best = max(rival[most].mean() for rival in rivals)
        assert control["budget"] == most
        assert control["difference"]["mean"] == pytest.approx(own[most].mean() - best)
        assert control["beats"] == (control["difference"]["low"] > 0)
        said = "beats" if control["beats"] else "does not beat"
        assert f"The {control['kind'].upper()} {said} the likelihood" in control["sentence"]
        assert control["sentence"] in found["headline"]


def test_ways_to_choose_stand_in_one_table_with_the_controls_first(found, exchange):
    names = [row["name"] for row in found["selection"]]
    assert names[:4] == ["greedy", "majority", "likelihood, weighted", "likelihood, best"]
    assert names[4:] == ["PRM, weighted", "PRM, best", "ORM, weighted", "ORM, best"]
    rows = {row["name"]: row["points"] for row in found["selection"]}
    curve = exchange.evidence.best_of_n("best", "likelihood")
    assert [p["budget"] for p in rows["likelihood, best"]] == [p.budget for p in curve.points]
    assert rows["majority"][-1]["flops"] == rows["likelihood, best"][-1]["flops"]
    table = next(t for t in found["allocation"] if t["kind"] == "search")
    assert list(table["controls"]) == names[:4]
    assert all(len(values) == len(table["budgets"]) for values in table["controls"].values())
    greedy = rows["greedy"][0]["accuracy"]
    assert table["controls"]["greedy"] == [greedy] * len(table["budgets"])


def test_verifiers_are_judged_step_by_step(found, reported):
    judged = {(row["kind"], row["step"]): row["auc"]["mean"] for row in found["verifier_quality"]}
    assert set(judged) == {("prm", 1), ("prm", 2), ("prm", 3), ("prm", None), ("orm", None),
                           ("likelihood", None)}  # fmt: skip
    assert judged["prm", None] > judged["likelihood", None] > 0.5
    page = (reported[0] / "index.html").read_text()
    assert "Choosing among samples" in page and "What a score is worth by step" in page


def test_the_ledger_adds_up(found, exchange):
    rows = {row["run"].split("/")[-1]: row for row in found["ledger"]}
    beam = rows["beam_4_16"]
    assert beam["discarded"] > 0 and {"decode", "verify"} <= beam["useful"].keys()
    assert beam["seconds"] == 60 and beam["executed"] > 0
    assert rows["best_of_n"]["discarded"] == 0
    assert rows["train_prm"]["useful"] == {"training": 6 * 100_000_000 * 100_000}


def test_allocations_hold_a_strategy_for_every_bin_and_budget(found):
    tables = {(t["kind"], t["estimator"], t["unit"]): t for t in found["allocation"]}
    assert ("search", "oracle", "generations") in tables
    assert ("everything", "few", "flops") in tables
    for table in tables.values():
        assert [row["bin"] for row in table["rows"]] == ["1", "2", "3", "4", "5"]
        assert all(len(row["cells"]) == len(table["budgets"]) for row in table["rows"])
    table = tables["search", "predicted", "generations"]
    assert table["charged"] == [budget + 32 for budget in table["budgets"]]


def test_matches_are_under_every_convention_and_with_a_larger_model_that_thinks(found):
    kinds = {(one["convention"], one["large"]) for one in found["matched"]}
    assert kinds == {
        (convention, large)
        for convention in ("counted", "arxiv", "iclr", "iclr_small")
        for large in ("greedy", "thinking")
    }
    by_ratio = {
        one["R"]: one["k"]
        for one in found["matched"]
        if (one["convention"], one["large"]) == ("arxiv", "greedy")
    }
    assert by_ratio == pytest.approx({0.16: 257.75, 0.79: 63.367, 22.0: 15.773}, abs=1e-3)


def test_a_half_finished_study_says_what_is_missing(tmp_path):
    questions = questions_of(40)
    write_run(tmp_path / "w" / "pool", "best_of_n(N=8)", questions=questions)
    write_run(tmp_path / "w" / "beam", "beam(N=4,M=2)", questions=questions, answered=30)
    write_run(tmp_path / "w" / "late", "beam(N=16,M=4)", questions=questions, answered=2)
    lines = list(report([tmp_path / "w"], tmp_path / "out", QUICK))
    text = "\n".join(lines)
    assert "lacks 10 of 40 questions; the report is over the 30" in text
    assert "w/late has stored too few of its 40 questions" in text
    assert "continue it: ttc run --config=configs/made_up.py --workdir=late" in text
    page = (tmp_path / "out" / "index.html").read_text()
    assert "lacks 10 of 40 questions" in page


def test_one_question_and_one_strategy_are_reported_without_what_they_cannot_tell(tmp_path):
    write_run(tmp_path / "w", "best_of_n(N=4)", questions=1, verifier=None)
    lines = list(report([tmp_path / "w"], tmp_path / "out", QUICK))
    assert any("No larger model was run" in line for line in lines)
    assert not (tmp_path / "out" / "policy.json").exists()


def test_a_verifier_that_does_not_help_is_called_so(tmp_path):
    write_run(tmp_path / "w", "best_of_n(N=8)", sharpness=1e-9)
    lines = list(report([tmp_path / "w"], tmp_path / "out", QUICK))
    assert any("PRM is not shown to beat majority voting" in line for line in lines)


def test_different_questions_are_refused(tmp_path):
    write_run(tmp_path / "w" / "a", "best_of_n(N=4)", questions=8)
    write_run(tmp_path / "w" / "b", "beam(N=4,M=2)", questions=9)
    with pytest.raises(ValueError, match="different questions.*w/a and .*w/b"):
        list(report([tmp_path / "w"], tmp_path / "out", QUICK))


def test_scores_that_are_no_numbers_are_refused(tmp_path):
    run = write_run(tmp_path / "w", "best_of_n(N=4)", questions=8)
    (shard,) = (run / "samples").glob("*.parquet")
    table = pq.read_table(shard)
    values = table["value"].to_pylist()
    values[5] = float("nan")
    at = table.schema.get_field_index("value")
    field = table.schema.field(at)
    pq.write_table(table.set_column(at, field, pa.array(values, field.type)), shard)
    with pytest.raises(ValueError, match="not a number"):
        list(report([tmp_path / "w"], tmp_path / "out", QUICK))
    assert not (tmp_path / "out").exists()


def test_training_alone_and_no_directory(tmp_path):
    write_training(tmp_path / "w")
    with pytest.raises(ValueError, match="no search"):
        list(report([tmp_path / "w"], tmp_path / "out", QUICK))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(report([tmp_path / "nowhere"], tmp_path / "out", QUICK))


def test_absolute_bins(study):
    exchange = exchange_of(study, replace(QUICK, absolute=True))
    numbers = exchange.evidence.bin_numbers("oracle")
    ease = exchange.evidence.difficulty("oracle").ease
    if numbers is not None:
        assert (numbers == 0).sum() == (ease >= 0.5).sum()
    else:
        assert exchange.evidence.notes
