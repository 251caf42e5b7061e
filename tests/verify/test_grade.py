# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
import sys
import threading
import time

import pytest

from ttc_jax.verify import workers
from ttc_jax.verify.grade import Graded, Grader, Verdict
from ttc_jax.verify.workers import WorkerPool

SHORT_S = 2.0  # an easy comparison takes some 20 ms, ENDLESS for ever
ENDLESS = "10^{10^{10}}"
BOXED = "\\boxed{%s}"


@pytest.fixture(scope="module")
def grader():
    with Grader(workers=2, limit_s=20.0) as grader:
        yield grader


def pids(grader):
    return {worker.process.pid for worker in grader._pool._idle}


@pytest.mark.parametrize("gold, text, verdict", [
    ("1/2", r"\boxed{0.5}", "correct"),
    ("1/2", r"\boxed{\frac{2}{4}}", "correct"),
    ("(x+1)^2", r"\boxed{x^2+2x+1}", "correct"),
    (r"2\sqrt2", r"\boxed{\sqrt{8}}", "correct"),
    ("1234", r"\boxed{1,234}", "correct"),
    ("18", r"\boxed{\$18.00}", "correct"),
    (r"50\%", r"\boxed{0.5}", "correct"),
    (r"\{1,2\}", r"\boxed{\{2,1\}}", "correct"),
    ("(1,2)", r"\boxed{(1, 2)}", "correct"),
    ("(2,1)", r"\boxed{(1,2)}", "wrong"),
    ("3", r"\boxed{x=3}", "correct"),
    ("x=3", r"\boxed{3}", "correct"),
    ("18", "#### 18", "correct"),
    ("18", "The answer is 18 apples.", "correct"),
    ("18", "The answer is 17.", "wrong"),
    ("18", r"first \boxed{17} then \boxed{18}", "correct"),
    ("0.333", r"\boxed{1/3}", "wrong"),
    ("1,8", r"\boxed{1.8}", "wrong"),
    ("p - q", r"\boxed{-q + p}", "correct"),
    (r"\text{Evelyn}", "The answer is Evelyn.", "correct"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(3, \pi/2)}", "correct"),
    (r"\begin{pmatrix} -7 \\ 16 \end{pmatrix}",
     r"\boxed{\begin{bmatrix}-7\\16\end{bmatrix}}", "correct"),
    (r"90^\circ", r"\boxed{90}", "correct"),
    ("18", "I do not know.", "unparsed"),
    ("18", "It is 18", "unparsed"),
])
def test_verdicts(grader, gold, text, verdict):
    assert grader.grade([(gold, text)])[0].verdict == verdict


def test_gold_comes_first_for_math_verify(grader):
    # An equation that ends in the gold number is accepted; as gold, no number matches it.
    equation = r"\frac{6}{2}=3"
    first, second = grader.grade([("3", BOXED % equation), (equation, BOXED % "3")])
    assert (first.verdict, second.verdict) == (Verdict.CORRECT, Verdict.WRONG)


def test_plain_answers_need_no_process():
    with Grader() as grader:
        graded = grader.grade([("18", "The answer is 18.00."), ("1,234", "#### 1234"),
                               ("x^2", BOXED % "x^2"), ("7", "#### 8"), ("7", "nothing")])
        assert [g.verdict for g in graded] == ["correct", "correct", "correct", "wrong", "unparsed"]
        assert graded[0] == Graded("18.00", Verdict.CORRECT) and graded[4].answer is None
        assert not pids(grader) and grader.timeouts == 0


def test_batches_are_spread_and_processes_stay_warm(grader):
    items = [("1/2", BOXED % rf"\frac{{{i}}}{{{2 * i + i % 3}}}") for i in range(1, 31)]
    verdicts = [g.verdict for g in grader.grade(items)]
    assert verdicts == ["correct" if i % 3 == 0 else "wrong" for i in range(1, 31)]
    before = pids(grader)
    assert len(before) == 2
    grader.grade([("x", BOXED % "y"), ("x", BOXED % "2x")])
    assert pids(grader) == before


def test_timeout_is_its_own_verdict_and_leaves_the_rest_alone():
    with Grader(workers=2, limit_s=SHORT_S) as grader:
        items = [("3", BOXED % ENDLESS), ("1/2", BOXED % "0.5"), ("x+1", BOXED % "1+x"),
                 ("3", BOXED % ENDLESS)]
        verdicts = [g.verdict for g in grader.grade(items)]
        assert verdicts == ["timeout", "correct", "correct", "timeout"]
        assert grader.timeouts == 1  # the same comparison is made once
        assert len(pids(grader)) == 1  # the other was killed, and is replaced when needed
        assert grader.grade([("1/3", BOXED % r"\frac{2}{6}")])[0].verdict == "correct"


