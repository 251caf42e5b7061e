# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The ten claims: on curves set by hand, and on whole made-up worlds in which they hold or fail."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from study.measured_points import measured
from study.synthetic_runs import HISTORY, ORM, REVISION, write_run
from study.synthetic_world import questions_of

from ttc_jax.report.claims import counted, table, tally
from ttc_jax.study import revision_claims, search_claims
from ttc_jax.study.claim import REFUTED, SHOWN, UNDECIDED, Claim
from ttc_jax.study.claims import stars
from ttc_jax.study.curves import Curve
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.optimum import Optimum
from ttc_jax.study.runs import find_runs
from ttc_jax.study.settings import ReportSettings
from ttc_jax.study.stats import Interval

Q = 200
QUICK = ReportSettings(resamples=200)


def right(share: float) -> np.ndarray:
    """Right on a share of the questions, a little different in each."""
    return np.clip(share + 0.02 * np.cos(np.arange(Q)), 0, 1)


def curve(name: str, points: dict[int, float | np.ndarray]) -> Curve:
    rows = {n: right(y) if np.isscalar(y) else y for n, y in points.items()}
    return Curve(name, tuple(measured(name, float(n), row) for n, row in rows.items()))


@dataclass
class Known:
    """Evidence set by hand: best-of-N by (rule, kind, aggregate), searches by family."""

    pools: dict = field(default_factory=dict)
    searches: dict = field(default_factory=dict)
    ratios: dict = field(default_factory=dict)
    chains: list = field(default_factory=list)
    lost: Interval | None = None
    by_bin: list | None = None
    questions: tuple = tuple(f"q{i:03d}" for i in range(Q))
    boot: dict = field(default_factory=lambda: {"n_resamples": 200, "level": 0.95})

    def best_of_n(self, rule, kind, aggregate=""):
        return self.pools.get((rule, kind, aggregate))

    def searches_by(self, rule):
        return self.searches

    def grid(self, rule):
        return self.ratios.get(rule, {})

    def attempts(self):
        return self.chains

    def lost_share(self):
        return self.lost

    def bins(self, estimator):
        return self.by_bin

    def runs_of(self, role):
        return []


def verdicts(claim: Claim) -> list[str]:
    return [part.verdict for part in claim.parts]


def means(claim: Claim) -> list[float]:
    return [round(part.found.mean, 3) for part in claim.parts]


def pools(**curves) -> dict:
    """`weighted_prm={1: .3, ...}` and so on."""
    return {(*name.split("_"), ""): curve(name, points) for name, points in curves.items()}


def test_1_weighted_and_plain():
    plain = {1: 0.3, 4: 0.5, 16: 0.6, 64: 0.4}
    world = Known(pools(weighted_prm={4: 0.4, 64: 0.6}, best_prm={4: 0.4, 64: 0.5},
                        weighted_orm={4: 0.4, 64: 0.5}, best_orm=plain))  # fmt: skip
    claim = search_claims.weighting(world)
    assert claim.verdict == SHOWN and means(claim) == [0.1, 0.1, 0.2]
    assert "ORM plain best-of-N, the best smaller N less N = 64: +20.0 points" in claim.measured
    rising = pools(best_orm=plain | {64: 0.7}, weighted_orm={64: 0.7})
    claim = search_claims.weighting(Known(world.pools | rising))
    assert claim.verdict == REFUTED and verdicts(claim) == [SHOWN, UNDECIDED, REFUTED]
    claim = search_claims.weighting(Known({k: v for k, v in world.pools.items() if "prm" in k}))
    assert claim.verdict == UNDECIDED and verdicts(claim) == [SHOWN, UNDECIDED]
    assert claim.parts[1].lack.scorer == "outcome"


def test_2_last_against_other_aggregates():
    made = {("weighted", "prm", name): curve(name, {8: y})
            for name, y in (("last", 0.5), ("min", 0.4), ("prod", 0.3))}  # fmt: skip
    claim = search_claims.aggregates(Known(made))
    assert claim.verdict == SHOWN and means(claim) == [0.1, 0.2]
    made["weighted", "prm", "prod"] = curve("prod", {8: 0.6})
    assert search_claims.aggregates(Known(made)).verdict == REFUTED
    assert verdicts(search_claims.aggregates(Known())) == [UNDECIDED] * 2


