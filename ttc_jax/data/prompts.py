# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""How a question becomes a prompt, and a solution a list of steps."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ttc_jax.data.sources import Question

QUESTION = "{question}"
SOLUTION = "{solution}"
# Without a placeholder for the answer, such as "The answer is N": small models copy it.
INSTRUCTION = (
    "{question}\n\n"
    'Reason step by step, and finish with a sentence that begins with "The answer is".'
)

# Asks a chat model for another attempt, in a turn of the user's after each one.
AGAIN = (
    "That attempt may be wrong. Check it, correct what is wrong, and solve the problem again: "
    'reason step by step, and finish with a sentence that begins with "The answer is".'
)

# What introduces a final answer in prose: "answer is", "Answer:", "**Answer**: " and the like.
ANSWER_IS = re.compile(r"\banswer[*_]*\s*(?:is\s*:|is\b|:|=)[*_]*\s*", re.IGNORECASE)
_FINAL = re.compile(rf"\\boxed\b|####|{ANSWER_IS.pattern}", re.IGNORECASE)


class ChatTokenizer(Protocol):
    """The part of a tokenizer that `Chat` needs."""

    def chat(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = True) -> str:
        """The conversation in the checkpoint's own chat template."""
        ...


@dataclass(frozen=True)
class Chat:
    """A user turn in the chat template, after a system turn and worked examples if there are any.

    Each example `(question, solution)` is a user turn, put as the question is, and its answer.

    Raises:
      ValueError: the instruction has no `{question}`.
    """

    system: str = ""
    instruction: str = INSTRUCTION
    examples: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        _need(self.instruction, QUESTION, "instruction")

    def render(
        self,
        question: Question,
        tokenizer: ChatTokenizer,
        more: Sequence[tuple[str, str]] = (),
    ) -> str:
        """The prompt up to where the model's turn begins; ValueError without a chat template.

        `more` turns, (role, content) each, come after the question.
        """
        turns = [("system", self.system)] if self.system else []
        for asked, solution in self.examples:
            turns += [("user", self.instruction.replace(QUESTION, asked)), ("assistant", solution)]
        turns += [("user", self.instruction.replace(QUESTION, question.text)), *more]
        messages = [{"role": role, "content": content} for role, content in turns]
        return tokenizer.chat(messages, add_generation_prompt=True)


@dataclass(frozen=True)
class FewShot:
    """Worked examples `(question, solution)` before the question, for models without chat.

    The template is used for every example and, cut off at `{solution}`, for the question.

    Raises:
      ValueError: the template lacks `{question}` or `{solution}`, or has them the wrong way round.
    """

    examples: tuple[tuple[str, str], ...] = ()
    template: str = "Question: {question}\nAnswer: {solution}"
    separator: str = "\n\n"

    def __post_init__(self):
        _need(self.template, QUESTION, "template")
        _need(self.template, SOLUTION, "template")
        if self.template.index(SOLUTION) < self.template.index(QUESTION):
            raise ValueError(f"template {self.template!r} has {SOLUTION} before {QUESTION}")

    def render(self, question: Question, tokenizer: ChatTokenizer | None = None) -> str:
        """The prompt up to where the solution begins, without trailing blanks."""
        head, tail = self.template.split(SOLUTION, 1)
        shots = [head.replace(QUESTION, q) + solution + tail for q, solution in self.examples]
        last = head.replace(QUESTION, question.text).rstrip(" ")
        return self.separator.join([*shots, last])


@dataclass(frozen=True)
class Revision:
    """A question with earlier attempts at it in view, oldest first.

    `prompt` puts the question. In chat each attempt is a turn of the model's, answered by `again`;
    otherwise attempts follow the question under headings, "Attempt 1:" and so on, the last of them
    left open. Either way a further attempt only adds to the end, so prompts of a chain begin alike
    until its window slides and drops the oldest attempt.
    """

    prompt: Chat | FewShot
    again: str = AGAIN

    def render(
        self, question: Question, attempts: Sequence[str], tokenizer: ChatTokenizer | None = None
    ) -> str:
        """The prompt for the next attempt; without earlier ones exactly that of `prompt`.

        Raises:
          ValueError: a chat prompt, and the tokenizer has no chat template.
        """
        texts = [attempt.strip() for attempt in attempts]
        if isinstance(self.prompt, Chat):
            more = [turn for text in texts for turn in (("assistant", text), ("user", self.again))]
            return self.prompt.render(question, tokenizer, more)
        prompt = self.prompt.render(question, tokenizer)
        if not texts:
            return prompt
        parts = [f"Attempt {i}: {text}".rstrip(" ") for i, text in enumerate([*texts, ""], 1)]
        return "\n\n".join([prompt.rstrip("\n"), *parts])


def _need(template: str, placeholder: str, name: str) -> None:
    if placeholder not in template:
        raise ValueError(f"{name} {template!r} lacks the placeholder {placeholder}")


class Step(NamedTuple):
    """A step of a solution: `text == solution[start:end]`, without blanks at either end."""

    text: str
    start: int
    end: int


def split_steps(solution: str, delimiter: str = "\n\n") -> list[Step]:
    """The steps of a solution in order; the last line with a final answer is a step of its own.

    Steps end at the delimiter, "\\n\\n" or "\\n". Empty steps do not count.

    Raises:
      ValueError: another delimiter.
    """
    if delimiter not in ("\n", "\n\n"):
        raise ValueError(f"delimiter must be a newline or two, not {delimiter!r}")
    cuts = {0, len(solution)}
    for found in re.finditer(re.escape(delimiter), solution):
        cuts |= {found.start(), found.end()}
    finals = list(_FINAL.finditer(solution))
    if finals:
        at = finals[-1].start()
        end = solution.find("\n", finals[-1].end())
        cuts |= {solution.rfind("\n", 0, at) + 1, len(solution) if end < 0 else end}
    edges = sorted(cuts)
    steps = [_stripped(solution, a, b) for a, b in zip(edges, edges[1:], strict=False)]
    return [step for step in steps if step.text]


def _stripped(solution: str, start: int, end: int) -> Step:
    text = solution[start:end]
    start += len(text) - len(text.lstrip())
    text = text.strip()
    return Step(text, start, start + len(text))
