# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The training job: a policy, a verifier or a revision model, from examples to an export."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
from rich.table import Table

from ttc_jax.core.boards import Board
from ttc_jax.core.checkpoint import Checkpoints
from ttc_jax.core.files import write_json_atomic
from ttc_jax.core.mesh import gathered, joint_mesh, own_mesh, parameter_shardings
from ttc_jax.core.places import path_of
from ttc_jax.data.batches import Shape
from ttc_jax.data.sources import Question
from ttc_jax.data.split import held_out
from ttc_jax.learn import lora
from ttc_jax.learn.export import export
from ttc_jax.learn.held_out import HeldOut
from ttc_jax.learn.learner import Arrays, Learner, Numerics
from ttc_jax.learn.loop import History, Plan, Trained, held_out_shape, train
from ttc_jax.learn.losses import language_loss, value_loss
from ttc_jax.learn.optim import Optimiser
from ttc_jax.learn.selection import choose, pass_at_1
from ttc_jax.model.load import checkpoint_directory, load_checkpoint
from ttc_jax.model.settings import read_json
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.model.transformer import Transformer, with_value_head
from ttc_jax.run import settings
from ttc_jax.run.card import card
from ttc_jax.run.lessons import POLICIES, VERIFIERS, Lesson, fingerprint, lesson
from ttc_jax.run.models import asked
from ttc_jax.run.place import Place
from ttc_jax.search.names import parse
from ttc_jax.verify.grade import Grader


def check(config: ConfigDict) -> None:
    """ValueError for a setting that cannot work, naming it, its value and the fix."""
    kinds = (*POLICIES, *VERIFIERS)
    if config.train.kind not in kinds:
        raise ValueError(f"train.kind is {config.train.kind!r}; there are {', '.join(kinds)}")
    settings.check_asking(config)
    optimiser_of(config), numerics_of(config), _plan(config)
    if config.train.select:
        strategy = parse(config.train.select)
        if config.train.kind in VERIFIERS or strategy.scored:
            raise ValueError(
                f"train.select is {config.train.select!r}: only policies are chosen by what they "
                f"sample, with a strategy that needs no verifier; pass --config.train.select=''"
            )
        settings.check_sampling(config, stepwise=strategy.stepwise)
    if settings.weights(config.model):
        raise ValueError(
            f"model.weights is {config.model.weights!r}, but weights that are trained stay as they "
            f"are; pass --config.model.weights=''"
        )
    if not 0 < config.train.held_out < 1:
        raise ValueError(f"train.held_out is {config.train.held_out}; give a share of questions")


def depends_on(config: ConfigDict, questions: Sequence[Question]) -> dict:
    """All that decides which weights come out; not where or on how much at once it runs."""
    depends = settings.depends_on(config, questions)
    values = config.train.to_dict()
    for name in ("source", "accumulate", "remat", "fsdp", "save_every", "export_dtype"):
        del values[name]
    for name in ("gold", "kept"):
        if not values.get(name):
            values.pop(name, None)  # as in configs that do not have it
    depends |= {f"train.{name}": value for name, value in values.items()}
    depends |= settings.answer_depends_on(config)
    if config.train.kind != "sft":
        depends["train.source"] = fingerprint(path_of(config.train.source))
    if config.train.select:
        for group in ("sample", "search"):
            depends |= {f"{group}.{k}": v for k, v in config[group].to_dict().items()}
    return depends


