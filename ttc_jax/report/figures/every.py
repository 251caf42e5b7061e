# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every figure of a report, in the order of the paper."""

from functools import partial

from ttc_jax.report.figures import matched, revisions, search
from ttc_jax.report.plots import Figure
from ttc_jax.study.exchange import Exchange


def figures(exchange: Exchange) -> list[Figure]:
    """The figures, each drawn from the evidence or saying what it lacks."""
    optimum, evidence = exchange.optimum, exchange.evidence
    by_bin = partial(search.search_by_bin, evidence)
    return [
        matched.overview(exchange),
        search.methods(evidence),
        by_bin("3R", "oracle"),
        search.optimal_search(optimum),
        revisions.by_attempt(evidence),
        revisions.directions(evidence),
        *revisions.ratios(evidence),
        revisions.optimal_revisions(optimum),
        matched.by_flops(exchange),
        revisions.ratios_by_majority(evidence),
        revisions.ratios_by_predicted(evidence),
        by_bin("12", "predicted"),
        search.aggregates(evidence),
        search.verifiers(evidence),
        revisions.revision_verifiers(evidence),
        revisions.restem(evidence),
        search.weighting(evidence),
        matched.weak_verifiers(exchange),
        matched.costs(optimum),
        matched.difficulty_cost(optimum),
        matched.lifetimes(exchange),
    ]
