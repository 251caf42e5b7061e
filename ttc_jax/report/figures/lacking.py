# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures that lack data, with the command that would make it."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ttc_jax.report.plots import Figure
from ttc_jax.study.evidence import Evidence
from ttc_jax.study.runs import Run


def lacking(evidence: Evidence) -> "Lacking":
    """For figures of this evidence."""
    return Lacking(evidence.searches)


@dataclass(frozen=True)
class Lacking:
    """Makes figures without panels for a report over these searches."""

    searches: Sequence[Run]

    def figure(
        self,
        key: str,
        title: str,
        source: str,
        what: str,
        *,
        strategy: str = "",
        scorer: str = "steps",
        model: str = "",
    ) -> Figure:
        """A figure that needs `what`: a run of `strategy` with a verifier of format `scorer`.

        `model` names what its policy must have been trained as. Without a strategy there is no
        command: no run of a search would do.
        """
        command = self._command(strategy, scorer, model) if strategy else ""
        return Figure(key, title, source, missing=f"needs {what}", command=command)

    def bins(self, key: str, title: str, source: str, estimator: str) -> Figure:
        """A figure that needs bins of difficulty by an estimator."""
        needs = {
            "oracle": "at least 4 questions for each bin, some easier than others, and best-of-N "
            "samples to tell by",
            "predicted": "a best-of-N run with a verifier, and at least 4 questions for each bin",
        }
        scorer = "" if estimator == "oracle" else "steps"
        return self.figure(
            key, title, source, needs[estimator], strategy="best_of_n(N=64)", scorer=scorer
        )

    def _command(self, strategy: str, scorer: str, model: str) -> str:
        first = self.searches[0]
        config = re.search(r"--config=(\S+)", first.command)
        parts = [f"ttc run --config={config[1] if config else 'CONFIG'}"]
        parts.append(f"--config.search.strategy={shlex.quote(strategy)}")
        if model:
            parts.append(f"--config.model.path=RUN_OF_{model.upper()}/model")
        if scorer:
            parts += self._verifier(scorer)
        name = re.sub(r"[^A-Za-z0-9]+", "_", strategy).strip("_")
        parts.append(f"--workdir={first.path.parent / '_'.join(filter(None, [model, name]))}")
        return " ".join(parts)

    def _verifier(self, scorer: str) -> list[str]:
        known = next((run for run in self.searches if _format(run) == scorer), None)
        path = known.config["scorer"]["path"] if known else "VERIFIER"
        untrained = known is not None and known.config["scorer"].get("untrained", False)
        return [
            f"--config.scorer.path={path}",
            f"--config.scorer.format={scorer}",
            f"--config.scorer.untrained={untrained}",
        ]


def _format(run: Run) -> str:
    scorer = run.config["scorer"]
    return scorer.get("format", "") if scorer["path"] else ""
