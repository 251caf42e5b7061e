# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every format against what its authors do with the whole text: the same ids, the same scores."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from model.tiny_models import hf_model
from verify import tiny_verifiers as tiny

from ttc_jax.model.load import load_model
from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.model.transformer import forward
from ttc_jax.verify.format_names import by_name
from ttc_jax.verify.formats import Format, Piece, continued
from ttc_jax.verify.plain_formats import Steps

TOLERANCE = 1e-4
KINDS = {
    "math_shepherd": tiny.sentencepiece_tokenizer,
    "rlhflow": tiny.llama_tokenizer,
    "rlhflow_outcome": tiny.llama_tokenizer,
    "skywork_o1": tiny.skywork_tokenizer,
    "qwen_math_prm": tiny.qwen_tokenizer,
    "steps": tiny.qwen_tokenizer,
    "outcome": tiny.qwen_tokenizer,
    "outcome_history": tiny.qwen_tokenizer,
}
PUBLIC = ("math_shepherd", "rlhflow", "rlhflow_outcome", "skywork_o1", "qwen_math_prm")
STEPWISE = ("math_shepherd", "rlhflow", "skywork_o1", "qwen_math_prm", "steps")
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

QUESTIONS = [
    "Janet's ducks lay 16 eggs per day. How many eggs does she sell?",
    "Simplify \\(x^2 - 1\\), where x > 0:\n\n\\[ x^2 - 1 \\]",
    "What is 1 + 1 =",
]
SOLUTIONS = [
    ["Step 1: She eats 3 eggs.", "Step 2: 16 - 3 = 13", "The answer is: \\boxed{13}"],
    ["(x - 1)(x + 1)"],
    ["1 + 1 = 2", "= 2 + 0", "$2$", "So it is 2, привет точки!"],
]
CASES = list(zip(QUESTIONS, SOLUTIONS, strict=True))


# --- the independent way: the whole text at once, places as the authors find them


def shepherd_text(question, steps):
    return f"{question} " + "\n".join(f"{step} ки" for step in steps)


def qwen_text(tokenizer, question, steps):
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)


def turns(question, steps):
    contents = [f"{question} {steps[0]}", *steps[1:]]
    pairs = [
        ({"role": "user", "content": c}, {"role": "assistant", "content": "+"}) for c in contents
    ]
    return [turn for pair in pairs for turn in pair]


def skywork_ids(tokenizer, question, steps):
    newline = tokenizer.encode("\n")[-1]
    ids, flags = tokenizer.encode(tokenizer.bos_token + question + "\n"), []
    for step in steps:
        ids = ids + tokenizer.encode(step) + [newline]
        flags.append(len(ids) - 1)
    return ids, flags


def chat_ids(tokenizer, messages):
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    return tokenizer(text, add_special_tokens=False).input_ids


def whole_ids(name, tokenizer, question, steps):
    """All ids of a text, the question and the steps in it being stripped."""
    if name == "math_shepherd":
        return tokenizer(shepherd_text(question, steps)).input_ids
    if name == "rlhflow":
        return chat_ids(tokenizer, turns(question, steps))
    if name == "rlhflow_outcome":
        return chat_ids(tokenizer, turns(question, ["\n\n".join(steps)]))
    if name == "skywork_o1":
        return skywork_ids(tokenizer, question, steps)[0]
    return tokenizer(qwen_text(tokenizer, question, steps)).input_ids


@torch.no_grad()
def their_scores(name, tokenizer, model, question, steps):
    if name == "math_shepherd":
        ids = torch.tensor([tokenizer.encode(shepherd_text(question, steps))])
        pair = tokenizer.encode("+ -")[1:]
        scores = model(ids).logits[:, :, pair].softmax(-1)[:, :, 0]
        return scores[ids == tokenizer.encode("ки")[-1]].numpy()
    if name.startswith("rlhflow"):
        pair = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
        steps = ["\n\n".join(steps)] if name == "rlhflow_outcome" else steps
        scores = []
        for k in range(1, len(steps) + 1):
            ids = torch.tensor([chat_ids(tokenizer, turns(question, steps[:k]))])
            scores.append(model(ids).logits[0, -3, pair].softmax(-1)[0].item())
        return np.array(scores)
    if name == "skywork_o1":
        ids, flags = skywork_ids(tokenizer, question, steps)
        return torch.sigmoid(model(torch.tensor([ids])))[0, flags].numpy()
    ids = torch.tensor([tokenizer.encode(qwen_text(tokenizer, question, steps))])
    probabilities = model(ids).softmax(-1)[0]
    return probabilities[ids[0] == tokenizer.encode("<extra_0>")[0]][:, 1].numpy()


