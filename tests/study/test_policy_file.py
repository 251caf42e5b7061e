# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from ttc_jax.study.fitted import Considered, Entry, FittedPolicy
from ttc_jax.study.policy_file import read, write


def policy() -> FittedPolicy:
    others = (Considered("beam(N=4)", "weighted", 0.5), Considered("best_of_n(N=4)", "best", 0.25))
    table = tuple(
        Entry(b, 4.0, "beam(N=4)", "weighted", "runs/beam", 0.5, 0.25, 0.75, 8, 1.5e12, 4.0, 1.0,
              others)
        for b in (0, 1)
    )  # fmt: skip
    return FittedPolicy(
        unit="generations",
        estimator={"name": "few", "samples": 4, "mean": 0.5, "between": 0.04, "within": 0.1},
        edges=(0.5,),
        table=table,
        sources={"runs/beam": {"search.strategy": "beam(N=4)", "sampling.temperature": 0.8}},
        made_from={"questions": 16, "folds": 2},
    )


def test_a_policy_is_the_same_after_a_file(tmp_path):
    write(policy(), tmp_path / "policy.json")
    assert read(tmp_path / "policy.json") == policy()
    first = (tmp_path / "policy.json").read_bytes()
    write(read(tmp_path / "policy.json"), str(tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_bytes() == first


DROP = object()


@pytest.mark.parametrize("place, value, message", [
    (("format",), 2, "format is not 1"),
    (("unit",), DROP, "unit is missing"),
    (("unit",), 3, "unit is 3"),
    (("edges",), 0.5, "edges is not a list"),
    (("edges", 0), "x", r"edges\[0\] is 'x', not a finite number"),
    (("edges", 0), True, r"edges\[0\] is True, not a finite number"),
    (("edges", 0), float("nan"), r"edges\[0\] is nan, not a finite number"),
    (("table",), {}, "table is not a list"),
    (("table", 1), 5, r"table\[1\].considered is missing"),
    (("table", 1, "bin"), 1.0, r"table\[1\].bin is 1.0, not a whole number"),
    (("table", 1, "bin"), DROP, r"table\[1\].bin is missing"),
    (("table", 0, "budget"), None, r"table\[0\].budget is None, not a finite number"),
    (("table", 0, "strategy"), 4, r"table\[0\].strategy is 4, not a text"),
    (("table", 0, "accuracy"), 1.5, r"table\[0\].accuracy is 1.5; it must lie in \[0, 1\]"),
    (("table", 0, "low"), -0.5, r"table\[0\].low is -0.5; it must lie"),
    (("table", 0, "considered", 1, "accuracy"), 2,
     r"table\[0\].considered\[1\].accuracy is 2; it must"),
    (("table", 0, "considered", 1, "rule"), DROP, r"table\[0\].considered\[1\].rule is missing"),
    (("table", 0, "considered"), "x", r"table\[0\].considered is not a list"),
    (("sources",), [], "sources is not an object"),
    (("estimator",), None, "estimator is not an object"),
    (("estimator", "samples"), 0, "estimator.samples is 0"),
    (("made_from",), DROP, "made_from is missing"),
])  # fmt: skip
def test_file_and_field_are_named(tmp_path, place, value, message):
    path = tmp_path / "policy.json"
    write(policy(), path)
    stored = json.loads(path.read_text())
    part = stored
    for key in place[:-1]:
        part = part[key]
    if value is DROP:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=rf"policy\.json is not a policy file: {message}"):
        read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"unit": "generations"}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(ValueError, match="policy.json is not a policy file"):
        read(tmp_path / "policy.json")
    (tmp_path / "policy.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="policy.json is not a policy file"):
        read(tmp_path / "policy.json")


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.json"):
        read(tmp_path / "none.json")
