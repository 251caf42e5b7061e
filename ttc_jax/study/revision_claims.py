# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's claims about chains of revisions: 6 to 8.

Differences are of accuracy on the same questions, with bootstrap intervals over questions.
"""

import numpy as np

from ttc_jax.study.claim import (
    MORE,
    MUCH,
    NO_LESS,
    Claim,
    Lack,
    best_elsewhere,
    difference,
    judged,
    noted,
    unmeasured,
)
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.roles import policy_of

_SEEN = 5  # place of the last attempt that training had examples of: after four others
_LONG = "revise(s=16,p=4)"
_GRID = "revise(s=16,p=16)"


def progress(evidence: Evidence) -> Claim:
    """Claim 6: pass@1 of the attempts after the fifth, their mean.

    Less that of the first attempt, and less that of the fifth, must be above 0.
    """
    attempts, boot = evidence.attempts(), evidence.boot
    names = ("pass@1 of attempts beyond the fifth less the first", "the same less the fifth")
    if len(attempts) <= _SEEN:
        lack = _no_chains(f"more than {_SEEN} attempts", _LONG)
        parts = [unmeasured(name, MORE, lack) for name in names]
    else:
        late, most = np.mean(attempts[_SEEN:], axis=0), len(attempts)
        ends = f"{_by(evidence)}, attempts {_SEEN + 1} to {most}"
        parts = [
            judged(f"{name} ({ends})", MORE, difference(late, attempts[at], boot))
            for name, at in zip(names, (0, _SEEN - 1), strict=True)
        ]
    sentence = (
        "Accuracy along a chain of revisions rises beyond the fifth attempt, though training had "
        "at most four attempts in view."
    )
    return Claim(6, sentence, tuple(parts))


def selection(evidence: Evidence) -> Claim:
    """Claim 7: what is lost along a chain, and what selection keeps of it.

    The share of right attempts whose next one is wrong must be above `LARGE`. Of a whole chain, the
    answer by verifier (weighted) and that by majority, less the last attempt's, must be above 0.
    """
    attempts, lost = evidence.attempts(), evidence.lost_share()
    lack = _no_chains("several attempts", _LONG)
    name = "share of right attempts that the next one loses"
    known = lost is not None
    parts = [judged(name, MUCH, lost, "share") if known else unmeasured(name, MUCH, lack)]
    for how, rule in (("verifier", "hierarchical"), ("majority", "majority")):
        grid = evidence.grid(rule)
        whole = [s for s, p in grid if p == 1 and 1 < s <= len(attempts)]
        name = f"answer of a chain by {how} less its last attempt"
        if not whole:
            parts.append(unmeasured(name, MORE, lack))
            continue
        s = max(whole)
        gain = difference(grid[s, 1].right, attempts[s - 1], evidence.boot)
        parts.append(judged(f"{name} ({_by(evidence)}, {s} attempts)", MORE, gain))
    sentence = (
        "A large share of right answers is lost at the next revision (the paper's: 38%), so the "
        "last answer of a chain is worse than that of the verifier or of the majority."
    )
    return Claim(7, sentence, tuple(parts))


def ratio(evidence: Evidence) -> Claim:
    """Claim 8, at the largest N whose ratios were all measured, from (1,N) to (N,1).

    Overall the best ratio in between, chosen on the other half of the questions, less parallel and
    less sequential sampling must be above 0. In the easiest bin fully sequential less the best
    other ratio, chosen likewise, must not be below 0. Answers are chosen by the verifier.
    """
    grid, boot = evidence.grid("hierarchical"), evidence.boot
    names = (
        "the best ratio in between less fully parallel",
        "the best ratio in between less fully sequential",
    )
    easy_name = "bin 1: fully sequential less the best other ratio"
    whole = [s for s, p in grid if p == 1 and s >= 4 and (1, s) in grid]
    pairs = sorted(pair for pair in grid if whole and pair[0] * pair[1] == max(whole))
    beside = []
    if len(pairs) < 3:
        lack = _no_chains("all ratios of one budget of 4 or more", _GRID)
        parts = [unmeasured(name, MORE, lack) for name in names]
        parts.append(unmeasured(easy_name, NO_LESS, lack))
    else:
        parallel, *between, sequential = (grid[pair].right for pair in pairs)
        best, where = best_elsewhere(between, evidence.questions), f"at N = {max(whole)}"
        parts = [
            judged(f"{name} {where}", MORE, difference(best, end, boot))
            for name, end in zip(names, (parallel, sequential), strict=True)
        ]
        beside.append(noted(f"sequential less parallel {where}",
                            difference(sequential, parallel, boot)))  # fmt: skip
        bins = evidence.bins("oracle")
        if bins is None:
            lack = Lack(
                "bins of oracle difficulty: best-of-N and more questions", "best_of_n(N=64)"
            )
            parts.append(unmeasured(easy_name, NO_LESS, lack))
        else:
            easy = bins[0]
            others = [row[easy] for row in (parallel, *between)]
            rival = best_elsewhere(others, [evidence.questions[q] for q in easy])
            found = difference(sequential[easy], rival, boot)
            parts.append(judged(f"{easy_name} {where}", NO_LESS, found))
    sentence = (
        "At a large budget (the paper's: 128) a ratio of sequential to parallel in between is best "
        "overall; the easiest bin prefers fully sequential."
    )
    return Claim(8, sentence, tuple(parts), tuple(beside))


def _no_chains(what: str, strategy: str) -> Lack:
    lack = f"chains of revisions with {what}"
    return Lack(lack, strategy, "outcome_history", "revision")


def _by(evidence: Evidence) -> str:
    """Whose chains they are."""
    kinds = {policy_of(run).kind for run in evidence.runs_of("revision")}
    return "revision model" if "revision" in kinds else "policy not trained to revise"
