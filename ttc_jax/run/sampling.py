# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Trees of a strategy over questions, stored as they are finished and continued after a kill."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ml_collections import ConfigDict

from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.metrics import read_all_metrics
from ttc_jax.core.progress import ProgressDisplay
from ttc_jax.core.samples import SampleStore
from ttc_jax.core.team import Supply
from ttc_jax.data.sources import Question
from ttc_jax.decode.forest import OutOfPages
from ttc_jax.run import settings
from ttc_jax.run.models import described
from ttc_jax.run.place import Place
from ttc_jax.search.cost import node_flops
from ttc_jax.search.recorder import Recorder
from ttc_jax.search.schedule import Progress, Scheduler
from ttc_jax.search.strategy import Strategy
from ttc_jax.verify.grade import Grader

METRICS_EVERY_S = 10.0


def sample(
    config: ConfigDict,
    strategy: Strategy,
    questions: Sequence[Question],
    grader: Grader,
    place: Place,
) -> SampleStore:
    """The store in the work directory, with the graded trees of this process's questions.

    Alone it samples them all; the processes of a team share them out as they go. questions.json
    says which they are, models.json what answered and judged. The models of the config are loaded
    only when a question is missing. Raises ValueError when what is asked does not fit.
    """
    team = place.team
    if team.leads:
        asked = [{"id": question.id, "level": question.level} for question in questions]
        write_json_atomic(place.path / "questions.json", {"questions": asked})
    store = SampleStore(place.path / "samples", team)
    done = place.stored
    left = [question for question in questions if question.id not in done]
    if not left:
        return store
    policy, scorer = place.launch.models.policy(config), place.launch.models.verifier(config)
    if team.leads:
        write_json_atomic(place.path / "models.json", described(config, policy, scorer))
    models = policy.model.shape, scorer
    recorder = Recorder(store, grader, left, lambda tree, node: node_flops(tree, node, *models))
    display = ProgressDisplay(len(questions), len(done))
    last = 0.0

    def on_segment(progress: Progress) -> None:
        nonlocal last
        recorder.tick()
        show(display, progress, strategy.stepwise)
        if progress.seconds - last >= METRICS_EVERY_S:
            last = progress.seconds
            note(progress)

    def note(progress: Progress) -> None:
        place.metrics.append({"start": place.start, **asdict(progress)})

    supply = Supply(left, [question.id for question in left], team, what=str(place.path))
    scheduler = Scheduler(strategy, left, policy, scorer, settings.batch(config), supply)
    try:
        with recorder, display:
            for tree in scheduler.run(on_segment):
                recorder.add(tree)
            on_segment(scheduler.progress)
            note(scheduler.progress)  # before the last shard, which lets results be made
    except OutOfPages as error:
        raise ValueError(f"{error}; raise engine.pages and scorer.pages, or set them 0") from error
    finally:  # what was computed was paid for, stored or not
        note(scheduler.progress)
        place.metrics.flush()
    return store


def show(display: ProgressDisplay, progress: Progress, stepwise: bool) -> None:
    """Shows where a run of a search stands; rounds only where it goes step by step."""
    display.update(
        progress.done_questions,
        progress.live_rows,
        progress.rows,
        progress.new_tokens,
        rounds=progress.rounds if stepwise else None,
        pages=progress.pages,
        pages_used=progress.pages_used,
        lookahead=progress.lookahead_tokens,
    )


def timing(workdir: Path) -> dict[str, float]:
    """Seconds and tokens of sampling, compilation included, over all starts of the run.

    Of processes side by side the seconds of the one that took longest count.
    """
    last = {(line["start"], line["process"]): line for line in read_all_metrics(workdir)}
    seconds: dict[int, float] = {}
    for (start, _), line in last.items():
        seconds[start] = max(seconds.get(start, 0.0), line["seconds"])
    spent, tokens = sum(seconds.values()), sum(line["new_tokens"] for line in last.values())
    return {
        "starts": len(seconds),
        "seconds": spent,
        "tokens": tokens,
        "tokens_per_second": tokens / max(spent, 1e-9),
    }
