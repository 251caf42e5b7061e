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

from ttc_jax.core import flops
from ttc_jax.core.mesh import make_mesh
from ttc_jax.core.progress import ProgressDisplay
from ttc_jax.core.records import Metrics, RunRecord, key_of, read_metrics, write_json_atomic
from ttc_jax.core.samples import Sample, SampleStore
from ttc_jax.data.prompts import Chat, FewShot
from ttc_jax.data.sources import Question, load_questions
from ttc_jax.decode.batch import Branch, Completion
from ttc_jax.decode.engine import Engine, OutOfPages, Progress
from ttc_jax.decode.sample import Sampler
from ttc_jax.decode.stop import build as build_stop
from ttc_jax.model.load import load_checkpoint
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.search.best_of_n import best_of_n
from ttc_jax.search.recorder import Recorder
from ttc_jax.study import summary
from ttc_jax.study.stats import bootstrap
from ttc_jax.study.table import report
from ttc_jax.verify.grade import Grader

METRICS_EVERY_S = 10.0
AT_LEAST_1 = (
    ("sample", "n"),
    ("sample", "max_new"),
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
    check(config)
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
                _sample(config, cache_dir, questions, store, metrics, grader, record.n_starts)

            # ---------------------------------------------------------------- results
            results = _results(config, questions, store.read(), grader)
        results |= {"settings": depends, "timing": _timing(metrics.path)}
        write_json_atomic(record.path / "results.json", results)
        Console(highlight=False).print(*report(results, record.path), sep="\n", soft_wrap=True)
    return results


def check(config: ConfigDict) -> None:
    """Raises ValueError for a setting that cannot work, naming it, its value and the fix."""
    sample, report = config.sample, config.report
    if config.job != "best_of_n":
        raise ValueError(f"job is {config.job!r}; there is only 'best_of_n'")
    for group, name in AT_LEAST_1:
        if config[group][name] < 1:
            raise ValueError(f"{group}.{name} is {config[group][name]}; it must be at least 1")
    for k in report.ks:
        if not 1 <= k <= sample.n:
            raise ValueError(
                f"report.ks asks for pass@{k} of sample.n = {sample.n} samples; each k must be "
                f"between 1 and sample.n: raise sample.n or pass --config.report.ks"
            )
    if config.data.limit < 0:
        raise ValueError(f"data.limit is {config.data.limit}; 0 means all questions")
    if config.prompt.style not in ("chat", "few_shot"):
        raise ValueError(f"prompt.style is {config.prompt.style!r}; use 'chat' or 'few_shot'")
    bootstrap([0.0], n_resamples=report.resamples, level=report.confidence)
    _sampler(config)
    _dtype(config)


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


def _samples_depend_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """All that decides which samples are drawn and how they are graded; not where it runs."""
    depends = {"seed": config.seed, "model.path": config.model.path}
    depends["model.dtype"] = _dtype(config).name
    for group in ("data", "prompt", "sample"):
        depends |= {f"{group}.{key}": value for key, value in config[group].to_dict().items()}
    del depends["data.dir"]  # the questions count, not where they lie
    depends["data.questions"] = key_of({q.id: [q.text, q.answer] for q in questions})
    depends |= {f"grade.{key}": config.grade[key] for key in ("limit_s", "last_number")}
    return depends


def _sample(config, cache_dir: Path, questions, store, metrics, grader, start: int) -> None:
    """Samples, grades and stores the questions that are not in the store yet."""
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    model, tokenizer = load_checkpoint(
        config.model.path, mesh=mesh, dtype=_dtype(config), cache_dir=cache_dir / "models"
    )
    prompts = _prompts(config, questions, tokenizer)
    max_new, page_size = config.sample.max_new, config.engine.page_size
    context = _context(prompts, max_new, model.shape.context)
    engine = Engine(
        model,
        mesh=mesh,
        rows=config.engine.rows,
        page_size=page_size,
        pages=config.engine.pages or None,
        segment=config.engine.segment,
        context=-(-context // page_size) * page_size,
        sampler=_sampler(config),
        stop=build_stop(tokenizer.token_bytes(), tokenizer.eos, tuple(config.sample.stop)),
        seed=config.seed,
    )
    done = store.done()
    jobs = [(q.id, prompts[q.id]) for q in questions if q.id not in done]
    answers = {q.id: q.answer for q in questions}
    recorder = Recorder(store, grader, tokenizer, answers, lambda c, b: _cost(model.shape, c, b))
    display = ProgressDisplay(len(questions), len(done))
    last = 0.0

    def on_segment(progress: Progress) -> None:
        nonlocal last
        recorder.tick()
        display.update(
            progress.done_questions, progress.live_rows, progress.rows, progress.new_tokens
        )
        if progress.seconds - last >= METRICS_EVERY_S or not progress.live_rows:
            last = progress.seconds
            metrics.append({"start": start, **asdict(progress)})

    try:
        with recorder, display:
            for completion in best_of_n(engine, jobs, config.sample.n, max_new, on_segment):
                recorder.add(completion)
    except OutOfPages as error:
        raise ValueError(f"{error}; raise engine.pages or lower engine.rows") from error


def _prompts(
    config: ConfigDict, questions: Sequence[Question], tokenizer: Tokenizer
) -> dict[str, tuple[int, ...]]:
    """Prompt tokens by question id."""
    examples = tuple(map(tuple, config.prompt.examples))
    if config.prompt.style == "chat":
        chat = Chat(examples=examples)
        return {
            q.id: tuple(tokenizer.encode(chat.render(q, tokenizer), bos=False)) for q in questions
        }
    few_shot = FewShot(examples)
    return {q.id: tuple(tokenizer.encode(few_shot.render(q))) for q in questions}


def _context(prompts: Mapping[str, Sequence[int]], max_new: int, limit: int) -> int:
    """Tokens that the longest row may reach; ValueError if the model cannot hold as many."""
    name, longest = max(prompts.items(), key=lambda item: len(item[1]))
    if len(longest) + max_new > limit:
        raise ValueError(
            f"question {name!r}: its prompt of {len(longest)} tokens and sample.max_new = "
            f"{max_new} exceed the model's context of {limit}; lower sample.max_new"
        )
    return len(longest) + max_new


def _cost(shape: ModelShape, completion: Completion, branch: Branch) -> dict[str, float]:
    """FLOPs of one branch; the prompt, encoded once, is shared out among the branches."""
    head = shape.vocab * shape.width
    sizes = {
        "block_weights": shape.matmul_params - head,
        "head_weights": head,
        "attention_width": shape.heads * shape.head_dim,
        "layers": shape.layers,
    }
    prompt, new = completion.prompt_tokens, len(branch.tokens)
    prefill = flops.forward(**sizes, start=0, tokens=prompt - 1, logits=0)
    decode = flops.forward(**sizes, start=prompt - 1, tokens=new, logits=new)
    return {"prefill": prefill / len(completion.branches), "decode": decode}


def _results(
    config: ConfigDict, questions: Sequence[Question], samples: Sequence[Sample], grader: Grader
) -> dict:
    """Counts, and the figures overall and by level, as they stand in results.json."""
    grouped: dict[str, list[Sample]] = {question.id: [] for question in questions}
    for sample in samples:
        grouped[sample.question].append(sample)
    outcomes = [summary.outcome(q, grouped[q.id], grader.classes) for q in questions]
    report = config.report
    figures = {}
    for level, members in summary.by_level(outcomes).items():
        intervals = summary.figures(
            members,
            n=config.sample.n,
            ks=report.ks,
            resamples=report.resamples,
            confidence=report.confidence,
            seed=config.seed,
        )
        figures[level] = {"questions": len(members)} | {k: asdict(v) for k, v in intervals.items()}
    return {"job": config.job, "counts": summary.counts(samples), "figures": figures}


def _timing(path: Path) -> dict[str, float]:
    """Seconds and tokens of sampling, compilation included, over all starts of the run."""
    last = {line["start"]: line for line in read_metrics(path)}
    seconds = sum(line["seconds"] for line in last.values())
    tokens = sum(line["new_tokens"] for line in last.values())
    rate = tokens / max(seconds, 1e-9)
    return {"starts": len(last), "seconds": seconds, "tokens": tokens, "tokens_per_second": rate}
