# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of strategies: what prints is what is read, and what cannot be read says why."""

import re
from dataclasses import FrozenInstanceError, fields

import pytest

from ttc_jax.search import names
from ttc_jax.search.beam import Beam
from ttc_jax.search.dvts import DVTS
from ttc_jax.search.names import parse
from ttc_jax.search.rebase import Rebase
from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.strategy import Load

# Name, strategy, budget in generations, what it holds, whether it needs scores, whether by steps.
STRATEGIES = [
    ("best_of_n(N=16)", BestOfN(16), 16, Load(16, 16), False, False),
    ("beam(N=16,M=4)", Beam(N=16, M=4), 16, Load(16, 4, 1), True, True),
    ("beam(N=16,M=2,rounds=9)", Beam(N=16, M=2, rounds=9), 16, Load(16, 8, 1), True, True),
    ("beam(N=6,M=6,distinct=True)", Beam(6, 6, distinct=True), 6, Load(6, 1, 1), True, True),
    ("lookahead(N=16,M=4,k=1)", Beam(N=16, M=4, k=1), 32, Load(16, 4, 2), True, True),
    ("lookahead(N=4,M=1,k=3,rounds=2,distinct=True)", Beam(4, 1, 3, 2, True), 16, Load(4, 4, 4),
     True, True),
    ("dvts(N=16,M=4)", DVTS(N=16, M=4), 16, Load(16, 4, 1), True, True),
    ("dvts(N=8,M=4,rounds=3)", DVTS(N=8, M=4, rounds=3), 8, Load(8, 2, 1), True, True),
    ("rebase(N=16)", Rebase(N=16), 16, Load(16, 16, 1), True, True),
    ("rebase(N=16,T=0.25,rounds=8)", Rebase(16, 0.25, 8), 16, Load(16, 16, 1), True, True),
    ("revise(s=4,p=4)", Revise(s=4, p=4), 16, Load(4, 4, 0, 3), False, False),
    ("revise(s=8,p=2)", Revise(s=8, p=2), 16, Load(2, 2, 0, 4), False, False),
    ("revise(s=8,p=1,memory=2)", Revise(8, 1, 2), 8, Load(1, 1, 0, 2), False, False),
    ("revise(s=1,p=3)", Revise(s=1, p=3), 3, Load(3, 3, 0, 0), False, False),
]


@pytest.mark.parametrize("text, strategy, generations, load, scored, stepwise", STRATEGIES)
def test_a_strategy_prints_its_name_and_is_read_back(
    text, strategy, generations, load, scored, stepwise
):
    assert str(strategy) == text
    assert parse(text) == strategy
    assert strategy.generations == generations
    assert strategy.load == load
    assert (strategy.scored, strategy.stepwise) == (scored, stepwise)
    assert hash(parse(text)) == hash(strategy)
    with pytest.raises(FrozenInstanceError):
        setattr(strategy, fields(strategy)[0].name, 1)


@pytest.mark.parametrize("text, printed", [
    ("beam(N=16)", "beam(N=16,M=4)"),
    ("beam(N=8)", "beam(N=8,M=2)"),
    ("dvts(N=64)", "dvts(N=64,M=8)"),
    ("lookahead(N=6,k=2)", "lookahead(N=6,M=2,k=2)"),
    ("lookahead(N=16,M=4,k=0)", "beam(N=16,M=4)"),
    ("beam(N=16,M=4,rounds=40,distinct=False)", "beam(N=16,M=4)"),
    (" beam( M = 4, N=16 ) ", "beam(N=16,M=4)"),
    ("rebase(N=16,T=0.1)", "rebase(N=16)"),
    ("rebase(N=16,T=1)", "rebase(N=16,T=1.0)"),
    ("rebase(N=16,T=1e-05)", "rebase(N=16,T=1e-05)"),
    ("revise(p=2,s=3,memory=4)", "revise(s=3,p=2)"),
])
def test_other_spellings_have_one_name(text, printed):
    assert str(parse(text)) == printed
    assert parse(printed) == parse(text)


@pytest.mark.parametrize("text, message", [
    ("beam", "malformed 'beam': write beam(N=..., [M=..., rounds=..., distinct=...])"),
    ("beam(N=4", "malformed 'beam(N=4'"),
    ("beam(16,4)", "malformed '16' in 'beam(16,4)': write beam(N=..."),
    ("beam(N=4,)", "malformed ''"),
    ("beam(N=)", "malformed 'N=' in 'beam(N=)': give a number, True or False"),
    ("beam(N=four)", "malformed 'N=four'"),
    ("beam(N=4,M=2,k=1)", "unknown parameter 'k' in 'beam(N=4,M=2,k=1)': write beam(N=..."),
    ("best_of_n(n=4)", "unknown parameter 'n'"),
    ("beam(N=4,N=8)", "'N' is given twice"),
    ("beam()", "'beam()' lacks N: write beam(N=..."),
    ("lookahead(M=4)", "lacks N, k: write lookahead(N=..., k=..., ["),
    ("revise(s=4)", "lacks p: write revise(s=..., p=..., [memory=...])"),
    ("beam(N=0)", "beam with N=0: give a whole number of at least 1"),
    ("beam(N=-4)", "beam with N=-4"),
    ("beam(N=16.0)", "beam with N=16.0: give a whole number"),
    ("beam(N=True)", "beam with N=True: give a whole number"),
    ("beam(N=16,M=0)", "beam with M=0"),
    ("beam(N=2,M=4)", "budget N=2 is smaller than M=4: give an M that divides it (1, 2)"),
    ("dvts(N=9,M=2)", "budget N=9 is not a multiple of M=2: give an M that divides it (1, 3, 9)"),
    ("beam(N=4,distinct=1)", "beam with distinct=1: give True or False"),
    ("beam(N=4,rounds=0)", "beam with rounds=0"),
    ("lookahead(N=4,k=-1)", "lookahead with k=-1: give a whole number of at least 0"),
    ("best_of_n(N=0)", "best_of_n with N=0"),
    ("rebase(N=4,T=0)", "rebase with T=0: give a finite number above 0"),
    ("rebase(N=4,T=nan)", "rebase with T=nan"),
    ("revise(s=0,p=1)", "revise with s=0"),
    ("revise(s=1,p=1,memory=0)", "revise with memory=0"),
])
def test_what_cannot_be_read_says_why(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


@pytest.mark.parametrize("text", ["bream(N=4)", "Beam(N=4)", "", "(N=4)", "N=4", "beam4"])
def test_an_unknown_name_is_answered_with_the_known_ones(text):
    with pytest.raises(ValueError) as error:
        parse(text)
    assert f"unknown strategy {text!r}; known are best_of_n(N=...), " in str(error.value)
    for known in ("beam(N=..., [M=", "lookahead(N=..., k=", "dvts(", "rebase(", "revise(s=..., p="):
        assert known in str(error.value)


def test_every_parameter_of_every_strategy_can_be_read():
    for name, (make, needed, optional) in names._KNOWN.items():
        known = {field.name for field in fields(make)}
        assert set(needed + optional) == known - ({"k"} if name == "beam" else set())
