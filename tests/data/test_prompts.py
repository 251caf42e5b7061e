# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttc_jax.data.prompts import AGAIN, INSTRUCTION, Chat, FewShot, Revision, split_steps
from ttc_jax.data.sources import Question
from ttc_jax.model.chat import render as render_chat

QUESTION = Question("q", "What is {1, 2} + {question}?", "3")


class FakeTokenizer:
    def chat(self, messages, *, add_generation_prompt=True):
        turns = "".join(f"<{m['role']}>{m['content']}" for m in messages)
        return turns + ("<assistant>" if add_generation_prompt else "")


def texts(solution, delimiter="\n\n"):
    return [step.text for step in split_steps(solution, delimiter)]


def test_chat_puts_the_question_into_the_instruction():
    prompt = Chat(system="Be brief.", instruction="Q: {question} {x}").render(
        QUESTION, FakeTokenizer())
    assert prompt == "<system>Be brief.<user>Q: What is {1, 2} + {question}? {x}<assistant>"
    default = Chat().render(QUESTION, FakeTokenizer())
    assert default.startswith("<user>" + QUESTION.text) and "step by step" in default
    assert '"The answer is"' in INSTRUCTION


def test_chat_examples_are_earlier_turns():
    chat = Chat(instruction="Q: {question}", examples=(("1+1?", "The answer is 2."),))
    assert chat.render(Question("q", "3+3?", "6"), FakeTokenizer()) == (
        "<user>Q: 1+1?<assistant>The answer is 2.<user>Q: 3+3?<assistant>")


def test_few_shot_ends_where_the_solution_begins():
    prompt = FewShot((("1+1?", "The answer is 2."), ("2+2?", "The answer is 4.")))
    assert prompt.render(Question("q", "3+3?", "6")) == (
        "Question: 1+1?\nAnswer: The answer is 2.\n\n"
        "Question: 2+2?\nAnswer: The answer is 4.\n\n"
        "Question: 3+3?\nAnswer:")
    assert FewShot(template="<{question}>{solution}</s>", separator="").render(QUESTION) == (
        f"<{QUESTION.text}>")


@pytest.mark.parametrize("make, message", [
    (lambda: Chat(instruction="Solve this."), "instruction 'Solve this.' lacks.*{question}"),
    (lambda: FewShot(template="{solution}"), "template .* lacks .*{question}"),
    (lambda: FewShot(template="{question}"), "template .* lacks .*{solution}"),
    (lambda: FewShot(template="{solution}{question}"), "before"),
])
def test_templates_without_placeholders_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# As ChatML and Llama 3 write turns; the latter cuts off blanks.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}")


class TemplateTokenizer:
    def __init__(self, template):
        self.template = template

    def chat(self, messages, *, add_generation_prompt=True):
        return render_chat(self.template, messages, {"bos_token": "<s>"},
                           add_generation_prompt=add_generation_prompt)


BASES = [
    (Chat(system="Be brief."), TemplateTokenizer(CHATML)),
    (Chat(examples=(("1+1?", "The answer is 2."),)), TemplateTokenizer(LLAMA3)),
    (FewShot((("1+1?", "The answer is 2."),)), None),
    (FewShot(template="<{question}>{solution}</s>", separator=""), None),
]


@pytest.mark.parametrize("base, tokenizer", BASES)
def test_without_attempts_a_revision_is_the_prompt_itself(base, tokenizer):
    prompt = base.render(QUESTION, tokenizer)
    assert Revision(base).render(QUESTION, (), tokenizer) == prompt != ""


def test_attempts_in_chat_are_turns_and_each_is_asked_to_be_corrected():
    revision = Revision(Chat(instruction="Q: {question}"), again="Again!")
    prompt = revision.render(Question("q", "3+3?", "6"), ["5\n\n", " 7"], FakeTokenizer())
    assert prompt == "<user>Q: 3+3?<assistant>5<user>Again!<assistant>7<user>Again!<assistant>"
    default = Revision(Chat()).render(QUESTION, ["5"], FakeTokenizer())
    assert default.endswith(f"<assistant>5<user>{AGAIN}<assistant>")


def test_attempts_in_plain_text_stand_under_headings():
    prompt = Revision(FewShot()).render(Question("q", "3+3?", "6"), ["3 + 3 = 5.\nSo 5.\n", " "])
    assert prompt == (
        "Question: 3+3?\nAnswer:\n\nAttempt 1: 3 + 3 = 5.\nSo 5.\n\nAttempt 2:\n\nAttempt 3:")


@pytest.mark.parametrize("base, tokenizer", BASES)
@given(attempts=st.lists(st.text(alphabet="ab \n{%", max_size=9), max_size=4))
def test_a_further_attempt_only_adds_to_the_prompt(base, tokenizer, attempts):
    prompts = [Revision(base).render(QUESTION, attempts[:n], tokenizer)
               for n in range(len(attempts) + 1)]
    for shorter, longer in zip(prompts, prompts[1:], strict=False):
        assert longer.startswith(shorter) and len(longer) > len(shorter)
    for attempt in attempts:
        assert attempt.strip() in prompts[-1]


def test_empty_steps_do_not_count():
    assert texts("a\n\n\n\n  \n\nb\nc\n\n") == ["a", "b\nc"]
    assert texts("a\n\n \nb", "\n") == ["a", "b"]
    assert texts(" \n\n ") == texts("") == []


@pytest.mark.parametrize("solution, expected", [
    ("3+4=7\nThe answer is 7.", ["3+4=7", "The answer is 7."]),
    ("a\nso \\boxed{7}\nb", ["a", "so \\boxed{7}", "b"]),
    ("a\n\nb\n#### 7", ["a", "b", "#### 7"]),
    ("a\nThe answer is\n7\n\nb", ["a", "The answer is\n7", "b"]),
    ("The answer is 6.\nNo.\nThe answer is 7.", ["The answer is 6.\nNo.", "The answer is 7."]),
])
def test_the_final_answer_line_is_a_step_of_its_own(solution, expected):
    assert texts(solution) == expected


@given(st.text(alphabet="ab \n#", max_size=40), st.sampled_from(["\n", "\n\n"]))
def test_offsets_give_the_text_and_nothing_is_lost(solution, delimiter):
    steps = split_steps(solution, delimiter)
    assert all(solution[s.start : s.end] == s.text == s.text.strip() != "" for s in steps)
    assert all(a.end <= b.start for a, b in zip(steps, steps[1:], strict=False))
    assert "".join("".join(s.text for s in steps).split()) == "".join(solution.split())
    assert all(delimiter not in s.text for s in steps)


def test_other_delimiters_are_refused():
    with pytest.raises(ValueError, match="';'"):
        split_steps("a;b", ";")