def run(config: ConfigDict, questions: Sequence[Question], place: Place) -> dict | None:
    """Trains, or goes on training, chooses a checkpoint and exports it; what it came to.

    Processes of a team train one model together, on a mesh over all of their devices; None in all
    but the first.
    """
    # ---------------------------------------------------------------- base and examples
    by_id = {question.id: question for question in questions}
    model, tokenizer, files = _base(config, place.cache_dir)
    found = lesson(config, by_id, tokenizer, model.shape.context, place)
    apart = held_out((e.question for e in found.examples), config.train.held_out, config.seed)
    inside = [e.question in apart for e in found.examples]
    taught = [e for e, kept in zip(found.examples, inside, strict=True) if not kept]
    tried = [e for e, kept in zip(found.examples, inside, strict=True) if kept]
    facts = found.facts | {
        "questions": len({e.question for e in found.examples}),
        "held_out_questions": len(apart),
        "held_out_examples": len(tried),
    }

    # ---------------------------------------------------------------- training
    verifier = config.train.kind in VERIFIERS
    learner = Learner(
        model,
        value_loss if verifier else language_loss,
        optimiser_of(config),
        numerics_of(config),
        mesh=joint_mesh(config.mesh.data, config.mesh.model),
        steps=config.train.steps,
        seed=config.seed,
        trained=config.train.trained or (lora.TRAINED if config.train.lora.rank else ""),
    )
    del model
    with (
        Grader(**config.grade.to_dict()) as grader,
        Checkpoints(place.path / "checkpoints") as checkpoints,
        Board(place.path / "tensorboard", writes=place.team.leads) as board,
    ):
        evaluate = _held_out(config, learner, found, tried, inside, grader) if verifier else None

        def report(line: Mapping) -> None:
            if not place.team.leads:
                return
            place.metrics.append({"start": place.start, **line})
            board.add(line["step"], {k: v for k, v in line.items() if k != "step"})

        done = train(
            learner, taught, tried, _plan(config), checkpoints, evaluate=evaluate, report=report
        )

        place.metrics.flush()

        # ------------------------------------------------------------ choice and export
        chosen, shares = done.history.best["step"], {}
        if config.train.select:
            shares = _select(
                config, learner, checkpoints, done, tokenizer, by_id, apart, grader, place
            )
            chosen = choose(shares)
        params = checkpoints.restore(chosen, learner.abstract).params
        scores = next(e for e in done.history.evaluations if e["step"] == chosen)
        results = {
            "kind": config.train.kind,
            "step": done.step,
            "stopped": done.stopped,
            "chosen": chosen,
            "evaluations": done.history.evaluations,
            "held_out": scores,
            "selection": {str(step): values for step, values in shares.items()},
            "data": facts,
            "parameters": learner.shape.params,
            "flops": {"training": dict(done.flops)},
        }
        if evaluate:
            results["reliability"] = [asdict(b) for b in evaluate.reliability(params)]
        whole = lora.merged(learner.model(params))
        export(
            place.path / "model",
            whole,
            tokenizer_dir=files,
            card=card(config, facts, scores, shares.get(chosen), place),
            dtype=config.train.export_dtype or None,
            replace=True,
        )
    return results if place.team.leads else None


def report(results: Mapping, workdir: Path) -> Iterator[Table | str]:
    """What to print of results.json: the held-out figures at the base, the best and the end."""
    found = results["evaluations"]
    best = History(found).best["step"]
    steps = dict.fromkeys([found[0]["step"], best, results["chosen"], found[-1]["step"]])
    names = [name for name in found[-1] if name != "step"]
    table = Table("held out", *(f"step {step}" for step in steps))
    by_step = {e["step"]: e for e in found}
    for name in names:
        cells = [by_step[step].get(name) for step in steps]
        table.add_row(name, *("-" if cell is None else f"{cell:.4g}" for cell in cells))
    yield table
    data = results["data"]
    yield (
        f"{data['examples']} examples of {data['questions']} questions, "
        f"{data['held_out_questions']} of them held out; {data['too_long']} examples left out as "
        f"longer than {data['token_limit']} tokens"
    )
    for step, shares in results["selection"].items():
        yield f"step {step}: pass@1 by attempt {', '.join(f'{100 * s:.1f}' for s in shares)} %"
    yield f"stopped {'early ' if results['stopped'] else ''}at step {results['step']}"
    yield f"model: {workdir / 'model'} (step {results['chosen']})"


# ---------------------------------------------------------------- from settings


def optimiser_of(config: ConfigDict) -> Optimiser:
    """The optimiser of a training job."""
    t = config.train
    return Optimiser(
        rate=t.rate, betas=tuple(t.betas), decay=t.decay, clip=t.clip, schedule=t.schedule,
        warmup=t.warmup,
    )  # fmt: skip