def test_3_beam_wins_at_first():
    beam = {4: 0.5, 64: 0.6}
    world = Known(
        pools(weighted_prm={4: 0.4, 16: 0.5, 64: 0.7}, best_prm={4: 0.3, 16: 0.5, 64: 0.5}),
        {"beam_4": curve("beam", beam), "beam_sqrt": curve("beam", {16: 0.65, 64: 0.1})},
    )
    claim = search_claims.beam(world)
    assert claim.verdict == SHOWN and means(claim) == [0.125, -0.1]
    assert "N = 4, 16: +12.5 points" in claim.measured and "N = 64: -10.0" in claim.measured
    beside = {part.name: round(part.found.mean, 3) for part in claim.beside}
    assert beside["beam M=4 less plain best-of-N, N = 4, 16"] == 0.175
    assert beside["beam M=4 less plain best-of-N, N = 64"] == 0.1
    assert beside["how far the gap closes from N = 4, 16 to N = 64"] == 0.225
    world.searches["beam_4"] = curve("beam", beam | {64: 0.9})
    assert verdicts(search_claims.beam(world)) == [SHOWN, REFUTED]
    # A beam that best-of-N is too small for: a pool of twice as many, half for difficulty.
    world.searches["beam_4"] = curve("beam", {4: 0.5, 256: 0.9})
    claim = search_claims.beam(world)
    assert claim.verdict == UNDECIDED and claim.parts[1].lack.strategy == "best_of_n(N=512)"


def test_4_lookahead_at_equal_budgets():
    searches = {"beam_sqrt": curve("beam", {16: 0.5, 64: 0.6}),
                "lookahead_1_sqrt": curve("lookahead", {16: 0.4, 64: 0.5, 128: 0.9}),
                "lookahead_3_4": curve("lookahead", {16: 0.9})}  # fmt: skip
    claim = search_claims.lookahead(Known(searches=searches))
    assert verdicts(claim) == [SHOWN, REFUTED] and means(claim) == [-0.1, 0.4]
    del searches["lookahead_3_4"]
    assert search_claims.lookahead(Known(searches=searches)).verdict == SHOWN
    del searches["beam_sqrt"]
    claim = search_claims.lookahead(Known(searches=searches))
    assert claim.verdict == UNDECIDED and "lookahead" in claim.parts[0].lack.strategy


