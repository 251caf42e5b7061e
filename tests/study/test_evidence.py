# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which runs and candidates a report is drawn from, on made-up work directories."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from study.synthetic_runs import (
    HISTORY,
    LARGE,
    ORM,
    RESTEM,
    REVISION,
    SMALL,
    write_run,
    write_training,
)

from ttc_jax.core.files import write_json_atomic
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.pool import number_answers, read_pools
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings

QUICK = ReportSettings(resamples=100)


def evidence_of(path, settings=QUICK) -> Evidence:
    return Evidence(find_runs([path]), settings)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Runs of the small model in both roles, of larger ones, and a training job."""
    path = tmp_path_factory.mktemp("several")
    write_run(path / "pool", "best_of_n(N=16)")
    write_run(path / "orm", "best_of_n(N=16)", verifier=ORM)
    write_run(path / "beam", "beam(N=4,M=2)")
    write_run(path / "chains", "revise(s=4,p=2)", policy=REVISION, verifier=HISTORY)
    write_run(path / "restem", "revise(s=2,p=2)", policy=RESTEM, verifier=HISTORY)
    medium = LARGE | {"path": "models/medium", "params": 300_000_000}
    write_run(path / "medium", "best_of_n(N=4)", policy=medium, verifier=None)
    write_run(path / "greedy", "best_of_n(N=1)", policy=LARGE, verifier=None, temperature=0.0)
    write_run(path / "small_greedy", "best_of_n(N=1)", verifier=None, temperature=0.0)
    write_training(path / "train")
    return path


def test_models_have_roles_by_kind_size_and_use(several):
    roles = evidence_of(several).roles
    assert (roles.base, roles.large) == (SMALL["path"], LARGE["path"])
    assert (roles.revision, roles.restem) == (REVISION["path"], RESTEM["path"])


def test_a_base_model_may_revise_and_a_model_of_about_the_same_size_is_not_the_larger(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=4)")
    write_run(tmp_path / "chains", "revise(s=2,p=2)", verifier=None)
    near = SMALL | {"path": "models/near", "params": 140_000_000}
    write_run(tmp_path / "near", "best_of_n(N=2)", policy=near)
    roles = evidence_of(tmp_path).roles
    assert (roles.revision, roles.large) == (SMALL["path"], None)


def test_difficulty_and_curves_are_from_different_candidates(several):
    evidence = evidence_of(several, ReportSettings(samples=6, resamples=100))
    run = next(run for run in evidence.searches if run.name.endswith("/pool"))
    whole = read_pools(run, evidence.questions, number_answers([run]))
    ease = evidence.difficulty("oracle").ease
    first = [whole[q].right[:6].mean() for q in evidence.questions]
    np.testing.assert_allclose(ease, first)
    # The ORM run draws the same samples, so it loses the same ones.
    for kind in ("prm", "orm"):
        curve = evidence.best_of_n("coverage", kind)
        assert [point.budget for point in curve.points] == [1, 2, 4, 8]
        rest = [whole[q].right[6:].mean() for q in evidence.questions]
        np.testing.assert_allclose(curve.points[0].right, rest)


def test_another_seed_keeps_all_of_its_candidates(tmp_path):
    write_run(tmp_path / "a", "best_of_n(N=8)")
    write_run(tmp_path / "b", "best_of_n(N=8)", verifier=ORM, seed=1)
    evidence = evidence_of(tmp_path)
    budgets = {
        kind: evidence.best_of_n("weighted", kind).points[-1].budget for kind in ("prm", "orm")
    }
    assert budgets == {"prm": 4, "orm": 8}


def test_a_pool_of_nothing_but_what_tells_difficulty_is_left_out_and_said_to_be(tmp_path):
    write_run(tmp_path / "a", "best_of_n(N=16)")
    write_run(tmp_path / "b", "best_of_n(N=8)", verifier=ORM)
    evidence = evidence_of(tmp_path)
    assert evidence.best_of_n("weighted", "orm") is None
    assert any("/b is not drawn: its 8 samples" in note for note in evidence.notes)
    fewer = evidence_of(tmp_path, ReportSettings(samples=4, resamples=100))
    assert fewer.best_of_n("weighted", "orm").points[-1].budget == 4 and not fewer.notes


def test_estimates_cost_what_they_read(several):
    evidence = evidence_of(several)
    oracle, predicted, few = map(evidence.difficulty, ("oracle", "predicted", "few"))
    assert (oracle.samples, predicted.samples, few.samples) == (8, 8, 4)
    assert (predicted.flops > oracle.flops).all()  # the verifier too
    assert (few.flops < predicted.flops).all()
    assert evidence.difficulty("probe") is None


def test_a_probe_job_is_an_estimate(several, tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=8)")
    probe = write_training(tmp_path / "probe")
    record = json.loads((probe / "config.json").read_text())
    record["samples_depend_on"]["job"] = "probe"
    write_json_atomic(probe / "config.json", record)
    names = [name for name, _ in find_runs([tmp_path / "pool"])[0].questions]
    write_json_atomic(probe / "difficulty.json", {name: i / 40 for i, name in enumerate(names)})
    spent = {"difficulty": 80.0, "training": 20.0}
    write_json_atomic(probe / "results.json", {"flops": spent})
    found = evidence_of(tmp_path).difficulty("probe")
    np.testing.assert_allclose(found.ease, np.arange(40) / 40)
    assert found.label_free and found.samples == 0 and (found.flops == 2.0).all()
    (run,) = (run for run in find_runs([tmp_path]) if run.job == "probe")
    assert run.timing()["ledger"] == {"difficulty": {"useful": 100.0}}


def test_only_questions_that_every_run_has_count(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=4)")
    write_run(tmp_path / "beam", "beam(N=4,M=2)", answered=30)
    write_run(tmp_path / "late", "beam(N=16,M=4)", answered=3)
    evidence = evidence_of(tmp_path)
    assert len(evidence.questions) == 30
    assert [run.name.split("/")[-1] for run in evidence.unfinished] == ["late"]
    assert list(evidence.searches_by("weighted")) == ["beam_sqrt"]


def test_a_question_that_is_stored_while_it_is_read_waits_for_the_next_report(
    tmp_path, monkeypatch
):
    run = write_run(tmp_path / "pool", "best_of_n(N=4)", answered=20)
    more = write_run(tmp_path / "more" / "pool", "best_of_n(N=4)")

    def numbering(runs):
        found = number_answers(runs)
        shard = next((more / "samples").glob("*.parquet"))
        next((run / "samples").glob("*.parquet")).write_bytes(shard.read_bytes())
        return found

    monkeypatch.setattr("ttc_jax.study.evidence.number_answers", numbering)
    assert len(evidence_of(tmp_path / "pool").questions) == 20


def test_questions_that_mostly_timed_out_are_left_out(tmp_path):
    run = write_run(tmp_path / "pool", "best_of_n(N=8)", questions=10)
    (shard,) = (run / "samples").glob("*.parquet")
    table = pq.read_table(shard)
    late = {("q003", branch) for branch in range(6)} | {("q004", branch) for branch in range(3)}
    at = zip(*(table[name].to_pylist() for name in ("question", "branch", "verdict")), strict=True)
    verdicts = ["timeout" if (q, b) in late else verdict for q, b, verdict in at]
    index = table.schema.get_field_index("verdict")
    pq.write_table(table.set_column(index, table.schema.field(index), [verdicts]), shard)
    evidence = evidence_of(tmp_path)
    assert len(evidence.questions) == 9 and "q003" not in evidence.questions
    assert evidence.estimates.apart == 4  # of the 5 that are left of q004
    assert any(note.startswith("q003: left out") for note in evidence.notes)


def test_a_verifier_that_one_run_has_does_not_mix_with_that_of_the_others(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=4)")
    write_run(tmp_path / "beam", "beam(N=4,M=2)")
    other = {"path": "other", "kind": "prm", "params": 5}
    write_run(tmp_path / "beam_other", "beam(N=8,M=2)", verifier=other)
    (curve,) = evidence_of(tmp_path).searches_by("weighted").values()
    assert [point.budget for point in curve.points] == [4]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_bins": 0}, "n_bins is 0"),
        ({"n_folds": 1}, "n_folds is 1"),
        ({"ratios": ()}, "R is ()"),
        ({"ratios": (0.0,)}, "R is"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"resamples": 0}, "resamples is 0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        ReportSettings(**settings)


def test_nothing_to_report_on(tmp_path):
    write_training(tmp_path / "train")
    with pytest.raises(ValueError, match="no search among the runs"):
        evidence_of(tmp_path)
    write_run(tmp_path / "pool", "best_of_n(N=4)", answered=0)
    with pytest.raises(ValueError, match="no search has stored a question yet"):
        evidence_of(tmp_path)


def test_runs_without_a_common_question(tmp_path):
    write_run(tmp_path / "a", "best_of_n(N=2)", answered=4)
    whole = write_run(tmp_path / "b", "best_of_n(N=2)", seed=1)
    store = next((whole / "samples").glob("*.parquet"))
    write_run(tmp_path / "c", "best_of_n(N=2)", seed=1, answered=36)
    assert store.exists()
    assert len(evidence_of(tmp_path).questions) == 36  # "a" has stored too few to count


def test_more_samples_for_difficulty_than_there_are(several):
    evidence = evidence_of(several, ReportSettings(samples=16))
    with pytest.raises(ValueError, match="16 samples cannot be set apart.*--difficulty"):
        evidence.difficulty("oracle")