def numerics_of(config: ConfigDict) -> Numerics:
    """How a training job computes."""
    t = config.train
    return Numerics(
        accumulate=t.accumulate, dropout=t.dropout, remat=t.remat, fsdp=t.fsdp,
        dtype=settings.dtype(config).name,
    )  # fmt: skip


def _plan(config: ConfigDict) -> Plan:
    t = config.train
    return Plan(
        steps=t.steps, batch=t.batch, length=t.length, evaluate_every=t.evaluate_every,
        patience=t.patience, save_every=t.save_every, seed=config.seed,
        keep="past_best" if t.select else "best",
    )  # fmt: skip


def _base(config: ConfigDict, cache_dir: Path) -> tuple[Transformer, Tokenizer, Path]:
    """The model to train, its tokenizer, and the directory that the tokenizer's files are in."""
    t, models = config.train, cache_dir / "models"
    mesh = joint_mesh(config.mesh.data, config.mesh.model)
    files = checkpoint_directory(config.model.path, models)
    if t.scratch.layers:
        tokenizer = load_tokenizer(files)
        shape = ModelShape(vocab=tokenizer.vocab_size, **t.scratch.to_dict())
        model = Transformer(shape, jax.random.key(config.seed))
    else:
        # Adapters train beside weights that stay as they are, in the dtype of the computation.
        dtype = settings.dtype(config) if t.lora.rank else jnp.float32
        model, tokenizer = load_checkpoint(files, mesh=mesh, dtype=dtype)
    verifier = t.kind in VERIFIERS
    if verifier and model.shape.value_classes != 1:
        model = with_value_head(model, 1, jax.random.key(config.seed))
        # From zero all scores begin at a half: a random head would first have to be unlearned.
        model.value_head[...] = jnp.zeros_like(model.value_head[...])
    if not verifier and model.shape.value_classes:
        raise ValueError(
            f"{config.model.path} is a verifier (it has a value head); {t.kind} needs a policy"
        )
    if t.lora.rank:
        key = jax.random.key(config.seed + 1)
        model = lora.with_adapters(model, t.lora.rank, key, alpha=t.lora.alpha or None)
    return model, tokenizer, files


# ---------------------------------------------------------------- parts of a run


def _held_out(config, learner, found: Lesson, tried, inside, grader) -> HeldOut:
    choices = [s for s, kept in zip(found.solutions, inside, strict=True) if kept]
    shape = held_out_shape(tried, Shape(1, 0), learner.mesh.shape["data"])
    return HeldOut(learner, tried, choices, shape, grader=grader, n=config.train.best_of)


def _select(
    config, learner: Learner, checkpoints, done: Trained, tokenizer, questions, apart, grader, place
) -> dict[int, list[float]]:
    """pass@1 of every kept checkpoint on held-out questions; continued after a kill.

    The first process of a team samples, on its own devices.
    """
    file = place.path / "selection.json"
    shares = {int(step): v for step, v in (read_json(file) if file.exists() else {}).items()}
    some = [questions[id] for id in sorted(apart)][: config.train.select_questions or None]
    for step in done.history.kept("past_best"):
        if step in shares:
            continue
        model = _as_policy(config, learner, checkpoints.restore(step, learner.abstract).params)
        if place.team.leads:
            shares[step] = pass_at_1(
                parse(config.train.select), some, asked(config, model, tokenizer), grader,
                settings.batch(config),
            )  # fmt: skip
            write_json_atomic(file, {str(step): values for step, values in shares.items()})
    place.team.wait()
    return {int(step): values for step, values in read_json(file).items()}


def _as_policy(config: ConfigDict, learner: Learner, params: Arrays) -> Transformer:
    model = lora.merged(learner.model(params, settings.dtype(config)))
    if jax.process_count() > 1:
        model = gathered(model, learner.mesh)
    mesh = own_mesh(config.mesh.data, config.mesh.model)
    return jax.device_put(model, parameter_shardings(model, mesh))
