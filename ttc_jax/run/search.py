# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""From a config to results: the only file that sees a ConfigDict."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
from rich.console import Console

from ttc_jax.core.mesh import make_mesh
from ttc_jax.core.progress import ProgressDisplay
from ttc_jax.core.records import Metrics, RunRecord, key_of, read_metrics, write_json_atomic
from ttc_jax.core.samples import Sample, SampleStore
from ttc_jax.data.prompts import Chat, FewShot, Revision
from ttc_jax.data.sources import Question, load_questions
from ttc_jax.decode.forest import OutOfPages
from ttc_jax.decode.sample import Sampler
from ttc_jax.model.load import load_checkpoint
from ttc_jax.model.transformer import with_value_head
from ttc_jax.search.cost import node_flops
from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.recorder import Recorder
from ttc_jax.search.revise import Revise
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.schedule import Progress, Scheduler
from ttc_jax.search.strategy import Strategy
from ttc_jax.study import summary
from ttc_jax.study.stats import bootstrap
from ttc_jax.study.table import report
from ttc_jax.verify.format_names import by_name
from ttc_jax.verify.grade import Grader
from ttc_jax.verify.scorer import AGGREGATES
from ttc_jax.verify.verifier import Verifier

METRICS_EVERY_S = 10.0
AT_LEAST_1 = (
    ("sample", "max_new"),
    ("search", "max_step"),
    ("engine", "rows"),
    ("engine", "page_size"),
    ("engine", "segment"),
)


def run(
    config: ConfigDict, workdir: str, *, overrides: Mapping = {}, command: Sequence[str] = ()
) -> dict:
    """Runs the job of `config`, or what is left of it, in `workdir`; returns its results.

    Samples are stored as they are finished; results.json is written when all are there, and a table
    is printed.

    Raises:
      ValueError: a setting, a question or the work directory does not fit; nothing was sampled.
      OSError: a file is missing, or the work directory cannot be written.
    """
    # ---------------------------------------------------------------- settings and questions
    strategy = check(config)
    cache_dir = _cache_dir(config.cache_dir)
    jax.config.update("jax_compilation_cache_dir", str(cache_dir / "xla"))
    questions = _questions(config, cache_dir)
    depends = _samples_depend_on(config, questions)

    # ---------------------------------------------------------------- work directory
    with RunRecord(workdir, depends=depends) as record:
        store = SampleStore(record.path / "samples")
        metrics = Metrics(record.path / "metrics.jsonl")
        record.start(
            config=config.to_dict(),
            overrides=overrides,
            device=f"{jax.device_count()} x {jax.devices()[0].device_kind}",
            command=command,
        )
        with Grader(**config.grade.to_dict()) as grader:
            # ---------------------------------------------------------------- samples
            if any(question.id not in store.done() for question in questions):
                _search(
                    config, strategy, cache_dir, questions, store, metrics, grader, record.n_starts
                )

            # ---------------------------------------------------------------- results
            results = _results(config, strategy, questions, store.read(), grader)
        results |= {"settings": depends, "timing": _timing(metrics.path)}
        write_json_atomic(record.path / "results.json", results)
        Console(highlight=False).print(*report(results, record.path), sep="\n", soft_wrap=True)
    return results


