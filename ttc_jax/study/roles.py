# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Which model of a report is which: the small policy, the large one, the revision models."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN
from ttc_jax.study.runs import Model, Run

# A policy is the large one from this many times the parameters of the small one on.
_LARGER = 1.5


@dataclass(frozen=True)
class Roles:
    """Paths of the policies of a report; None where no run has one.

    base: the small model that thinks longer. large: the largest one of those that are much larger.
    revision, restem: the policies of chains of revisions; revision is base itself where nothing
    trained for it was run.
    """

    base: str | None
    large: str | None
    revision: str | None
    restem: str | None

    def path(self, role: str) -> str | None:
        """The policy of a role by its name."""
        return getattr(self, role)


def policy_of(run: Run) -> Model:
    """The policy of a search; of an earlier version, which did not note it, with 0 parameters."""
    return run.policy or Model(run.config["model"]["path"], "base", 0)


def greedy(run: Run) -> bool:
    """Whether a search drew one answer at temperature 0."""
    single = isinstance(run.strategy, BestOfN) and run.strategy.generations == 1
    return single and run.config["sample"]["temperature"] == 0


def assign(searches: Sequence[Run]) -> Roles:
    """The roles in these runs: by the kind of a policy, its parameters and what it was used for."""
    policies = {policy_of(run).path: policy_of(run) for run in searches}
    used = Counter(policy_of(run).path for run in searches if not isinstance(run.strategy, Revise))
    plain = sorted(
        (model for path, model in policies.items() if model.kind == "base" and used[path]),
        key=lambda model: (model.params, -used[model.path], model.path),
    )
    chains = Counter(policy_of(run).path for run in searches if isinstance(run.strategy, Revise))
    revision = _most_used(chains, policies, "revision") or _most_used(chains, policies, "base")
    base = plain[0] if plain else None
    larger = [model for model in plain if base.params and model.params > _LARGER * base.params]
    return Roles(
        base=base.path if base else None,
        large=larger[-1].path if larger else None,
        revision=revision,
        restem=_most_used(chains, policies, "restem"),
    )


def _most_used(used: Counter, policies: dict[str, Model], kind: str) -> str | None:
    found = [path for path in used if policies[path].kind == kind]
    return min(found, key=lambda path: (-used[path], path), default=None)
