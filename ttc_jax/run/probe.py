# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The probe job: learns from graded samples how easy a question is, and tells it of new ones."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.places import path_of
from ttc_jax.core.samples import by_question, candidates, read_samples
from ttc_jax.data.sources import Question
from ttc_jax.model.settings import read_json
from ttc_jax.run import settings
from ttc_jax.run.checkpoints import identity
from ttc_jax.run.lessons import fingerprint
from ttc_jax.run.models import described
from ttc_jax.run.place import Place
from ttc_jax.search.features import features
from ttc_jax.search.names import parse
from ttc_jax.search.sampling import BestOfN
from ttc_jax.study.probe import cross_fitted, fit_probe
from ttc_jax.study.probe_quality import quality
from ttc_jax.verify.grade import Verdict

PROBE, DIFFICULTY = "probe.json", "difficulty.json"


def check(config: ConfigDict) -> None:
    """ValueError for a setting that cannot work, naming it, its value and the fix."""
    settings.check_asking(config)


def check_source(config: ConfigDict) -> None:
    """ValueError or FileNotFoundError for a source that a probe cannot learn from."""
    source = config.probe.source
    if not source:
        raise ValueError(
            "probe.source is empty; a probe learns from the work directory of a search job with "
            "best_of_n: pass --config.probe.source=DIR"
        )
    for name in ("samples", "results.json"):
        if not (path_of(source) / name).exists():
            raise FileNotFoundError(
                f"no {name} in probe.source = {source}; a probe learns from the work directory of "
                f"a search job with best_of_n, run to its end"
            )
    made = read_json(path_of(source) / "config.json").get("samples_depend_on", {})
    strategy = made.get("search.strategy", "no search")
    if made.get("job", "search") != "search" or not isinstance(parse(strategy), BestOfN):
        raise ValueError(f"{source} holds samples of {strategy}; a probe learns from best_of_n")
    now = _asked(config) | {"model.path": identity(config.model.path)}
    now = json.loads(json.dumps(now))  # lists for tuples, as what is stored has them
    if differ := [key for key in now if now[key] != made.get(key)]:
        key = differ[0]
        raise ValueError(
            f"{source} was made with {key} = {made.get(key)!r}, this job has {now[key]!r}; how "
            f"easy a question is holds for one model and prompt: take those of the source"
        )


def depends_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """All that decides what the probe becomes and what it says."""
    depends = settings.depends_on(config, questions)
    return depends | {"probe.source": fingerprint(path_of(config.probe.source))}


@dataclass(frozen=True)
class _Lesson:
    """Questions with `right` of `samples` graded samples."""

    questions: list[Question]
    right: np.ndarray
    samples: np.ndarray


def run(config: ConfigDict, questions: Sequence[Question], place: Place) -> dict | None:
    """Makes features of all questions, trains the probe and writes what it says.

    What it says of a question that it was trained on comes from a probe that was not. All of it is
    done by the first process of a team; None elsewhere.
    """
    if not place.team.leads:
        return None
    lesson = _lesson(path_of(config.probe.source))
    asked = [{"id": question.id, "level": question.level} for question in questions]
    write_json_atomic(place.path / "questions.json", {"questions": asked})
    policy = place.launch.models.policy(config)
    write_json_atomic(place.path / "models.json", described(config, policy, None))

    # ---------------------------------------------------------------- features, once a text
    texts = {q.text: q for q in (*lesson.questions, *questions)}
    found = features(policy, list(texts.values()))
    row = {text: at for at, text in enumerate(texts)}
    taught = [row[question.text] for question in lesson.questions]
    told = [row[question.text] for question in questions]

    # ---------------------------------------------------------------- the probe, and what it says
    ids = [question.id for question in lesson.questions]
    learned = found.vectors[taught], lesson.right, lesson.samples, ids
    probe = fit_probe(*learned)
    honest = cross_fitted(*learned, found.flops[taught])
    ease = probe.predict(found.vectors)
    ease[taught] = honest.ease
    write_json_atomic(place.path / PROBE, probe.to_json() | {"made_with": _asked(config)})
    write_json_atomic(
        place.path / DIFFICULTY,
        {question.id: float(ease[at]) for question, at in zip(questions, told, strict=True)},
    )
    return {
        "quality": asdict(quality(honest.ease, lesson.right, lesson.samples))
        | {"loss": probe.loss, "constant_loss": probe.constant_loss},
        "trained_on": {"questions": len(ids), "samples": int(lesson.samples.sum())},
        "strength": probe.strength,
        "questions": len(questions),
        "cross_fitted": len(set(told) & set(taught)),
        "flops": {
            "training": float(found.flops[taught].sum()),
            "difficulty": float(found.flops[told].sum()),
        },
    }


def report(results: Mapping, workdir: Path) -> Iterator[str]:
    """What to print of results.json."""
    trained, found = results["trained_on"], results["quality"]
    yield f"a probe of {trained['questions']} questions, {trained['samples']} samples of them"
    shown = {name: "-" if value is None else f"{value:.3f}" for name, value in found.items()}
    yield (
        f"on questions held out: rank correlation with pass@1 {shown['spearman']}, AUC "
        f"{shown['auc']}, loss {shown['loss']} (without features {shown['constant_loss']})"
    )
    yield (
        f"difficulty of {results['questions']} questions, {results['cross_fitted']} of them told "
        f"by probes trained without them: {results['flops']['difficulty']:.3g} FLOPs"
    )
    yield f"probe: {workdir / PROBE}"
    yield f"difficulty: {workdir / DIFFICULTY}"


def _lesson(source: Path) -> _Lesson:
    """The questions of a source with graded samples; of equal texts the first."""
    found: dict[str, tuple[Question, int, int]] = {}
    for rows in by_question(read_samples(source / "samples")):
        (prompt,) = (row for row in rows if row.branch == -1)
        verdicts = Counter(row.verdict for row in candidates(rows))
        graded = verdicts.total() - verdicts[Verdict.TIMEOUT]
        if graded:
            question = Question(prompt.question, prompt.text, prompt.answer or "")
            found.setdefault(prompt.text, (question, verdicts[Verdict.CORRECT], graded))
    questions, right, samples = zip(*found.values(), strict=True) if found else ((), (), ())
    if not questions:
        raise ValueError(f"no sample in {source} was graded; a probe has nothing to learn from")
    return _Lesson(list(questions), np.array(right), np.array(samples))


def _asked(config: ConfigDict) -> dict:
    """The settings that features hold for."""
    weights = settings.weights(config.model)
    made = {"model.path": config.model.path} | ({"model.weights": weights} if weights else {})
    return made | settings.prompt_depends_on(config)
