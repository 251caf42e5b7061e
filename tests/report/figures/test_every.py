# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every figure from a made-up study, and what is said where a study lacks data."""

from dataclasses import replace

import numpy as np
import pytest
from study.synthetic_runs import LARGE, write_run, write_study

from ttc_jax.core.samples import candidates, read_samples
from ttc_jax.report.drawing.draw import svg
from ttc_jax.report.figures.every import figures
from ttc_jax.report.figures.matched import thirds
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.exchange import Exchange
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings

QUICK = ReportSettings(resamples=100)
PAPER = (
    "1", "3L", "3R", "4", "6L", "6R", "7L", "7R", "8", "9", "10", "11", "12", "13", "14", "15",
    "16", "iclr13", "iclr17",
)  # fmt: skip
OWN = ("flops", "difficulty", "lifetime")


def exchange_of(path, settings=QUICK) -> Exchange:
    return Exchange(Optimum(Evidence(find_runs([path]), settings)))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study")
    write_study(path, n_questions=20)
    return path


@pytest.fixture(scope="module")
def exchange(study) -> Exchange:
    return exchange_of(study)


@pytest.fixture(scope="module")
def drawn(exchange):
    return {figure.key: figure for figure in figures(exchange)}


def lines_of(figure, panel=0):
    return {line.name: line for line in figure.panels[panel].lines}


def test_every_figure_of_the_paper_has_data(drawn):
    assert tuple(drawn) == (*PAPER, *OWN)
    for figure in drawn.values():
        assert figure.panels and not figure.missing, figure.key
        for panel in figure.panels:
            assert panel.note and (panel.lines or panel.bars), figure.key
            for line in panel.lines:
                assert len(line.x) == len(line.y) > 0
                assert all(value.low <= value.mean <= value.high for value in line.y)


def test_majority_is_what_counting_votes_by_hand_gives(study, drawn, exchange):
    """At the largest budget, where nothing is drawn at random: 32 of 64 are left."""
    questions = exchange.evidence.questions
    right = []
    for question in questions:
        rows = candidates(read_samples(study / "best_of_n" / "samples", question))[32:]
        votes: dict[str, list] = {}
        for row in rows:
            if row.answer is not None:
                votes.setdefault(row.answer, []).append(row.verdict == "correct")
        right.append(max(votes.values(), key=len)[0] if votes else False)
    line = lines_of(drawn["4"])["majority"]
    assert line.x[-1] == 32 and line.y[-1].mean == pytest.approx(np.mean(right))


def test_greedy_and_the_likelihood_stand_wherever_methods_are_compared(drawn, exchange):
    evidence = exchange.evidence
    curves = {rule: evidence.best_of_n(rule, "likelihood") for rule in ("weighted", "best")}
    for key, panel in (("1", 2), ("3L", 0), ("4", 0), ("13", 0), ("14", 0), ("iclr13", 0),
                       ("difficulty", 0), ("flops", 0)):  # fmt: skip
        lines = lines_of(drawn[key], panel)
        assert lines["greedy"].scatter, key
        for rule, curve in curves.items():
            line = lines[f"likelihood best-of-N, {rule}"]
            assert [y.mean for y in line.y] == [p.right.mean() for p in curve.points]
            assert line.look == "likelihood" and line.dashed == (rule == "best")
    for key, names in (("6R", ("sequential", "parallel")), ("8", ("parallel",)),
                       ("15", ("sequential",))):  # fmt: skip
        assert {f"{name}, likelihood" for name in names} | {"greedy"} <= set(lines_of(drawn[key]))
    for key in ("3R", "12"):
        names = {bar.name for bar in drawn[key].panels[0].bars}
        assert {"greedy", "likelihood best-of-N weighted, N = 16"} <= names
        assert "beam M=4, likelihood, N = 16" in names
    assert drawn["iclr17"].panels[-1].title == "E: likelihood, no verifier"


def test_a_beam_by_likelihood_is_drawn_apart_from_those_by_the_verifier(drawn):
    lines = lines_of(drawn["3L"])
    assert lines["beam M=4, likelihood"].x == (4, 16) and lines["beam M=4"].x == (4, 16, 64)
    assert lines["beam M=4, likelihood"].look == "likelihood_beam_4"


def test_searches_stand_at_their_own_budgets(drawn):
    lines = lines_of(drawn["3L"])
    assert lines["beam M=4"].x == (4, 16, 64)
    assert lines["lookahead k=3, M=√N"].x == (4, 16, 64)  # N(k + 1)
    assert {"majority", "best-of-N, weighted", "best-of-N, best"} <= set(lines)


def test_bars_of_a_bin_are_means_over_its_questions(drawn, exchange):
    evidence = exchange.evidence
    bins = evidence.bins("oracle")
    bar = next(b for b in drawn["3R"].panels[0].bars if b.name == "majority, N = 16")
    curve = {p.budget: p.right for p in evidence.best_of_n("majority").points}
    for value, members in zip(bar.y, bins, strict=True):
        assert value.mean == pytest.approx(curve[16][members].mean()) and value.n == len(members)


