# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What the runs of a report show, question by question: curves, bins and allocations.

Everything here is over the same questions in the same order: those that all runs have finished.
The first candidates of the largest pool of the small policy estimate difficulty; curves are drawn
from the others, so that no question is put in a bin by what it is scored with.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN
from ttc_jax.study import bins as binning
from ttc_jax.study.curves import (
    SCORELESS,
    Curve,
    Measured,
    best_of_n_curve,
    curve_of,
    recorded,
)
from ttc_jax.study.difficulty import Difficulty
from ttc_jax.study.estimates import Estimates
from ttc_jax.study.families import families
from ttc_jax.study.likelihood import (
    LIKELIHOOD,
    RULES,
    Control,
    against,
    by_likelihood,
    unscored,
)
from ttc_jax.study.pool import (
    Pool,
    common,
    number_answers,
    read_pools,
    rescored,
    split,
    stored_questions,
)
from ttc_jax.study.probed import probed
from ttc_jax.study.revisions import lost_share, pass_at_revision, revision_grid
from ttc_jax.study.roles import Roles, assign, greedy, policy_of
from ttc_jax.study.runs import Run
from ttc_jax.study.settings import ReportSettings
from ttc_jax.study.stats import Interval, bootstrap, ratio_bootstrap
from ttc_jax.study.verifier_quality import StepQuality, last_quality, quality
from ttc_jax.study.weak import noisy

ESTIMATORS = ("oracle", "predicted", "few", "probe")
_UNFINISHED = 0.5  # runs with fewer of their questions are left out


