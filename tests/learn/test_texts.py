# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a model reads, and at which of its tokens it learns what."""

import numpy as np
import pytest
from search.tiny_policy import EOS, Letters

from ttc_jax.data.prompts import Chat, FewShot, Revision
from ttc_jax.data.sources import Question
from ttc_jax.learn import texts
from ttc_jax.learn.labels import LabelledSolution
from ttc_jax.learn.trajectories import Trajectory
from ttc_jax.verify.plain_formats import Outcome, OutcomeWithHistory, Steps

SUM = Question("q", "a?", "b", solution="so b.\nthe answer is b")
QUESTIONS = {"q": SUM}
PLAIN = Revision(FewShot(template="{question}\n{solution}"))


class Chatty(Letters):
    def chat(self, messages, *, add_generation_prompt=True) -> str:
        return "".join(f"{m['content']}\n" for m in messages)


def spelled(ids) -> str:
    return Letters().decode(ids)


def learned(example) -> str:
    """The targets of a language example that count."""
    return spelled(example.targets[example.weights > 0])


def solution(values, steps=("ab", "cd"), correct=True, count=1) -> LabelledSolution:
    return LabelledSolution(
        "q", steps, values, (4,) * len(steps), correct, count, "\n".join(steps) + "\n"
    )


def test_the_loss_is_on_the_solution_and_its_end():
    example = texts.Writer(PLAIN, Letters()).example(SUM, (), " so b. ")
    assert spelled(example.tokens) == "a?\nso b." and learned(example) == "so b."
    assert example.targets[-1] == EOS and example.weights[-1] == 1
    assert (example.targets[:-1] == example.tokens[1:]).all()
    assert example.weights.sum() == len("so b.") + 1


def test_a_blank_of_the_template_is_learned_with_the_solution():
    style = Revision(FewShot(template="{question} {solution}"))
    example = texts.Writer(style, Letters()).example(SUM, (), "b")
    assert spelled(example.tokens) == "a? b" and learned(example) == " b"


def test_earlier_attempts_are_read_and_not_learned():
    (example,) = texts.revision(
        [Trajectory("q", ("c", "d"), "b")], QUESTIONS, texts.Writer(PLAIN, Letters())
    )
    assert spelled(example.tokens).count("c") and learned(example) == " b"
    assert example.question == "q" and example.id == "q#0"


def test_a_chat_ends_where_the_model_is_to_answer():
    writer = texts.Writer(Revision(Chat(instruction="{question}")), Chatty())
    example = writer.example(SUM, (), "b")
    assert spelled(example.tokens) == "a?\nb" and learned(example) == "b"


def test_solutions_of_the_source_state_their_answer():
    assert texts.gold_solution(SUM) == SUM.solution
    assert texts.gold_solution(Question("r", "a?", "7", solution="3 + 4")) == (
        "3 + 4\nThe answer is 7."
    )
    bare = Question("r", "a?", "7")
    assert texts.gold_solution(bare) == ""
    rows = Question("r", "a?", "A 3 4", solution=" A 3 4\n")
    assert texts.gold_solution(rows, answer="solution") == "A 3 4"
    assert len(texts.fine_tuning([SUM, bare], texts.Writer(PLAIN, Letters()))) == 1
    with pytest.raises(ValueError, match="none of 1 questions has a solution"):
        texts.fine_tuning([bare], texts.Writer(PLAIN, Letters()))


def test_a_tokenizer_without_an_end():
    class Endless(Letters):
        eos = ()

    with pytest.raises(ValueError, match="no end-of-text token"):
        texts.Writer(PLAIN, Endless())


def test_values_stand_where_the_verifier_is_read():
    format = Steps(Letters())
    (example,) = texts.process([solution((0.25, None, 1.0), ("ab", "", "cd"))], QUESTIONS, format)
    ids, places = format.whole("a?", ("ab", "", "cd"))
    assert tuple(example.tokens) == ids
    at = np.flatnonzero(example.weights)
    assert at.tolist() == [place for place in places if place is not None]
    assert example.targets[at].tolist() == [0.25, 1.0] and example.targets.dtype == np.float32


def test_a_step_without_a_value_is_read_and_not_learned():
    (example,) = texts.process([solution((None, 1.0))], QUESTIONS, Steps(Letters()))
    assert example.weights.sum() == 1 and spelled(example.tokens) == "a?\nab\ncd\n"


def test_a_solution_weighs_as_many_samples_as_read_like_it():
    (example,) = texts.process([solution((0.5, 1.0), count=3)], QUESTIONS, Steps(Letters()))
    assert example.weights[example.weights > 0].tolist() == [3, 3]


def test_hard_labels():
    (example,) = texts.process([solution((0.25, 1.0))], QUESTIONS, Steps(Letters()), hard=0)
    assert example.targets[example.weights > 0].tolist() == [1, 1]
    (example,) = texts.process([solution((0.25, 1.0))], QUESTIONS, Steps(Letters()), hard=0.5)
    assert example.targets[example.weights > 0].tolist() == [0, 1]


def test_outcomes_are_read_once_at_the_end():
    judged, counts = texts.judged([solution((0.5, 0.0), correct=False, count=2),
                                   solution((0.5, 1.0))])  # fmt: skip
    wrong, right = texts.outcome(judged, QUESTIONS, Outcome(Letters()), counts=counts)
    assert spelled(wrong.tokens) == "a?\nab\ncd\n"
    assert np.flatnonzero(wrong.weights).tolist() == [len(wrong.tokens) - 1]
    assert (wrong.targets[-1], wrong.weights[-1]) == (0, 2)
    assert (right.targets[-1], right.weights[-1]) == (1, 1)


def test_attempts_are_read_by_formats_with_history_alone():
    found = [Trajectory("q", ("c",), "b", True)]
    (plain,) = texts.outcome(found, QUESTIONS, Outcome(Letters()))
    (whole,) = texts.outcome(found, QUESTIONS, OutcomeWithHistory(Letters()))
    assert spelled(plain.tokens) == "a?\nb\n" and spelled(whole.tokens) == "a?\nc\n\nb\n"
    assert whole.weights.sum() == 1 and whole.weights[-1] == 1


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_label_outside_0_and_1(value):
    with pytest.raises(ValueError, match=r"question 'q': step 'ab' is labelled"):
        texts.process([solution((value, 1.0))], QUESTIONS, Steps(Letters()))


def test_nothing_right_is_nothing_to_learn():
    hopeless = [solution((0.0, 0.0), correct=False)] * 3
    with pytest.raises(ValueError, match="none of 3 solutions is right"):
        texts.process(hopeless, QUESTIONS, Steps(Letters()))
    with pytest.raises(ValueError, match="none of 3 solutions is right"):
        texts.outcome(texts.judged(hopeless)[0], QUESTIONS, Outcome(Letters()))


def test_a_question_that_is_not_there():
    with pytest.raises(ValueError, match="question 'q' is not among the 0 questions"):
        texts.process([solution((0.5, 1.0))], {}, Steps(Letters()))