# --- ours


def pieces_of(format: Format, question, steps) -> tuple[list[int], list[int]]:
    """All ids, and the places of the scores in them."""
    ids, places = list(format.begin(question)), []
    steps = ["\n\n".join(steps)] if format.outcome else steps
    for index, step in enumerate(steps):
        piece = format.step(step, index)
        if piece.at is not None:
            places.append(len(ids) + piece.at)
        ids += piece.ids
    return ids, places


@jax.jit
def states(model, tokens):
    return forward(model, tokens)


def our_scores(format: Format, model, ids, places):
    format.reader.check(model.shape)
    row = np.zeros((1, 384), np.int32)
    row[0, : len(ids)] = ids
    hidden = states(model, jnp.asarray(row))[0, jnp.asarray(places)]
    return np.asarray(jax.jit(format.reader.read)(model, hidden))


@pytest.fixture(scope="session")
def directories(tmp_path_factory):
    root = tmp_path_factory.mktemp("tokenizers")
    return {name: make(root / name) for name, make in KINDS.items()}


@pytest.fixture(scope="session")
def formats(directories):
    return {name: by_name(name, load_tokenizer(path)) for name, path in directories.items()}


@pytest.fixture(scope="session")
def verifiers(directories, tmp_path_factory):
    """Format -> (transformers' tokenizer, torch model, our model from its checkpoint)."""
    made = {}
    for name in PUBLIC:
        path = tmp_path_factory.mktemp("models") / name
        tokenizer = tiny.theirs(directories[name])
        vocab = len(tokenizer) + 5  # larger than the tokenizer, as published ones are
        if name == "qwen_math_prm":
            model, path = tiny.qwen_prm(path, vocab)
        elif name == "skywork_o1":
            model, path = tiny.skywork_prm(path, vocab)
        else:
            family = "mistral" if name == "math_shepherd" else "llama3"
            changes = {"sliding_window": 40} if family == "mistral" else {}
            model = hf_model(family, vocab_size=vocab, max_position_embeddings=1024, **changes)
            model.save_pretrained(path)
        made[name] = tokenizer, model, load_model(path)
    return made


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("name", PUBLIC)
def test_scores_equal_one_pass_over_the_whole_text(formats, verifiers, name, case):
    tokenizer, model, ours = verifiers[name]
    question, steps = CASES[case]
    ids, places = pieces_of(formats[name], question, steps)
    assert ids == whole_ids(name, tokenizer, question, steps)[: len(ids)]
    expected = their_scores(name, tokenizer, model, question, steps)
    assert len(places) == len(expected) == (1 if formats[name].outcome else len(steps))
    got = our_scores(formats[name], ours, ids, places)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
    # A place beside the right one would show.
    beside = our_scores(formats[name], ours, ids, [at - 1 for at in places])
    assert np.abs(beside - expected).max() > 10 * TOLERANCE


def test_math_shepherd_reads_a_tokenizer_json_alike(formats, tmp_path):
    path = tiny.pieces_tokenizer(tmp_path)
    format = by_name("math_shepherd", load_tokenizer(path))
    tokenizer = tiny.theirs(path)
    assert format.reader == formats["math_shepherd"].reader
    for question, steps in CASES:
        ids, _ = pieces_of(format, question, steps)
        assert ids == tokenizer(shepherd_text(question, steps)).input_ids
        assert ids == pieces_of(formats["math_shepherd"], question, steps)[0]


# --- ids of any text

