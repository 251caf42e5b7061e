# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import ast
import collections
import importlib.resources
import json
import math
import operator
from fractions import Fraction

import pytest

from ttc_jax.data.sources import load_questions

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
             ast.Div: operator.truediv, ast.FloorDiv: lambda a, b: Fraction(math.floor(a / b)),
             ast.USub: operator.neg}


def exact(node):
    """The value of an arithmetic expression as a fraction, by walking its syntax tree."""
    match node:
        case ast.Expression(body=body):
            return exact(body)
        case ast.Constant(value=int() | float() as value):
            return Fraction(str(value))
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](exact(left), exact(right))
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](exact(operand))
    raise ValueError(ast.dump(node))


def rows():
    text = importlib.resources.files("ttc_jax.data").joinpath("word_problems.jsonl").read_text(
        encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["id"])
def test_answer_is_what_the_arithmetic_gives(row):
    assert exact(ast.parse(row["check"], mode="eval")) == Fraction(row["answer"])


def test_levels_are_balanced_and_questions_differ():
    questions = load_questions("word_problems")
    assert len(questions) == 100
    assert collections.Counter(q.level for q in questions) == dict.fromkeys(range(1, 6), 20)
    assert len({q.text for q in questions}) == len({q.id for q in questions}) == 100
    assert all(q.id.startswith(f"word/{q.level}-") for q in questions)
    assert all(q.text.endswith("?") for q in questions)


def test_operations_grow_with_the_level():
    steps = collections.defaultdict(list)
    for row in rows():
        tree = ast.parse(row["check"], mode="eval")
        steps[row["level"]].append(sum(isinstance(n, ast.BinOp) for n in ast.walk(tree)))
    assert set(steps[1]) == set(steps[2]) == {1}
    assert min(steps[3]) >= 2 and min(steps[4]) >= 2 and min(steps[5]) >= 4
    means = [sum(steps[level]) / 20 for level in range(2, 6)]
    assert means == sorted(means) and len(set(means)) == 4
