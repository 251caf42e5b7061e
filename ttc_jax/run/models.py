# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The models that configs name: each checkpoint loaded once, as policies and verifiers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ttc_jax.core.mesh import own_mesh
from ttc_jax.core.places import path_of
from ttc_jax.data.sources import Question
from ttc_jax.decode.backend import check_model
from ttc_jax.model.load import checkpoint_directory, load_checkpoint, read_shape
from ttc_jax.model.settings import read_json
from ttc_jax.model.tokens import Tokenizer
from ttc_jax.model.transformer import Transformer, with_value_head
from ttc_jax.run import settings
from ttc_jax.search.plan import Policy
from ttc_jax.verify.format_names import by_name
from ttc_jax.verify.formats import Format
from ttc_jax.verify.likelihood import LIKELIHOOD, Likelihood
from ttc_jax.verify.scorer import Scorer
from ttc_jax.verify.verifier import Verifier


@dataclass(frozen=True)
class _Loaded:
    """A checkpoint, where it is put, its dtype, and what its weights are made."""

    path: str
    mesh: Mesh
    dtype: str
    weights: str


class Models:
    """Policies and verifiers of the runs of one command; runs that name a checkpoint share it."""

    def __init__(self, cache_dir: Path):
        self._cache_dir = cache_dir
        self._loaded: dict[_Loaded, tuple[Transformer, Tokenizer]] = {}

    def policy(self, config: ConfigDict) -> Policy:
        """The model that answers, loaded, and how it is asked."""
        return asked(config, *self._load(_policy_of(config), settings.attention(config)))

    def verifier(self, config: ConfigDict) -> Scorer | None:
        """The verifier, loaded, with nothing allocated yet; None where the config names none."""
        if not config.scorer.path:
            return None
        if config.scorer.path == LIKELIHOOD:
            return Likelihood(config.scorer.aggregate)
        scorer, asked_for = config.scorer, _verifier_of(config)
        model, tokenizer = self._load(asked_for, settings.attention(config))
        if scorer.untrained:
            model = with_value_head(model, 1, jax.random.key(config.seed))
        return Verifier(
            model,
            by_name(scorer.format, tokenizer),
            mesh=asked_for.mesh,
            aggregate=scorer.aggregate,
            pages=scorer.pages or None,
            page_size=config.engine.page_size,
            attention=settings.attention(config),
        )

    def keep_only(self, config: ConfigDict) -> None:
        """Gives up what is loaded and not named by this config, to make room for what is."""
        wanted = {_policy_of(config)}
        if config.scorer.path not in ("", LIKELIHOOD):
            wanted.add(_verifier_of(config))
        self._loaded = {key: held for key, held in self._loaded.items() if key in wanted}

    def _load(self, key: _Loaded, attention: str) -> tuple[Transformer, Tokenizer]:
        cache_dir = self._cache_dir / "models"
        if attention != "xla":  # before weights are read, which may take long
            check_model(attention, read_shape(checkpoint_directory(key.path, cache_dir)), key.mesh)
        if key not in self._loaded:
            self._loaded[key] = load_checkpoint(
                key.path, mesh=key.mesh, dtype=key.dtype, weights=key.weights, cache_dir=cache_dir
            )
        return self._loaded[key]


def _policy_of(config: ConfigDict) -> _Loaded:
    mesh = own_mesh(config.mesh.data, config.mesh.model)
    return _Loaded(
        config.model.path, mesh, settings.dtype(config).name, settings.weights(config.model)
    )


def _verifier_of(config: ConfigDict) -> _Loaded:
    """What the verifier is loaded from, onto the policy's mesh unless it has its own."""
    mesh, own = _policy_of(config).mesh, config.scorer.mesh
    if own.data or own.model:
        mesh = own_mesh(max(1, own.data), max(1, own.model))
    return _Loaded(
        config.scorer.path, mesh, settings.dtype(config).name, settings.weights(config.scorer)
    )


def asked(
    config: ConfigDict, model: Transformer, tokenizer: Tokenizer, mesh: Mesh | None = None
) -> Policy:
    """A model as the policy, asked and sampled as the config says, on its mesh or another."""
    how, chat = settings.style(config), config.prompt.style == "chat"

    def prompt(question: Question, attempts: Sequence[str]) -> list[int]:
        text = how.render(question, attempts, tokenizer)
        return tokenizer.encode(text, bos=False if chat else None)

    return Policy(
        model,
        tokenizer,
        mesh or own_mesh(config.mesh.data, config.mesh.model),
        prompt,
        settings.sampler(config),
        delimiter=config.search.delimiter,
        ends=tuple(config.sample.stop),
        max_new=config.sample.max_new,
        max_step=config.search.max_step,
        attention=settings.attention(config),
    )


def described(config: ConfigDict, policy: Policy, verifier: Scorer | None) -> dict:
    """What models.json says of the models of a run: path, kind and number of parameters of each."""
    shape, described = policy.model.shape, None
    if isinstance(verifier, Likelihood):
        described = {"path": LIKELIHOOD, "kind": LIKELIHOOD, "params": 0}
    elif verifier is not None:
        described = {
            "path": config.scorer.path,
            "kind": verifier_kind(verifier.format),
            "params": verifier.model.shape.params,
        }
        described |= _said(config.scorer)
    own = {"path": config.model.path, "kind": policy_kind(config), "params": shape.params}
    return {"policy": own | _said(config.model), "verifier": described}


def _said(group: ConfigDict) -> dict:
    """What weights are made, where they do not stay as they are."""
    return {"weights": settings.weights(group)} if settings.weights(group) else {}


def policy_kind(config: ConfigDict) -> str:
    """The policy's kind: as the config says, else what its training job was told.

    A training job leaves its checkpoint in a folder of its work directory, so the job's config.json
    lies beside that folder. Every other checkpoint is a base model.
    """
    if config.model.get("kind", ""):
        return config.model.kind
    beside = read_json(path_of(config.model.path).parent / "config.json")
    trained = beside["config"].get("train", {}).get("kind") if "samples_depend_on" in beside else ""
    return trained if trained in settings.POLICY_KINDS else "base"


def verifier_kind(format: Format) -> str:
    """The verifier's: "prm" scores steps, "orm" solutions, "orm_history" attempts in view too."""
    if not format.outcome:
        return "prm"
    return "orm_history" if format.history else "orm"
