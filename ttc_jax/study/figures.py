# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every figure of a report, in the order of the paper."""

from functools import partial

from ttc_jax.study import matched_figures as matched
from ttc_jax.study import revision_figures as revision
from ttc_jax.study import search_figures as search
from ttc_jax.study.exchange import Exchange
from ttc_jax.study.plots import Figure


def figures(exchange: Exchange) -> list[Figure]:
    """The figures, each drawn from the evidence or saying what it lacks."""
    optimum, evidence = exchange.optimum, exchange.evidence
    by_bin = partial(search.search_by_bin, evidence)
    return [
        matched.overview(exchange),
        search.methods(evidence),
        by_bin("3R", "oracle"),
        search.optimal_search(optimum),
        revision.by_attempt(evidence),
        revision.directions(evidence),
        *revision.ratios(evidence),
        revision.optimal_revisions(optimum),
        matched.by_flops(exchange),
        revision.ratios_by_majority(evidence),
        revision.ratios_by_predicted(evidence),
        by_bin("12", "predicted"),
        search.aggregates(evidence),
        search.verifiers(evidence),
        revision.revision_verifiers(evidence),
        revision.restem(evidence),
        search.weighting(evidence),
        matched.weak_verifiers(exchange),
        matched.costs(optimum),
        matched.difficulty_cost(optimum),
        matched.lifetimes(exchange),
    ]