def check(config: ConfigDict) -> Strategy:
    """The strategy; ValueError for a setting that cannot work, naming it, its value and the fix."""
    sample, report = config.sample, config.report
    for group, name in AT_LEAST_1:
        if config[group][name] < 1:
            raise ValueError(f"{group}.{name} is {config[group][name]}; it must be at least 1")
    strategy = parse(config.search.strategy)
    if strategy.scored and not config.scorer.path:
        raise ValueError(
            f"{strategy} compares scores; name a verifier's checkpoint as scorer.path, or take "
            f"best_of_n or revise"
        )
    # pass@k is estimated from independent samples, which no other strategy draws.
    for k in report.ks if isinstance(strategy, BestOfN) else ():
        if not 1 <= k <= strategy.generations:
            raise ValueError(
                f"report.ks asks for pass@{k} of the {strategy.generations} samples of {strategy}; "
                f"each k must be between 1 and N: raise N or pass --config.report.ks"
            )
    if config.data.limit < 0:
        raise ValueError(f"data.limit is {config.data.limit}; 0 means all questions")
    if config.prompt.style not in ("chat", "few_shot"):
        raise ValueError(f"prompt.style is {config.prompt.style!r}; use 'chat' or 'few_shot'")
    if config.scorer.aggregate not in AGGREGATES:
        raise ValueError(
            f"scorer.aggregate is {config.scorer.aggregate!r}; there are {', '.join(AGGREGATES)}"
        )
    bootstrap([0.0], n_resamples=report.resamples, level=report.confidence)
    if sample.max_new < config.search.max_step and strategy.stepwise:
        raise ValueError(
            f"search.max_step = {config.search.max_step} tokens for a step, but sample.max_new = "
            f"{sample.max_new} for a whole solution; lower search.max_step"
        )
    _sampler(config)
    _dtype(config)
    _batch(config)
    return strategy


def _cache_dir(name: str) -> Path:
    """The cache named in the config, else $TTC_CACHE, else ttc_jax in the user's own cache."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    path = name or os.environ.get("TTC_CACHE") or f"{user}/ttc_jax"
    return Path(path).expanduser().absolute()


def _dtype(config: ConfigDict) -> jnp.dtype:
    name = config.model.dtype
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    if name not in ("float32", "bfloat16"):
        raise ValueError(f"model.dtype is {name!r}; use 'auto', 'float32' or 'bfloat16'")
    return jnp.dtype(name)


def _sampler(config: ConfigDict) -> Sampler:
    sample = config.sample
    return Sampler(sample.temperature, sample.top_k, sample.top_p, sample.min_p)


def _questions(config: ConfigDict, cache_dir: Path) -> list[Question]:
    """The questions of the run; with data.limit, that many of them, evenly spaced."""
    data = config.data
    questions = load_questions(
        data.name,
        data_dir=data.dir or None,
        split=data.split,
        cache_dir=cache_dir / "data",
        drop_unanswered=data.drop_unanswered,
    )
    if not 0 < data.limit < len(questions):
        return questions
    return [questions[i * len(questions) // data.limit] for i in range(data.limit)]


def _batch(config: ConfigDict) -> Batch:
    engine = config.engine
    return Batch(
        rows=engine.rows,
        questions=engine.questions,
        pages=engine.pages,
        page_size=engine.page_size,
        memory=int(engine.memory_gib * 2**30),
        segment=engine.segment,
        seed=config.seed,
    )


def _samples_depend_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """All that decides which samples are drawn and how they are graded; not where it runs."""
    depends = {"seed": config.seed, "model.path": config.model.path}
    depends["model.dtype"] = _dtype(config).name
    for group in ("data", "prompt", "sample", "search", "scorer"):
        depends |= {f"{group}.{key}": value for key, value in config[group].to_dict().items()}
    del depends["data.dir"]  # the questions count, not where they lie
    del depends["scorer.pages"], depends["scorer.mesh"]
    depends["search.strategy"] = str(parse(config.search.strategy))
    depends["data.questions"] = key_of({q.id: [q.text, q.answer] for q in questions})
    depends |= {f"grade.{key}": config.grade[key] for key in ("limit_s", "last_number")}
    return depends


def _search(
    config, strategy: Strategy, cache_dir: Path, questions, store, metrics, grader, start: int
) -> None:
    """Searches, grades and stores the questions that are not in the store yet."""
    policy = _policy(config, cache_dir)
    scorer = _scorer(config, policy, cache_dir) if config.scorer.path else None
    done = store.done()
    left = [question for question in questions if question.id not in done]
    shapes = policy.model.shape, scorer and scorer.model.shape
    recorder = Recorder(store, grader, left, lambda tree, node: node_flops(tree, node, *shapes))
    display = ProgressDisplay(len(questions), len(done))
    last = 0.0

    def on_segment(progress: Progress, end: bool = False) -> None:
        nonlocal last
        recorder.tick()
        display.update(
            progress.done_questions,
            progress.live_rows,
            progress.rows,
            progress.new_tokens,
            rounds=progress.rounds if strategy.stepwise else None,
            pages=progress.pages,
            pages_used=progress.pages_used,
            lookahead=progress.lookahead_tokens,
        )
        if end or progress.seconds - last >= METRICS_EVERY_S:
            last = progress.seconds
            metrics.append({"start": start, **asdict(progress)})

    scheduler = Scheduler(strategy, left, policy, scorer, _batch(config))
    try:
        with recorder, display:
            for tree in scheduler.run(on_segment):
                recorder.add(tree)
            on_segment(scheduler.progress, end=True)
    except OutOfPages as error:
        raise ValueError(f"{error}; raise engine.pages and scorer.pages, or set them 0") from error


def _policy(config: ConfigDict, cache_dir: Path) -> Policy:
    """The model that answers, loaded, and how it is asked."""
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    model, tokenizer = load_checkpoint(
        config.model.path, mesh=mesh, dtype=_dtype(config), cache_dir=cache_dir / "models"
    )
    examples = tuple(map(tuple, config.prompt.examples))
    chat = config.prompt.style == "chat"
    style = Revision(Chat(examples=examples) if chat else FewShot(examples))

    def prompt(question: Question, attempts: Sequence[str]) -> list[int]:
        text = style.render(question, attempts, tokenizer)
        return tokenizer.encode(text, bos=False if chat else None)

    return Policy(
        model,
        tokenizer,
        mesh,
        prompt,
        _sampler(config),
        delimiter=config.search.delimiter,
        ends=tuple(config.sample.stop),
        max_new=config.sample.max_new,
        max_step=config.search.max_step,
    )


def _scorer(config: ConfigDict, policy: Policy, cache_dir: Path) -> Verifier:
    """The verifier, loaded; the policy's own weights where both name the same checkpoint."""
    scorer, mesh = config.scorer, policy.mesh
    if scorer.mesh.data or scorer.mesh.model:
        mesh = make_mesh(max(1, scorer.mesh.data), max(1, scorer.mesh.model))
    if scorer.path == config.model.path and mesh == policy.mesh:
        model, tokenizer = policy.model, policy.tokenizer
    else:
        model, tokenizer = load_checkpoint(
            scorer.path, mesh=mesh, dtype=_dtype(config), cache_dir=cache_dir / "models"
        )
    if scorer.untrained:
        model = with_value_head(model, 1, jax.random.key(config.seed))
    return Verifier(
        model,
        by_name(scorer.format, tokenizer),
        mesh=mesh,
        aggregate=scorer.aggregate,
        pages=scorer.pages or None,
        page_size=config.engine.page_size,
    )