ATOMS = [*"aZ09 .,:;?!+-=()[]$\\^'\"/*<>", "é", "日", "к", "и", "ки", "e\u0301", "don't", "Step"]
lines = st.lists(st.sampled_from(ATOMS), min_size=1, max_size=12).map("".join).map(str.strip)
texts = st.lists(lines, min_size=1, max_size=3).map("\n\n".join).map(str.strip).filter(bool)


@pytest.mark.parametrize("name", PUBLIC)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(question=texts, steps=st.lists(lines.filter(bool), min_size=1, max_size=3))
def test_ids_are_those_of_the_whole_text(formats, verifiers, name, question, steps):
    if name == "math_shepherd":  # Metaspace writes no second space in front of a space or of "<"
        assume(not any("ки" in text or "  " in text for text in (question, *steps)))
        assume(not question.startswith("<"))
    tokenizer = verifiers[name][0]
    ids, places = pieces_of(formats[name], question, steps)
    whole = whole_ids(name, tokenizer, question, steps)
    assert ids == whole[: len(ids)]
    assert tokenizer.decode(whole[len(ids) :]).strip() in ("", "<|im_end|>")
    if formats[name].outcome:
        return
    assert len(places) == len(steps)


@pytest.mark.parametrize("name", STEPWISE)
def test_a_prefix_of_the_steps_is_a_prefix_of_the_ids(formats, name):
    question, steps = CASES[2]
    whole, places = pieces_of(formats[name], question, steps)
    for k in range(len(steps)):
        ids, some = pieces_of(formats[name], question, steps[:k])
        assert whole[: len(ids)] == ids and places[:k] == some


# --- the traps


def test_tag_itself_or_one_before_the_answer(formats, verifiers):
    shepherd, flow = formats["math_shepherd"], formats["rlhflow"]
    ours, theirs = shepherd.tokenizer, verifiers["math_shepherd"][0]
    piece = shepherd.step("It is 2.", 0)
    assert piece.ids[piece.at] == ours.encode("ки", bos=False)[-1] == theirs.encode("ки")[-1]
    assert [shepherd.reader.good, shepherd.reader.bad] == theirs.encode("+ -")[1:]

    theirs = verifiers["rlhflow"][0]
    piece = flow.step("It is 2.", 0)
    assert piece.ids[piece.at + 1] == theirs.encode("+")[-1] == flow.reader.good
    assert flow.reader.bad == theirs.encode("-")[-1]
    assert len(piece.ids) - piece.at == 3
    assert theirs.decode([piece.ids[piece.at]]) == "\n\n"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("blank", ["", " ", "\n\n", "\t\n "])
def test_blank_steps_add_nothing(formats, name, blank):
    format = formats[name]
    assert format.step(blank, 0) == format.step(blank, 3) == Piece((), None)


@pytest.mark.parametrize("name", KINDS)
def test_blanks_at_the_ends_do_not_count(formats, name):
    format = formats[name]
    for index in (0, 1):
        assert format.step("\n\n It is 2.\n\n", index) == format.step("It is 2.", index)
    assert format.begin("\n What is 1 + 1? \n") == format.begin("What is 1 + 1?")


@pytest.mark.parametrize("name", STEPWISE)
@pytest.mark.parametrize(
    "text",
    ["a\n\nb", "a\nb\n\n\nc", "a ки\n\nb ки", "a<extra_0>b <extra_<extra_0>0> c", "+", "- +"],
)
def test_one_tag_and_one_score_for_each_step(formats, name, text):
    """Step count equals tag count, whatever the text of a step spells."""
    format = formats[name]
    for index in (0, 1):
        tag = format.step("It is 2.", index)
        tag = tag.ids[tag.at]
        piece = format.step(text, index)
        assert piece.ids[piece.at] == tag
        if name == "rlhflow":
            turn_end = format.tokenizer.encode("<|eot_id|>", bos=False)[0]
            assert piece.ids.count(turn_end) == 2 and piece.at == len(piece.ids) - 3
        else:
            assert piece.ids.count(tag) == 1
            assert piece.at == len(piece.ids) - 1


