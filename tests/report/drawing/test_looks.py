# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Looks: stable, and apart in all three ways from those of the same figure."""

from itertools import combinations

import pytest

from ttc_jax.report.drawing import colours
from ttc_jax.report.drawing.looks import Look, look, of_strategy

TOGETHER = {
    "3 left": ("majority", "best", "best_of_n", "beam_4", "beam_sqrt", "lookahead_1_sqrt",
               "lookahead_3_sqrt", "lookahead_3_4", "dvts_4", "rebase", "likelihood"),
    "4": ("majority", "orm", "prm", "oracle", "predicted", "few", "probe", "likelihood"),
    "8": ("oracle", "predicted", "parallel", "likelihood"),
    "6 right": ("sequential", "parallel", "likelihood"),
    "13": ("last", "min", "prod", "mean", "orm", "majority", "likelihood"),
    "15": ("prm", "base_prm", "orm", "orm_history", "parallel", "likelihood"),
    "rules": ("majority", "best", "weighted", "hierarchical", "coverage", "likelihood"),
    "models": ("small", "large", "large_thinking"),
    "bins": tuple(f"bin_{number}" for number in range(1, 6)),
    "budgets": tuple(f"budget_{2**power}" for power in range(9)),
}  # fmt: skip


@pytest.mark.parametrize("figure", TOGETHER)
def test_series_of_a_figure_differ_in_colour_and_marker(figure):
    for one, other in combinations(TOGETHER[figure], 2):
        assert look(one).colour != look(other).colour, (one, other)
        assert look(one).marker != look(other).marker, (one, other)


@pytest.mark.parametrize("figure", ["3 left", "4", "13"])
def test_not_many_lines_of_a_figure_are_solid(figure):
    dashes = [look(name).dashes for name in TOGETHER[figure]]
    assert dashes.count(()) <= 4
    assert len({d for d in dashes if d}) >= len([d for d in dashes if d]) - 1


def test_looks_are_the_same_in_all_figures_and_all_versions():
    assert look("majority") == Look(colours.GREY, "s")
    assert look("prm") == look("weighted") == look("best_of_n") == Look(colours.BLUE, "o")
    assert look("oracle") == look("beam_4") == Look(colours.VERMILION, "^")
    assert look("likelihood_beam_4") == Look(colours.VIOLET, "^")
    assert look("unheard of") == Look(colours.BLUE, "^")


def test_numbers_have_their_place_on_a_ramp():
    assert look("bin_1").colour == colours.RISING[0]
    assert look("bin_3").colour == colours.RISING[2]
    assert look("bin_5").colour == colours.RISING[4]
    assert look("budget_1").colour == colours.RISING[0]
    assert look("budget_512").colour == colours.RISING[-1]
    assert look("ratio_1:256").colour == colours.BLUE
    assert look("ratio_1:1").colour == look("ratio_1").colour == colours.OPPOSED[1]
    assert look("ratio_256:1").colour == colours.VERMILION
    assert look("ratio_1:4") == look("ratio_0.25")


@pytest.mark.parametrize("name", ["bin_x", "budget_0", "budget_", "ratio_1:0", "ratio_-2", ""])
def test_a_name_that_is_no_number_is_just_a_name(name):
    assert look(name).colour in {one.colour for one in map(look, TOGETHER["3 left"])}


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        ("best_of_n(N=16)", "best_of_n"),
        ("beam(N=64,M=4)", "beam_4"),
        ("beam(N=64,M=8)", "beam_sqrt"),
        ("lookahead(N=4,M=2,k=3)", "lookahead_3_sqrt"),
        ("lookahead(N=16,M=4,k=1,rounds=9)", "lookahead_1_4"),
        ("dvts(N=16,M=4)", "dvts_4"),
        ("rebase(N=16)", "rebase"),
        ("revise(s=16,p=4)", "ratio_16:4"),
        ("something(else=1)", "something"),
    ],
)
def test_the_look_of_a_strategy(strategy, name):
    assert of_strategy(strategy) == name
