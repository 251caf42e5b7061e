# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How the page writes numbers, spending and savings."""

import pytest

from ttc_jax.report import words
from ttc_jax.report.ledger import spent, used_phases
from ttc_jax.report.savings import savings


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (words.percent, 0.4321, "43.2"),
        (words.percent, -0.00001, "0.0"),
        (words.signed, 0.031, "+3.1"),
        (words.signed, -0.2, "\N{MINUS SIGN}20.0"),
        (words.signed, 0.0001, "0.0"),
        (words.amount, 16.0, "16"),
        (words.amount, 257.75, "257.8"),
        (words.amount, 3.2e14, "320 T"),
        (words.amount, "all", "all"),
        (words.si, 12.0, "12 "),
        (words.si, 3.1e12, "3.1 T"),
        (words.duration, 3.14159, "3.14 s"),
        (words.duration, 60, "1 min"),
        (words.duration, 812, "13 min 32 s"),
        (words.duration, 12345, "3 h 26 min"),
        (words.duration, 200_000, "2 d 7 h"),
        (words.score, 0.98765, "0.988"),
        (words.mark, "correct", "✓"),
        (words.verdict, "wrong", "✗ wrong"),
        (words.verdict, "timeout", "grading timed out"),
        (words.unit, "flops", "FLOPs per question"),
        (words.sentence, "needs a run", "Needs a run."),
    ],
)
def test_numbers_as_they_are_written(write, value, text):
    assert write(value) == text


@pytest.mark.parametrize("write", ["percent", "signed", "amount", "si", "duration", "score"])
def test_what_is_not_known_is_a_dash(write):
    assert getattr(words, write)(None) == "–"


def test_a_bar_of_what_was_spent():
    row = {"run": "r", "useful": {"verify": 3.0, "decode": 5.0, "later": 0.0}, "discarded": 2.0,
           "executed": 20.0, "seconds": 4.0}  # fmt: skip
    phases = used_phases([row, {"useful": {"prefill": 1.0, "new": 1.0}}])
    assert phases == ["prefill", "decode", "verify", "new"]
    bar = spent(row, phases)
    assert bar.shares == (("decode", 0.5), ("verify", 0.3)) and bar.discarded_share == 0.2
    assert (bar.total, bar.waste, bar.ratio, bar.speed) == (10.0, 0.2, 2.0, 2.5)
    assert (bar.width, bar.executed_width) == (50.0, 100.0)
    assert bar.said == "decode 50.0%, verify 30.0%, discarded 20.0%"


def test_a_bar_of_nothing():
    row = {"run": "r", "useful": {}, "discarded": 0.0, "executed": None, "seconds": None}
    bar = spent(row, [])
    assert (bar.total, bar.waste, bar.ratio, bar.speed, bar.shares) == (0.0, None, None, None, ())


def entry(estimator: str, unit: str, charged: bool, **factor) -> dict:
    known = {"mean": 2.0, "low": 1.5, "high": 3.0, "censored": ""}
    return {"kind": "search", "estimator": estimator, "unit": unit, "charged": charged,
            "factor": known | factor, "bold": True, "sentence": "s"}  # fmt: skip


def test_savings_make_a_table():
    found = savings([
        entry("oracle", "generations", False),
        entry("oracle", "flops", True, mean=0.4, low=0.2, high=None, censored="at most"),
        entry("few", "flops", True, mean=0.0),
        {"sentence": "no number", "bold": False},
    ])  # fmt: skip
    assert found.columns == ("generations", "FLOPs, difficulty paid for")
    assert found.rows == (
        ("search, oracle bins", (("2 ×", "[1.5, 3]", True), ("≤ 0.4 ×", "[0.2, ∞]", True))),
        ("search, few bins", (("–", "", False), ("never as good", "", False))),
    )
    assert savings([]).rows == ()