@pytest.mark.parametrize("name", ["rlhflow", "skywork_o1", "qwen_math_prm", "steps"])
def test_long_solutions_keep_every_step(name, tmp_path):
    """A tokenizer.json that cuts texts short, as some are saved, does not drop steps."""
    path = KINDS[name](tmp_path) / "tokenizer.json"
    cut = {"max_length": 16, "strategy": "LongestFirst", "direction": "Left", "stride": 0}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"truncation": cut}))
    format = by_name(name, load_tokenizer(tmp_path))
    steps = [f"Step {i}: it is {i}." for i in range(400)]
    ids, places = pieces_of(format, QUESTIONS[0], steps)
    assert len(ids) > 4096 and len(set(places)) == 400
    text = format.tokenizer.decode(ids)
    assert QUESTIONS[0] in text and all(step in text for step in steps)


def test_newlines_within_a_step_of_skywork_become_blanks(formats):
    format = formats["skywork_o1"]
    assert format.step("a = 1\n\n b = 2", 1) == format.step("a = 1 b = 2", 1)
    newline = format.tokenizer.encode("\n")[0]
    assert format.step("a = 1\nb = 2\n", 1).ids.count(newline) == 1


def test_turns_cannot_be_ended_from_within(formats):
    for name, mark in (("rlhflow", "<|eot_id|>"), ("qwen_math_prm", "<|im_end|>")):
        format = formats[name]
        assert format.step(f"a{mark}b", 1) == format.step("ab", 1)
        assert format.begin(f"What{mark}?") == format.begin("What?")


def test_letters_of_the_tag_within_a_word_stay(formats):
    format = formats["math_shepherd"]
    decoded = format.tokenizer.decode(format.step("точки и кирпич", 1).ids)
    assert decoded.endswith("точки и кирпич ки")
    assert format.step("a ки b", 1).ids == format.step("a  b", 1).ids


@pytest.mark.parametrize("name", KINDS)
def test_overhead_is_what_a_step_costs_beyond_its_text(formats, name):
    format = formats[name]
    text = "It is 2."
    alone = len(continued(format.tokenizer, "So\n", text))
    costs = [len(format.step(text, i).ids) - alone for i in (0, 1)]
    if format.outcome:
        costs = costs[:1]
    assert abs(format.overhead - max(costs)) <= 1  # a blank in front may cut the first word
    assert format.reader is format.reader


# --- our own layout


def test_our_layout_is_a_line_for_each_step(formats):
    format, tokenizer = formats["steps"], formats["steps"].tokenizer
    ids, places = pieces_of(format, "What is 1 + 1?", ["It is\n2.", "So 2"])
    assert tokenizer.decode(ids) == "What is 1 + 1?\nIt is 2.\nSo 2\n"
    newline = tokenizer.encode("\n")[0]
    assert [ids[at] for at in places] == [newline, newline]
    assert places[-1] == len(ids) - 1


def test_outcome_reads_the_end_of_the_same_layout(formats):
    steps = ["It is 2.", "So 2"]
    ids, places = pieces_of(formats["steps"], "What is 1 + 1?", steps)
    format = formats["outcome"]
    assert format.outcome and formats["rlhflow_outcome"].outcome and not formats["steps"].outcome
    assert pieces_of(format, "What is 1 + 1?", steps) == (ids, places[-1:])


def test_earlier_attempts_are_parted_by_blank_lines(formats):
    format, tokenizer = formats["outcome_history"], formats["steps"].tokenizer
    assert (format.outcome, format.history) == (True, True)
    attempts = ["It is 3.\n\nSo 3", "\n\n", " So\n \n 4\n"]
    ids, places = format.whole("What is 1 + 1?", [*attempts, "So 2"])
    text = tokenizer.decode(ids)
    assert text == "What is 1 + 1?\nIt is 3.\nSo 3\n\nSo\n4\n\nSo 2\n"
    newline = tokenizer.encode("\n")[0]
    assert [None if at is None else ids[at] for at in places] == [newline, None, newline, newline]
    assert places[-1] == len(ids) - 1
    for text in SOLUTIONS[0]:
        assert format.whole("What?", [text]) == formats["outcome"].whole("What?", [text])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(attempts=st.lists(texts | st.just(" \n"), min_size=1, max_size=5))