class Evidence:
    """The searches of a report, read once; what is asked for is computed when it is asked for.

    Attributes:
      searches: the runs that count; unfinished: those that do not.
      questions: ids of the Q questions of every array, sorted.
      roles: which policy is which.
      notes: what a reader should know, in sentences.
      stored: number of questions that each search has stored.
      spent: FLOPs by phase of each search, and the part that was discarded, over all it has stored.
      timeouts: number of candidates whose grading timed out, by run.
    """

    def __init__(self, runs: Sequence[Run], settings: ReportSettings):
        """Reads the candidates of all searches.

        Raises:
          ValueError: no search has stored a question, no question is stored in all of them, or
            samples cannot be read.
        """
        self.settings, self.notes = settings, []
        found = [run for run in runs if run.job == "search"]
        if not found:
            raise ValueError("there is no search among the runs; a report is about searches")
        # Seen before the answers are numbered: a run that goes on may store more meanwhile.
        stored = {run.name: stored_questions(run) for run in found}
        classes = number_answers(found)
        pools = {run.name: read_pools(run, stored[run.name], classes) for run in found}
        done = {run.name: len(pools[run.name]) / max(1, len(run.questions)) for run in found}
        if not any(done.values()):
            raise ValueError("no search has stored a question yet; let one go on for a while")
        least = min(_UNFINISHED, max(done.values()))
        self.unfinished = [run for run in found if done[run.name] < least]
        self.searches = [run for run in found if done[run.name] >= least]
        self.roles: Roles = assign(self.searches)
        late = {
            question
            for run in self.searches
            for question, pool in pools[run.name].items()
            if isinstance(run.strategy, BestOfN) and pool.timeouts > len(pool)
        }
        there = common(pools[run.name] for run in self.searches)
        self.questions = tuple(question for question in there if question not in late)
        if late:
            self.note(
                f"{', '.join(sorted(late)[:5])}: left out, as grading timed out for more than half "
                f"of the candidates ({len(late)} questions)."
            )
        if not self.questions:
            raise ValueError(
                "no question is stored in every run: "
                + "; ".join(f"{run.name} has {len(pools[run.name])}" for run in self.searches)
            )
        self.stored = {run.name: len(pools[run.name]) for run in found}
        self.spent = {run.name: _spent(pools[run.name].values()) for run in found}
        self._probed = probed(runs, self.questions)
        self._pools: dict[str, dict[str, Pool]] = {
            run.name: {q: pools[run.name][q] for q in self.questions} for run in self.searches
        }
        self.timeouts = Counter(
            {name: sum(p.timeouts for p in own.values()) for name, own in self._pools.items()}
        )

    def note(self, sentence: str) -> None:
        """Keeps what a reader should know, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    # ------------------------------------------------------------------ runs

    def runs_of(self, role: str, kind: str | None = None) -> list[Run]:
        """Searches of the policy in a role, with a verifier of a kind if one is named.

        Of several verifiers of a kind the one that most runs have counts.
        """
        path = self.roles.path(role)
        own = [run for run in self.searches if path is not None and policy_of(run).path == path]
        if kind is None:
            return own
        own = [run for run in own if run.verifier is not None and run.verifier.kind == kind]
        used = Counter(run.verifier.path for run in own)
        return [run for run in own if run.verifier.path == max(used, key=lambda v: (used[v], v))]

    def pools(self, run: Run) -> dict[str, Pool]:
        """The pools of a run, without the candidates that difficulty was estimated from."""
        own, apart = self._pools[run.name], self._difficulty_run
        if apart is None or not isinstance(run.strategy, BestOfN) or greedy(run):
            return own
        if _draws(run) != _draws(apart):
            return own
        return {q: split(pool, self.estimates.apart)[1] for q, pool in own.items()}

    def largest_pool(self, role: str = "base", kind: str | None = None) -> Run | None:
        """The run of most independent samples of a policy, scored if there is such a one.

        Runs that hold no candidate beyond those that difficulty is estimated from do not count.
        """
        found, apart = self._independent(role, kind), self._difficulty_run
        for run in [run for run in found if apart is not None and _draws(run) == _draws(apart)]:
            if run.strategy.generations <= self.estimates.apart:
                found.remove(run)
                self.note(
                    f"{run.name} is not drawn: its {run.strategy.generations} samples are the same "
                    f"as the first of {apart.name}, which tell how hard a question is. Sample more "
                    f"in it, or let fewer tell that (--difficulty)."
                )
        return max(found, key=_merit, default=None)

    def _independent(self, role: str, kind: str | None = None) -> list[Run]:
        return [
            run
            for run in self.runs_of(role, kind)
            if isinstance(run.strategy, BestOfN) and not greedy(run)
        ]

    # ------------------------------------------------------------------ curves

    @functools.cache  # noqa: B019 - one report, one Evidence
    def best_of_n(
        self,
        rule: str,
        kind: str | None = None,
        *,
        role: str = "base",
        aggregate: str = "",
        flipped: float = 0.0,
    ) -> Curve | None:
        """Best-of-N for every budget from the largest pool.

        The kind "likelihood" chooses by the policy's own likelihood, for which any pool will do.
        `aggregate` remakes the values from the scores of steps; `flipped` is the share of values
        that are taken for their opposites.
        """
        if kind is None and rule not in SCORELESS:
            kind = "prm" if self.largest_pool(role, "prm") else "orm"
        run = self.largest_pool(role, None if kind == LIKELIHOOD else kind)
        if run is None:
            return None
        pools = self.pools(run)
        if kind == LIKELIHOOD:
            pools = {q: by_likelihood(pool) for q, pool in pools.items()}
        if aggregate:
            pools = {q: rescored(pool, aggregate) for q, pool in pools.items()}
        if flipped:
            pools = {q: noisy(pool, flipped) for q, pool in pools.items()}
        return best_of_n_curve(run, pools, self.questions, rule)

    @functools.cache  # noqa: B019
    def searches_by(self, rule: str, role: str = "base", kind: str = "prm") -> Mapping[str, Curve]:
        """A curve for each family of step-by-step searches against a verifier, by its key.

        Those by the likelihood have families of their own, such as "likelihood_beam_4".
        """
        runs = [run for run in self.runs_of(role, kind) if run.strategy.stepwise]
        mark, said = ("", "") if kind == "prm" else (f"{kind}_", f", {kind}")
        return {
            mark + key: curve_of(
                own.label + said,
                [recorded(run, self.pools(run), self.questions, rule) for run in own.runs],
            )
            for key, own in sorted(families(runs).items())
        }

    @functools.cache  # noqa: B019
    def grid(
        self, rule: str, kind: str | None = None, role: str = "revision"
    ) -> Mapping[tuple[int, int], Measured]:
        """Revisions for every length and number of chains.

        Without a kind they are scored by the revision ORM if there is one, else by another
        verifier; a rule that reads no scores takes what there is, as does the likelihood.
        """
        kinds = [kind] if kind not in (None, LIKELIHOOD) else ["orm_history", "prm", "orm"]
        if kind == LIKELIHOOD or rule in SCORELESS and kind is None:
            kinds.append(None)
        for wanted in kinds:
            runs = [run for run in self.runs_of(role, wanted) if isinstance(run.strategy, Revise)]
            if runs:
                pools = [(run, self.pools(run)) for run in runs]
                if kind == LIKELIHOOD:
                    pools = [(run, {q: by_likelihood(p) for q, p in own.items()})
                             for run, own in pools]  # fmt: skip
                return revision_grid(pools, self.questions, rule)
        return {}

    def attempts(self) -> list[np.ndarray]:
        """For each place in a chain of revisions, how often attempts there are right, f64[Q]."""
        run = self._longest_chains()
        if run is None:
            return []
        return [m.right for m in pass_at_revision(run, self.pools(run), self.questions)]

    def lost_share(self) -> Interval | None:
        """Of right attempts that were revised, the share that became wrong."""
        run = self._longest_chains()
        if run is None:
            return None
        lost, followed = lost_share(run, self.pools(run), self.questions)
        return ratio_bootstrap(lost, followed, **self.boot) if followed.any() else None

    def _longest_chains(self) -> Run | None:
        runs = [run for run in self.runs_of("revision") if isinstance(run.strategy, Revise)]
        return max(runs, key=lambda run: (run.strategy.s, run.strategy.p, run.name), default=None)

    def greedy_answers(self, role: str) -> Measured | None:
        """The answers of a policy at temperature 0."""
        run = next((run for run in self.runs_of(role) if greedy(run)), None)
        if run is None:
            return None
        return recorded(run, self.pools(run), self.questions, "majority")

    def control(self, kind: str) -> Control | None:
        """A verifier against the likelihood; None where there is no verifier of this kind."""
        weighted = self.best_of_n("weighted", kind)
        rivals = [self.best_of_n(rule, LIKELIHOOD) for rule in RULES]
        return weighted and against(kind, weighted, [c for c in rivals if c], **self.boot)

    def verifier_quality(self) -> dict[str, tuple[str, list[StepQuality]]]:
        """Of each kind of verifier the run it is judged by and what its scores are worth by step.

        That is the largest pool that it scored, whole. The likelihood is judged by that too or,
        where no run was scored by it, by the largest pool of all, at the last step alone.
        """
        found = {}
        for kind in ("prm", "orm", LIKELIHOOD):
            run = max(self._independent("base", kind), key=_merit, default=None)
            if run is None and kind == LIKELIHOOD and (run := self.largest_pool()):
                pools = [by_likelihood(pool) for pool in self._pools[run.name].values()]
                found[kind] = run.name, list(last_quality(pools, **self.boot))
            elif run is not None:
                pools = list(self._pools[run.name].values())
                found[kind] = run.name, list(quality(pools, **self.boot))
        return {kind: judged for kind, judged in found.items() if judged[1]}

    # ------------------------------------------------------------------ difficulty

    @functools.cached_property
    def _difficulty_run(self) -> Run | None:
        run = max(self._independent("base"), key=_merit, default=None)
        return run if run is not None and run.strategy.generations >= 2 else None

    @functools.cached_property
    def estimates(self) -> Estimates | None:
        """What the first candidates of the largest pool say of difficulty; None without a pool."""
        run = self._difficulty_run
        if run is None:
            return None
        pools = list(self._pools[run.name].values())
        if run.verifier is not None and run.verifier.kind == LIKELIHOOD:
            pools = [unscored(pool) for pool in pools]
        half = min(run.strategy.generations // 2, min(map(len, pools)) - 1)
        return Estimates(run.name, pools, self.settings.samples or half)

    @functools.cache  # noqa: B019
    def difficulty(self, estimator: str) -> Difficulty | None:
        """An estimate of how easy the questions are; None where it lacks data."""
        if estimator == "probe":
            return self._probed
        return None if self.estimates is None else self.estimates.of(estimator)

    @functools.cache  # noqa: B019
    def bin_numbers(self, estimator: str) -> np.ndarray | None:
        """The bin of each question, i64[Q]; None, with a note, where it cannot be told."""
        found = self.difficulty(estimator)
        if found is None:
            return None
        try:
            if self.settings.absolute and estimator == "oracle":
                return binning.absolute_bins(found.ease)
            return binning.quantile_bins(found.ease, self.questions, self.settings.n_bins)
        except ValueError as error:
            self.note(f"No bins of {estimator} difficulty: {error}.")
            return None

    def bins(self, estimator: str) -> list[np.ndarray] | None:
        """The indices of the questions of each bin, the easiest first."""
        numbers = self.bin_numbers(estimator)
        if numbers is None:
            return None
        return [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]

    # ------------------------------------------------------------------ intervals

    def intervals(
        self, rows: Sequence[np.ndarray], members: np.ndarray | None = None
    ) -> list[Interval]:
        """The mean of each row f64[Q] over all questions, or some, with its interval."""
        rows = rows if members is None else [row[members] for row in rows]
        return [bootstrap(row, **self.boot) for row in rows]

    @property
    def boot(self) -> dict:
        """How intervals are made."""
        return {"n_resamples": self.settings.resamples, "level": self.settings.confidence}


def _spent(pools: Iterable[Pool]) -> tuple[Counter, Counter]:
    spent, discarded = Counter(), Counter()
    for pool in pools:
        spent.update(pool.flops)
        discarded.update(pool.discarded)
    return spent, discarded


def _merit(run: Run) -> tuple:
    """Of pools the one with most samples, of these one that a PRM has scored, comes out highest."""
    kind = run.verifier.kind if run.verifier else ""
    return run.strategy.generations, kind == "prm", kind not in ("", LIKELIHOOD), run.name


def _draws(run: Run) -> tuple:
    """What decides which samples a policy draws: equal ones begin with the same candidates."""
    sampled = {k: v for k, v in run.depends.items() if k.startswith(("sample.", "prompt."))}
    return run.depends.get("seed"), policy_of(run).path, tuple(sorted(map(str, sampled.items())))
