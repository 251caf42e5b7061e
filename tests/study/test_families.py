# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

from ttc_jax.search.names import parse
from ttc_jax.study.families import families, family


def runs_of(*strategies):
    return [SimpleNamespace(name=text, strategy=parse(text)) for text in strategies]


def found(*strategies):
    """Names of the runs of each family."""
    own = families(runs_of(*strategies))
    return {key: [run.name for run in one.runs] for key, one in own.items()}


@pytest.mark.parametrize("strategy, key, label", [
    ("best_of_n(N=16)", "best_of_n", "best-of-N"),
    ("beam(N=64,M=4)", "beam_4", "beam M=4"),
    ("beam(N=64)", "beam_sqrt", "beam M=√N"),
    ("beam(N=64,M=8)", "beam_sqrt", "beam M=√N"),
    ("beam(N=8,M=2)", "beam_sqrt", "beam M=√N"),  # 2 and 4 are as near; the smaller is taken
    ("lookahead(N=16,k=3)", "lookahead_3_sqrt", "lookahead k=3, M=√N"),
    ("lookahead(N=4,M=4,k=1)", "lookahead_1_4", "lookahead k=1, M=4"),
    ("beam(N=64,M=4,distinct=True)", "beam_4_distinct", "beam M=4, distinct"),
    ("beam(N=64,M=4,rounds=10)", "beam_4_rounds_10", "beam M=4, rounds=10"),
    ("dvts(N=64,M=4)", "dvts_4", "DVTS M=4"),
    ("rebase(N=16)", "rebase", "REBASE"),
    ("rebase(N=16,T=0.2)", "rebase_T_0.2", "REBASE T=0.2"),
    ("revise(s=4,p=2)", "revise", "revisions"),
    ("revise(s=4,p=2,memory=2)", "revise_memory_2", "revisions memory=2"),
])  # fmt: skip
def test_what_families_are_called(strategy, key, label):
    assert family(parse(strategy)) == (key, label)


def test_runs_of_a_family_stand_by_rising_budget():
    assert found("beam(N=256,M=4)", "rebase(N=16)", "beam(N=64,M=4)", "beam(N=128,M=4)") == {
        "beam_4": ["beam(N=64,M=4)", "beam(N=128,M=4)", "beam(N=256,M=4)"],
        "rebase": ["rebase(N=16)"],
    }


def test_a_width_that_is_the_root_is_in_both_families_if_there_are_both():
    assert found("beam(N=16,M=4)", "beam(N=64,M=8)") == {
        "beam_sqrt": ["beam(N=16,M=4)", "beam(N=64,M=8)"]
    }
    assert found("beam(N=16,M=4)", "beam(N=64,M=8)", "beam(N=4,M=4)") == {
        "beam_sqrt": ["beam(N=16,M=4)", "beam(N=64,M=8)"],
        "beam_4": ["beam(N=4,M=4)", "beam(N=16,M=4)"],
    }
    # Lookahead and beam search do not share a family, nor do two depths of it.
    assert set(found("lookahead(N=4,M=4,k=1)", "beam(N=16,M=4)", "lookahead(N=16,M=4,k=3)")) == {
        "lookahead_1_4", "beam_sqrt", "lookahead_3_sqrt"
    }  # fmt: skip


def test_no_runs_make_no_families():
    assert families([]) == {}
