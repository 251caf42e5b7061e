# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import importlib.util
from pathlib import Path

import pytest

from ttc_jax.core.records import key_of
from ttc_jax.data.sources import Question
from ttc_jax.learn.texts import Writer
from ttc_jax.model.load import checkpoint_directory
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.run import settings, train

QUESTION = Question("q", "=23=17: 4 6 7 9 10", "=23 4 9 10\n=17 4 6 7")


@pytest.fixture
def config():
    path = Path(__file__).parents[2] / "configs" / "smollm2.py"
    spec = importlib.util.spec_from_file_location("smollm2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config().unlock()
    config.data.name = "subset_sums"
    config.prompt.examples = ()
    return config


def test_subset_sums_of_a_config(config, tmp_path):
    config.data.count, config.data.seed, config.data.levels = 12, 1, ((1, 3), (2, 4), (2, 5))
    found = settings.questions(config, tmp_path)
    assert [q.level for q in found] == [1, 2, 3] * 4
    config.data.limit = 3  # evenly spaced ones would all be of level 1 or 2
    assert settings.questions(config, tmp_path) == found[:3]
    config.data.seed = -1
    with pytest.raises(ValueError, match="data.seed is -1"):
        settings.questions(config, tmp_path)


def test_new_settings_left_alone_keep_the_keys_of_old_runs(config):
    for group, name in (config.prompt, "template"), (config.grade, "answer"):
        if name in group:
            del group[name]
    old = settings.sampling_depends_on(config, [QUESTION])
    assert "grade.answer" not in old and "prompt.template" not in old
    config.prompt.template, config.grade.answer = "", "stated"
    assert key_of(settings.sampling_depends_on(config, [QUESTION])) == key_of(old)
    config.prompt.template, config.grade.answer = "{question}\n{solution}", "solution"
    assert settings.sampling_depends_on(config, [QUESTION]) == old | {
        "prompt.template": "{question}\n{solution}",
        "grade.answer": "solution",
    }


def test_weights_in_int8_are_another_result_and_plain_ones_are_that_of_old_runs(config):
    for group in (config.model, config.scorer):
        if "weights" in group:
            del group.weights
    old = settings.sampling_depends_on(config, [QUESTION])
    config.model.weights = config.scorer.weights = ""
    assert key_of(settings.sampling_depends_on(config, [QUESTION])) == key_of(old)
    config.model.weights = "int8"
    assert settings.sampling_depends_on(config, [QUESTION]) == old | {"model.weights": "int8"}
    config.model.weights, config.scorer.weights = "", "int8"
    assert settings.sampling_depends_on(config, [QUESTION]) == old | {"scorer.weights": "int8"}


@pytest.mark.parametrize(("group", "changes", "message"), [
    ("model", {"weights": "int4"}, "model.weights is 'int4'; use 'int8'"),
    ("scorer", {"weights": "fp8"}, "scorer.weights is 'fp8'; use 'int8'"),
    ("scorer", {"weights": "int8", "path": "likelihood"}, "--config.scorer.weights=''"),
])  # fmt: skip
def test_weights_that_cannot_be(config, group, changes, message):
    config[group].update(changes)
    with pytest.raises(ValueError, match=message):
        settings.check_sampling(config, stepwise=False)


def test_attention_is_chosen_by_name_and_refused_where_it_cannot_be(config):
    del config.engine.attention
    old = settings.sampling_depends_on(config, [QUESTION])
    config.engine.attention = "xla"
    settings.check_sampling(config, stepwise=False)
    assert key_of(settings.sampling_depends_on(config, [QUESTION])) == key_of(old)
    config.engine.attention = "cudnn"
    cudnn = {"engine.attention": "cudnn"}
    assert settings.sampling_depends_on(config, [QUESTION]) == old | cudnn
    with pytest.raises(ValueError, match="needs an NVIDIA GPU, and this runs on cpu"):
        settings.check_sampling(config, stepwise=False)
    config.engine.attention = "flash"
    with pytest.raises(ValueError, match="attention is 'flash'; there are xla, cudnn"):
        settings.check_sampling(config, stepwise=False)


def test_weights_that_are_trained_stay_as_they_are(config):
    config.model.weights = "int8"
    with pytest.raises(ValueError, match="--config.model.weights=''"):
        train.check(config)


def test_a_template_of_its_own(config):
    assert settings.style(config).render(QUESTION, ()) == f"Question: {QUESTION.text}\nAnswer:"
    config.prompt.template = "{question}\n{solution}"
    settings.check_asking(config)
    style, text = settings.style(config), QUESTION.text
    assert style.render(QUESTION, ()) == f"{text}\n"
    assert style.render(QUESTION, ["=23 6 7 10\n=17 4 6 7\n"]) == (
        f"{text}\n\nAttempt 1: =23 6 7 10\n=17 4 6 7\n\nAttempt 2:"
    )
    tokenizer = load_tokenizer(checkpoint_directory("builtin:subset_sums"))
    for attempts, start in (((), "=23"), (("=23 6 7 10\n=17 4 6 7",), " =23")):
        example = Writer(style, tokenizer).example(QUESTION, attempts, QUESTION.answer)
        learned = example.targets[example.weights > 0].tolist()
        assert tokenizer.decode(learned).startswith(start) and learned[-1] == tokenizer.eos[0]
        assert len(learned) == len(attempts) + 10
        # The last token before what is learned is a newline, or a heading.
        assert example.weights[-len(learned) - 1] == 0


@pytest.mark.parametrize("change, message", [
    ({"template": "{question}"}, "template '{question}' lacks the placeholder {solution}"),
    ({"template": "{question}{solution}", "style": "chat"}, "style = 'few_shot', not 'chat'"),
])  # fmt: skip
def test_templates_that_cannot_work(config, change, message):
    config.prompt.update(change)
    with pytest.raises(ValueError, match=message):
        settings.check_asking(config)


def test_unknown_answers(config):
    config.grade.answer = "steps"
    with pytest.raises(ValueError, match="grade.answer is 'steps'"):
        settings.check_asking(config)


def test_a_chat_prompt_of_its_own_words(config):
    class Turns:
        def chat(self, messages, *, add_generation_prompt):
            return [(message["role"], message["content"]) for message in messages]

    config.prompt.update(
        {"style": "chat", "system": "Be brief.", "instruction": "Solve: {question}"}
    )
    settings.check_asking(config)
    turns = [("system", "Be brief."), ("user", f"Solve: {QUESTION.text}")]
    assert settings.style(config).render(QUESTION, (), Turns()) == turns
    assert settings.prompt_depends_on(config)["prompt.system"] == "Be brief."
    config.prompt.instruction = "Solve it."
    with pytest.raises(ValueError, match="lacks the placeholder {question}"):
        settings.check_asking(config)
    config.prompt.update({"style": "few_shot", "system": "Be brief."})
    with pytest.raises(ValueError, match="prompt.system is 'Be brief.', which is for .* 'chat'"):
        settings.check_asking(config)