def test_5_by_difficulty():
    bins = np.split(np.arange(Q), 5)

    def by_bin(*shares: float) -> np.ndarray:
        return np.repeat(shares, Q // 5) + 0.02 * np.cos(np.arange(Q))

    first = by_bin(0.8, 0.6, 0.4, 0.2, 0.02)
    last = by_bin(0.7, 0.6, 0.5, 0.3, 0.03) + 0.01 * np.sin(np.arange(Q))
    world = Known(
        pools(weighted_prm={4: first - 0.1, 16: last - by_bin(-0.1, -0.1, 0.1, 0.1, 0.11)},
              best_prm={4: first, 16: last}),
        {"beam_4": curve("beam", {4: first, 16: last})}, by_bin=bins,
    )  # fmt: skip
    claim = search_claims.difficulty(world)
    assert claim.verdict == SHOWN, claim.measured
    assert means(claim)[0] == pytest.approx(-0.05, abs=0.01)
    world.searches["beam_4"] = curve("beam", {4: first, 16: last + 0.2})
    claim = search_claims.difficulty(world)
    assert verdicts(claim) == [REFUTED, SHOWN, SHOWN, REFUTED, SHOWN]
    claim = search_claims.difficulty(replace(world, by_bin=bins[:3]))
    assert claim.verdict == UNDECIDED and "5 bins" in claim.parts[0].lack.what


def test_6_beyond_the_fifth_attempt():
    rising = [right(0.3 + 0.02 * i) for i in range(8)]
    claim = revision_claims.progress(Known(chains=rising))
    assert claim.verdict == SHOWN and means(claim) == [0.12, 0.04]
    flat = [*rising[:5], *[right(0.3)] * 3]
    assert verdicts(revision_claims.progress(Known(chains=flat))) == [UNDECIDED, REFUTED]
    claim = revision_claims.progress(Known(chains=rising[:5]))
    assert claim.verdict == UNDECIDED and claim.parts[0].lack.model == "revision"


def test_7_what_is_lost():
    chains = [right(0.3), right(0.4)]
    ratios = {rule: {(2, 1): measured("revise", 2.0, right(y)), (1, 1): None, (1, 2): None}
              for rule, y in (("hierarchical", 0.6), ("majority", 0.5))}  # fmt: skip
    world = Known(ratios=ratios, chains=chains, lost=Interval(0.38, 0.3, 0.45, Q))
    claim = revision_claims.selection(world)
    assert claim.verdict == SHOWN and means(claim) == [0.38, 0.2, 0.1]
    assert "38.0% [30.0%, 45.0%]" in claim.measured
    few = replace(world, lost=Interval(0.05, 0.02, 0.08, Q))
    assert verdicts(revision_claims.selection(few)) == [REFUTED, SHOWN, SHOWN]
    assert verdicts(revision_claims.selection(Known())) == [UNDECIDED] * 3


def test_8_a_ratio_in_between():
    bins = [np.arange(40), np.arange(40, Q)]

    def points(**shares) -> dict:
        return {tuple(map(int, name[1:].split("_"))): measured("revise", 4.0, y)
                for name, y in shares.items()}  # fmt: skip

    easy = np.arange(Q) < 40
    grid = points(_1_4=right(0.4), _2_2=right(0.6), _4_1=right(0.5) + 0.3 * easy)
    grid |= points(_16_16=right(0.9))  # a single ratio says nothing
    world = Known(ratios={"hierarchical": grid}, by_bin=bins)
    claim = revision_claims.ratio(world)
    assert claim.verdict == SHOWN and "at N = 4" in claim.measured
    assert means(claim) == [0.2, 0.04, 0.2]
    grid |= points(_4_1=right(0.8))
    assert verdicts(revision_claims.ratio(world)) == [SHOWN, REFUTED, SHOWN]
    del grid[1, 4]
    assert verdicts(revision_claims.ratio(world)) == [UNDECIDED] * 3


def test_10_is_arithmetic():
    claim = stars()
    assert claim.verdict == SHOWN
    for value in ("15.77", "63.37", "257.75"):
        assert f"k = {value}" in claim.measured


def rows_of(path) -> dict[int, dict]:
    evidence = Evidence(find_runs([path]), QUICK)
    return {row["number"]: row for row in table(Optimum(evidence))}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """A world that works as the paper says, and one whose revisions and verifiers do not."""
    path, questions = tmp_path_factory.mktemp("worlds"), questions_of(100)
    for world, decline, sharpness in (("good", 0.0, 4.0), ("bad", 0.12, 1e-6)):
        prm = {"sharpness": sharpness, "questions": questions}
        write_run(path / world / "pool", "best_of_n(N=32)", **prm)
        for n in (4, 16):
            write_run(path / world / f"beam_{n}", f"beam(N={n},M=4)", **prm)
        write_run(path / world / "revise", "revise(s=8,p=4)", policy=REVISION, verifier=HISTORY,
                  decline=decline, questions=questions)  # fmt: skip
    write_run(path / "good" / "lookahead", "lookahead(N=8,k=1,M=4)", sharpness=4.0,
              questions=questions)  # fmt: skip
    write_run(path / "good" / "orm", "best_of_n(N=8)", verifier=ORM, questions=questions)
    return {name: rows_of(path / name) for name in ("good", "bad")}


def test_claims_of_a_world_are_what_it_was_built_to_be(worlds):
    good, bad = worlds["good"], worlds["bad"]
    assert [good[n]["verdict"] for n in (4, 7, 10)] == [SHOWN] * 3
    assert good[3]["parts"][0]["verdict"] == SHOWN  # beam search with a verifier that knows
    assert bad[3]["parts"][0]["verdict"] != SHOWN
    assert good[9]["parts"][0]["verdict"] == SHOWN  # of search; with the estimate it costs more
    assert good[9]["beside"][0]["difference"]["mean"] < good[9]["difference"]["mean"]
    assert bad[9]["verdict"] != SHOWN
    assert good[6]["parts"][0]["verdict"] == SHOWN and bad[6]["verdict"] == REFUTED
    for rows in worlds.values():
        assert list(rows) == list(range(1, 11))
        assert sum(tally(list(rows.values())).values()) == 10
        assert counted(list(rows.values())).endswith("undecided")
        assert rows_are_plain(rows)


def rows_are_plain(rows: dict) -> bool:
    """Whether every part says what it compares, and names a run where it lacks data."""
    parts = [part for row in rows.values() for part in row["parts"] + row["beside"]]
    return all(
        part["said"] and (part["difference"] or part["unit"] == "exact" or part["command"])
        for part in parts
    )


def test_a_single_pool_decides_little_and_says_what_is_lacking(tmp_path):
    write_run(tmp_path / "w", "best_of_n(N=4)", questions=2, verifier=None)
    rows = rows_of(tmp_path / "w")
    assert {n for n, row in rows.items() if row["verdict"] != UNDECIDED} == {10}
    assert rows_are_plain(rows)
    for number, strategy in ((3, "beam(N=16,M=4)"), (6, "revise(s=16,p=4)"), (1, "best_of_n")):
        assert strategy in rows[number]["parts"][0]["command"]
        assert "needs" in rows[number]["compared"]
