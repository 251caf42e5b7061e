# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
from decimal import Decimal

import pytest

from ttc_jax.verify.grade import extract, normalise, plain_number


@pytest.mark.parametrize("text, answer", [
    (r"so \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
    (r"first \boxed{17} then \boxed{18}", "18"),
    (r"\boxed{\left\{1, \frac{2}{3}\right\}}", r"\left\{1, \frac{2}{3}\right\}"),
    (r"\boxed{5} and then \boxed{\frac{1", "5"),
    (r"The answer is \boxed{7}, #### 8", "7"),
    (r"\boxed{} The answer is 4.", "4"),
    ("steps\n#### 1,234\n", "1,234"),
    ("#### 3\nThe answer is 4.", "3"),
    ("The answer is 18.", "18"),
    ("the ANSWER IS 3.50.\n", "3.50"),
    ("The answer is $18.00 per day.", "18.00 per day"),
    ("The answer is $x=5$.", "x=5"),
    (r"The final answer is: \(\frac{1}{2}\).", r"\frac{1}{2}"),
    ("**Answer:** 18", "18"),
    ("answer: -3", "-3"),
    ("The answer is **18**.", "18"),
    ("The answer is\n18\n", "18"),
    ("The answer is 17. Wait. The answer is 18.", "18"),
    ("The answer is 18. I am sure this answer is right.", "18"),
    ("The answer is 18 because there are 5 boxes.", "18"),
    ("The answer is that Tom has 7 apples.", "7"),
    ("The answer is 3, 5, 7.", "3, 5, 7"),
    ("The answer is x = 2, or x = 3.", "x = 2, or x = 3"),
    ("The answer is Evelyn.", "Evelyn"),
    ("Answer: Let us think about this step by step.", None),
    ("Tom has 7 apples.", None),
    (r"\boxed{\frac{1", None),
    ("The answer is", None),
    ("", None),
])
def test_extract(text, answer):
    assert extract(text) == answer


def test_last_number_only_on_request():
    text = "Tom has 3 apples, then 10-3=7, so $1,007.50."
    assert extract(text) is None
    assert extract(text, last_number=True) == "1,007.50"
    assert extract("10 minus 3 makes 10-3", last_number=True) == "3"
    assert extract("The answer is 5, not 6.", last_number=True) == "5"
    assert extract("none at all", last_number=True) is None


@pytest.mark.parametrize("text, value", [
    ("18", "18"), ("18.00", "18"), ("1,234", "1234"), ("1,234,567.8", "1234567.8"), ("-5", "-5"),
    ("\N{MINUS SIGN}5", "-5"), (".5", "0.5"), ("007", "7"), (r"\$18", "18"), ("-$5", "-5"),
    ("18 apples", "18"), ("20 miles per hour", "20"), (r"180\text{ miles}", "180"),
    (r"11,\! 880", "11880"), ("1{,}234", "1234"), ("3 + 4 = 7 apples", "7"), ("$5 \\times 2", None),
    ("1,8", None), ("1,23", None), ("1234,567", None), ("0,123", None), ("1/2", None),
    ("50%", None), ("5 million", None), ("3 or 4", None), ("2 pi", None), ("x", None),
    ("5 x", None), ("7 hours and 30 minutes", None), ("", None),
])
def test_plain_numbers(text, value):
    assert plain_number(normalise(text)) == (None if value is None else Decimal(value))


def test_normalise_leaves_matrix_rows_apart():
    matrix = r"\begin{pmatrix} -7 \\ 16 \end{pmatrix}"
    assert normalise(matrix + r"\,") == matrix