def test_works_off_the_main_thread():
    found = []

    def work():
        with Grader(workers=1, limit_s=SHORT_S) as grader:
            found.extend(grader.grade([("1/2", BOXED % "0.5"), ("3", BOXED % ENDLESS)]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [g.verdict for g in found] == ["correct", "timeout"]


def test_one_grader_serves_several_threads(grader):
    found = {}

    def work(k):
        items = [(f"{k}/7", BOXED % rf"\frac{{{i}}}{{7}}") for i in range(1, 9)]
        found[k] = [g.verdict for g in grader.grade(items)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: ["correct" if i == k else "wrong" for i in range(1, 9)]
                     for k in range(1, 5)}


def test_a_dead_process_is_replaced_and_the_item_tried_again():
    with Grader(workers=1, limit_s=20.0) as grader:
        grader.grade([("x", BOXED % "y")])
        (worker,) = grader._pool._idle
        worker.process.kill()
        worker.process.wait()
        assert grader.grade([("1/2", BOXED % "0.5")])[0].verdict == "correct"
        assert worker.process.pid not in pids(grader) and grader.timeouts == 0


CRASHES = """
import sys
print('"ready"', flush=True)
for line in sys.stdin:
    if "bad" in line:
        sys.exit("cannot go on")
    print("true", flush=True)
"""


def test_a_process_that_dies_twice_over_an_item_is_an_error(monkeypatch):
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", CRASHES))
    pool = WorkerPool(2, 20.0)
    assert pool.compare([("a", "b"), ("c", "d")]) == [True, True]
    with pytest.raises(RuntimeError, match="died twice.*'bad'.*status 1.*cannot go on"):
        pool.compare([("a", "bad"), ("c", "d")])
    assert pool.compare([("a", "b")]) == [True]
    pool.close()


def test_a_process_that_does_not_start_is_an_error(monkeypatch):
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", "import no_such_module"))
    with Grader(workers=1) as grader, pytest.raises(RuntimeError, match="no_such_module"):
        grader.grade([("x", BOXED % "y")])


def test_classes_are_numbered_as_first_seen(grader):
    answers = ["1/2", "0.5", None, "18", r"\frac{2}{4}", "18.00", "x=3", "3", "18 apples", "7/2"]
    assert grader.classes(answers) == [0, 0, None, 1, 0, 1, 2, 2, 1, 3]
    assert grader.classes([]) == [] and grader.classes([None]) == [None]


def test_an_answer_that_takes_for_ever_is_a_class_of_its_own():
    with Grader(workers=2, limit_s=SHORT_S) as grader:
        answers = [ENDLESS, "1/2", "0.5", ENDLESS, r"\frac{3}{6}"]
        assert grader.classes(answers) == [0, 1, 1, 0, 1]
        assert grader.timeouts == 1
        grader.classes(answers)
        assert grader.timeouts == 1  # comparisons are remembered


@pytest.mark.parametrize("kwargs", [{"workers": 0}, {"limit_s": 0}, {"limit_s": float("nan")}])
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError):
        Grader(**kwargs)


def test_a_gold_answer_must_be_there(grader):
    with pytest.raises(ValueError, match="item 1: a question without an answer"):
        grader.grade([("1", "#### 1"), (" ", "#### 1")])


@pytest.fixture(scope="module")
def of_solutions():
    with Grader(answer="solution") as grader:
        yield grader
        assert not grader._pool._idle and grader.timeouts == 0


@pytest.mark.parametrize("text, verdict", [
    ("=23 4 9 10\n=17 4 6 7", "correct"),
    ("\n =23 4 9 10 \r\n\t=17 4 6 7\n\n", "correct"),
    ("=23 4 9 10\n=17 4 6 8", "wrong"),
    ("=23 4 9 10", "wrong"),
    ("=23 4 9 10 =17 4 6 7", "wrong"),
    ("=23 4  9 10\n=17 4 6 7", "wrong"),
    ("=17 4 6 7\n=23 4 9 10", "wrong"),
    ("The answer is =23 4 9 10\n=17 4 6 7", "wrong"),
    (" \n\n", "unparsed"),
    ("", "unparsed"),
])  # fmt: skip
def test_whole_solutions_as_answers(of_solutions, text, verdict):
    (graded,) = of_solutions.grade([("=23 4 9 10\n=17 4 6 7 ", text)])
    assert graded.verdict == verdict
    assert (graded.answer is None) == (verdict == "unparsed")
    if verdict == "correct":
        assert graded.answer == of_solutions.answer(text) == "=23 4 9 10\n=17 4 6 7"


def test_whole_solutions_are_equal_as_text(of_solutions):
    answers = ["1/2", None, "0.5", " 1/2\n", "0.50", "0.5"]
    assert of_solutions.classes(answers) == [0, None, 1, 0, 2, 1]
    assert of_solutions.grade([("1/2", "0.5"), ("7", "x=7")]) == [
        Graded("0.5", Verdict.WRONG), Graded("x=7", Verdict.WRONG)]  # fmt: skip
    many = [f"A {i % 50_000} 2\nB 1 3" for i in range(100_000)]
    begin = time.perf_counter()
    assert of_solutions.classes(many) == [i % 50_000 for i in range(100_000)]
    of_solutions.grade([(many[0], text) for text in many])
    assert time.perf_counter() - begin < 10  # a second; by pairs it would be hours


def test_unknown_answers_are_named():
    with pytest.raises(ValueError, match="grade.answer is 'steps'; there are stated, solution"):
        Grader(answer="steps")