def test_stars_are_greedy_answers_at_the_matched_budgets(drawn, exchange):
    """k = M + 3 (M - 1) / R for 14 times the parameters (paper section 7)."""
    panel = drawn["9"].panels[0]
    budgets = [14 + 3 * 13 / ratio for ratio in QUICK.ratios]
    assert [mark[0] for mark in panel.marks] == pytest.approx(budgets)
    assert budgets == pytest.approx([257.75, 63.367, 15.773], abs=1e-3)
    greedy = exchange.greedy.right
    for number, members in enumerate(exchange.evidence.bins("oracle")):
        own = [star for star in panel.stars if star.look == f"bin_{number + 1}"]
        assert [star.x for star in own] == pytest.approx(budgets)
        assert [star.y.mean for star in own] == pytest.approx([greedy[members].mean()] * 3)


def test_a_ratio_line_has_every_split_of_its_budget(drawn):
    lines = lines_of(drawn["7L"])
    assert lines["N = 16"].x == (1 / 16, 1 / 4, 1, 4, 16)
    assert lines["N = 64"].x == (1 / 4, 1, 4)  # chains are at most 16 long, and 16 of them


def test_flipped_scores_are_worse(drawn):
    flipped, whole = drawn["iclr17"].panels[1], drawn["iclr17"].panels[2]
    mean = [np.mean([line.y[-1].mean for line in panel.lines]) for panel in (flipped, whole)]
    assert mean[0] < mean[1]


def test_groups_of_bins():
    assert thirds(5)[0] == ("easy", "medium", "hard")
    assert thirds(5)[1].tolist() == [0, 0, 1, 2, 2]
    assert thirds(3)[1].tolist() == [0, 1, 2]
    assert thirds(2)[0] == ("easy", "hard") and thirds(1)[0] == ("all",)


def test_what_is_lacking_is_said_with_a_command(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=8)", verifier=None)
    found = {figure.key: figure for figure in figures(exchange_of(tmp_path))}
    assert tuple(found) == (*PAPER, *OWN)
    for key in ("3L", "6L", "9", "12", "13", "14", "16"):
        assert not found[key].panels
        assert found[key].missing.startswith("needs ")
        assert found[key].command.startswith("ttc run --config=configs/made_up.py "), key
    assert "beam(N=16,M=4)" in found["3L"].command
    assert "--config.scorer.path=VERIFIER" in found["3L"].command
    assert "best_of_n(N=1)" in found["lifetime"].command
    assert found["flops"].panels  # majority needs no verifier


def test_few_questions_leave_out_the_bins_and_say_so(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=8)", questions=6)
    write_run(tmp_path / "beam", "beam(N=4,M=2)", questions=6)
    exchange = exchange_of(tmp_path)
    found = {figure.key: figure for figure in figures(exchange)}
    assert found["3L"].panels and not found["3R"].panels and not found["4"].panels
    assert any("No bins of oracle difficulty" in note for note in exchange.evidence.notes)
    fewer = exchange_of(tmp_path, replace(QUICK, n_bins=1))
    assert {figure.key: figure for figure in figures(fewer)}["4"].panels


def test_no_solved_question_and_no_common_budget(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=8)", accuracy=(1e-12,) * 5)
    write_run(tmp_path / "beam", "beam(N=6,M=2)", accuracy=(1e-12,) * 5)
    exchange = exchange_of(tmp_path)
    found = {figure.key: figure for figure in figures(exchange)}
    assert found["3L"].panels and not found["3R"].panels
    assert any("difficulty cannot be told" in note for note in exchange.evidence.notes)
    assert any("no two strategies share a budget" in note for note in exchange.evidence.notes)


def test_budgets_that_no_bar_is_drawn_at_and_a_larger_model_that_gets_nothing_right(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=4)")
    write_run(tmp_path / "beam", "beam(N=2,M=2)")
    wrong = {"policy": LARGE, "accuracy": (1e-12,) * 5, "verifier": None, "temperature": 0.0}
    write_run(tmp_path / "greedy", "best_of_n(N=1)", **wrong)
    exchange = exchange_of(tmp_path)
    assert exchange.possible and not exchange.greedy.right.any()
    found = {figure.key: figure for figure in figures(exchange)}
    for key in ("3R", "12"):
        assert not found[key].panels and "N = 4, N = 16" in found[key].missing
    assert [panel.title for panel in found["1"].panels] == ["Search by a PRM"]
    for figure in found.values():
        if figure.panels:
            svg(figure)


def test_a_larger_model_without_greedy_answers_is_no_match(tmp_path):
    write_run(tmp_path / "pool", "best_of_n(N=8)")
    write_run(tmp_path / "large", "best_of_n(N=8)", policy=LARGE)
    exchange = exchange_of(tmp_path)
    assert not exchange.possible and exchange.evidence.roles.large == LARGE["path"]
    found = {figure.key: figure for figure in figures(exchange)}
    assert "temperature" in found["lifetime"].missing