def _results(
    config: ConfigDict,
    strategy: Strategy,
    questions: Sequence[Question],
    samples: Sequence[Sample],
    grader: Grader,
) -> dict:
    """Counts, and the figures overall and by level, as they stand in results.json."""
    grouped: dict[str, list[Sample]] = {question.id: [] for question in questions}
    for sample in samples:
        grouped[sample.question].append(sample)
    chain = strategy.s if isinstance(strategy, Revise) else 0
    outcomes = [summary.outcome(q, grouped[q.id], grader.classes, chain) for q in questions]
    report = config.report
    figures = {}
    for level, members in summary.by_level(outcomes).items():
        intervals = summary.figures(
            members,
            n=strategy.generations,
            ks=report.ks if isinstance(strategy, BestOfN) else (),
            resamples=report.resamples,
            confidence=report.confidence,
            seed=config.seed,
        )
        figures[level] = {"questions": len(members)} | {k: asdict(v) for k, v in intervals.items()}
    return {"strategy": str(strategy), "counts": summary.counts(samples), "figures": figures}


def _timing(path: Path) -> dict[str, float]:
    """Seconds and tokens of sampling, compilation included, over all starts of the run."""
    last = {line["start"]: line for line in read_metrics(path)}
    seconds = sum(line["seconds"] for line in last.values())
    tokens = sum(line["new_tokens"] for line in last.values())
    rate = tokens / max(seconds, 1e-9)
    return {"starts": len(last), "seconds": seconds, "tokens": tokens, "tokens_per_second": rate}
