# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Final answers as text: finding them in a solution, and comparing the plain ones exactly."""

import re
from decimal import Decimal

from ttc_jax.data.prompts import ANSWER_IS

_NUMBER = r"(?=[-+]?\.?\d)[-+]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)?(?:\.\d+)?"
_PLAIN = re.compile(_NUMBER)
_ANY_NUMBER = re.compile(rf"(?<![\w.,])\$?({_NUMBER})(?!\w|[.,]\d)")
# A number and its unit, "18 apples per day": words of two letters or more and no other number.
_WITH_UNIT = re.compile(rf"({_NUMBER})((?:[ -]+[A-Za-z]{{2,}})+)")
# Words that change the value of a number, so that it does not stand for the whole phrase.
_VALUE_WORDS = re.compile(
    r"\b(and|or|to|plus|minus|times|over|pi|sqrt|percent|dozens?|hundreds?|thousands?|millions?"
    r"|billions?|tenths?|hundredths?|twice|double|half|halves|thirds?|quarters?|fourths?|fifths?)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"\n|[.!?](?=[\s*_`]|$)")
_AFTERTHOUGHT = re.compile(
    r",?\s+(?:because|since|which|so)\b|,\s+(?!and\b|or\b)(?=[A-Za-z]{2,})", re.IGNORECASE
)
_ARITHMETIC = re.compile(r"[\d\s+\-*/().,$×÷]*\d[\d\s+\-*/().,$×÷]*=(.*)")


def extract(text: str, *, last_number: bool = False) -> str | None:
    r"""The final answer a solution states, or None if it states none.

    The last complete `\boxed{}`; else what follows the last `####` on its line; else what follows
    the last "answer is" or "answer:", to the end of the sentence. Enclosing dollar signs and a
    closing period go. With `last_number`, a text that states no answer gives its last number.
    """
    for found in (_boxed(text), _hashed(text), _stated(text)):
        if found:
            return found
    numbers = _ANY_NUMBER.findall(text) if last_number else []
    return numbers[-1] if numbers else None


def whole(text: str) -> str:
    """The text without white space at its ends and those of its lines."""
    return "\n".join(line.strip() for line in text.strip().split("\n"))


def plain_number(answer: str) -> Decimal | None:
    """The value of a normalised answer that is one decimal number ("1,234.50"), else None."""
    return Decimal(answer.replace(",", "")) if _PLAIN.fullmatch(answer) else None


def normalise(answer: str) -> str:
    r"""The answer without what does not change it: dollar signs, spacing commands, unit words.

    "\$1{,}234.00 dollars" becomes "1,234.00", and "3 + 4 = 7" becomes "7".
    """
    answer = answer.replace("\N{MINUS SIGN}", "-").replace("{,}", ",").replace("\\$", "$")
    answer = re.sub(r",\\!\s*", ",", answer)
    answer = re.sub(r"(?<!\\)\\[,;:! ]|~", " ", answer)
    sum_ = _ARITHMETIC.fullmatch(answer)
    answer = re.sub(r"\s+", " ", _trimmed(sum_[1] if sum_ else answer))
    if answer.count("$") == 1:
        answer = re.sub(r"^([-+]) ?\$ ?(?=[\d.])", r"\1", answer)
    words = re.sub(r"\\(?:text|mbox|mathrm) ?\{([^{}\\]*)\}", r" \1", answer)
    with_unit = _WITH_UNIT.fullmatch(words.strip())
    if with_unit and not _VALUE_WORDS.search(with_unit[2]):
        return with_unit[1]
    return answer


def _boxed(text: str) -> str | None:
    """The content of the last `\\boxed{}` whose braces close and that is not empty."""
    for match in reversed(list(re.finditer(r"\\f?boxed\s*\{", text))):
        inner = _trimmed(_braced(text, match.end()))
        if inner:
            return inner
    return None


def _braced(text: str, start: int) -> str:
    """What stands between `start` and the brace that closes there; empty if none does."""
    depth = 1
    for brace in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[start : start + brace.start()]
    return ""


def _hashed(text: str) -> str | None:
    marks = re.findall(r"####[ \t]*(\S[^\n]*)", text)
    return _trimmed(marks[-1]) if marks else None


def _stated(text: str) -> str | None:
    """What the last "answer is" says; one with mere words counts only if none has mathematics."""
    wordy = None
    for match in reversed(list(ANSWER_IS.finditer(text))):
        sentence = _trimmed(_SENTENCE_END.split(text[match.end() :], maxsplit=1)[0])
        answer = _from_prose(_trimmed(_AFTERTHOUGHT.split(sentence, maxsplit=1)[0]))
        if answer and not re.fullmatch(r"[A-Za-z' -]{2,}", answer):
            return answer
        wordy = wordy or answer
    return wordy or None


def _from_prose(answer: str) -> str | None:
    """The one number of a clause such as "that Tom has 7 apples"; None for other long clauses."""
    words = answer.split()
    if _PLAIN.match(answer.lstrip("$")) or not re.fullmatch(r"[A-Za-z' ,$\d.-]*", answer):
        return answer
    numbers = _ANY_NUMBER.findall(answer)
    if len(numbers) == 1 and len(words) > 1 and not _VALUE_WORDS.search(answer):
        return numbers[0]
    return answer if len(words) <= 3 else None


def _trimmed(text: str) -> str:
    r"""Without blanks, markdown, a closing period, `$...$` or `\(...\)` around it, a lone `$`."""
    before = None
    while text != before:
        before = text
        text = text.strip(" \t\n*_`").removesuffix(".").rstrip("\\").rstrip()
        for left, right in (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            inner = text[len(left) : -len(right)]
            if text == left + inner + right and left not in inner:
                text = inner
        if text.count("$") == 1:
            text = re.sub(r"^\\?\$|\\?\$$", "", text)
    return text