def test_attempts_are_read_alike_whatever_follows(formats, attempts):
    format = formats["outcome_history"]
    whole, places = format.whole(QUESTIONS[0], attempts)
    newline = format.tokenizer.encode("\n")[0]
    for k in range(len(attempts) + 1):
        ids, some = format.whole(QUESTIONS[0], attempts[:k])
        assert whole[: len(ids)] == ids and places[:k] == some
    body = list(whole[len(format.begin(QUESTIONS[0])) :])
    blanks = [i for i in range(1, len(body)) if body[i - 1] == body[i] == newline]
    assert len(blanks) == max(0, sum(at is not None for at in places) - 1)


@pytest.mark.parametrize("name", KINDS)
def test_the_whole_is_its_pieces(formats, name):
    format = formats[name]
    for question, steps in CASES:
        ids, places = pieces_of(format, question, steps)
        steps = ["\n\n".join(steps)] if format.outcome else steps
        assert format.whole(question, steps) == (tuple(ids), tuple(places))


@pytest.mark.parametrize("make", [tiny.sentencepiece_tokenizer, tiny.llama_tokenizer])
def test_our_layout_fits_other_tokenizers(make, tmp_path):
    tokenizer = load_tokenizer(make(tmp_path))
    format = Steps(tokenizer, template="Question: {question}\nAnswer:\n")
    ids, places = pieces_of(format, "What is 1 + 1?", ["It is 2.", "So 2"])
    text = tokenizer.decode(ids, skip_special=True)
    assert text == "Question: What is 1 + 1?\nAnswer:\nIt is 2.\nSo 2\n"
    assert (ids[0] == tokenizer.bos) and places[-1] == len(ids) - 1


@pytest.mark.parametrize("template", ["{question}", "Answer:\n", ""])
def test_templates_that_do_not_fit(formats, template):
    with pytest.raises(ValueError, match="must hold .question. and end with a newline"):
        Steps(formats["steps"].tokenizer, template)


# --- what is refused


def test_unknown_format(formats):
    with pytest.raises(ValueError, match="unknown verifier format 'prm'.*math_shepherd, rlhflow"):
        by_name("prm", formats["steps"].tokenizer)


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        ("math_shepherd", "steps", "' ки' is not a token of its own"),
        ("qwen_math_prm", "rlhflow", "'<extra_0>' is not a token of its own"),
        ("rlhflow", "math_shepherd", "no chat template"),
        ("rlhflow_outcome", "math_shepherd", "no chat template"),
        ("skywork_o1", "steps", "starts with a bos token"),
    ],
)
def test_tokenizers_of_other_verifiers_are_refused(formats, name, other, words):
    with pytest.raises(ValueError, match=words):
        by_name(name, formats[other].tokenizer)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages | length }}", "does not write each message as it is"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "does not write each message"),
        (
            "{% for m in messages %}[{{ loop.index }}]{{ m.content }}{% endfor %}",
            "does not write all turns alike",
        ),
    ],
)
def test_templates_of_other_kinds_are_refused(tmp_path, template, words):
    tokenizer = load_tokenizer(tiny.llama_tokenizer(tmp_path, chat_template=template))
    with pytest.raises(ValueError, match=words):
        by_name("rlhflow", tokenizer)


def test_tokens_across_a_join_are_refused(tmp_path):
    """A vocabulary with tokens that reach over blanks cannot be read step by step."""
    more = ["ки", "How many Step", "a ки", "b + c - d"] * 200
    path = tiny.sentencepiece_tokenizer(tmp_path, more, split_by_whitespace=False, vocab_size=600)
    format = by_name("math_shepherd", load_tokenizer(path))
    with pytest.raises(ValueError, match="'How many' into ' Step'.*cannot be scored step by step"):
        format.begin("How many")
