# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a run needs is known before it begins, and enough of it is there to the end."""

import random
from dataclasses import replace

import numpy as np
import pytest
from decode.tiny_model import random_model
from search import dry_programs, tiny_policy
from search.tiny_policy import EOS, POLICY, VERIFIER, VOCAB, Letters, questions

from ttc_jax.core.mesh import make_mesh
from ttc_jax.search.names import parse
from ttc_jax.search.plan import Batch, Plan, plan
from ttc_jax.search.schedule import Scheduler
from ttc_jax.verify.plain_formats import Outcome, Steps
from ttc_jax.verify.verifier import Verifier

SMALL = Batch(rows=16, page_size=4, segment=8)
BEAM = parse("beam(N=8,M=4)")
# A prompt of 11 tokens is 3 pages of 4; a solution of 40 is 10, and one for the prompt's last page.
WHOLE = 10 + 1


def _plan(name="beam(N=8,M=4)", batch=SMALL, policy=None, scorer=True, count=20) -> Plan:
    scorer = tiny_policy.verifier() if scorer is True else scorer
    return plan(parse(name), questions(count), policy or tiny_policy.policy(), scorer, batch)


@pytest.mark.parametrize(
    ("name", "rows", "pages", "in_flight", "context", "scored"),
    [
        # 2 whole solutions, and for each of 8 rows a step of 12 tokens with a page at either end.
        ("beam(N=8,M=4)", 8, 2 * WHOLE + 8 * (3 + 2), 8, 51, 8 + 2),
        # Steps with rollouts have 36 tokens: then 8 rows that share nothing take less.
        ("lookahead(N=8,M=4,k=2)", 8, 8 * WHOLE, 8, 51, 8 + 2),
        ("dvts(N=8,M=2)", 8, 4 * WHOLE + 8 * (3 + 2), 8, 51, 8 + 4),
        ("rebase(N=8)", 8, 8 * WHOLE, 8, 51, 8 + 8),
        # One more row holds the prompt for samples that wait.
        ("best_of_n(N=8)", 9, 9 * WHOLE, 3, 51, 9),
        ("best_of_n(N=64)", 17, 17 * WHOLE, 2, 51, 17),
        # Prompts hold up to 2 attempts of 40 tokens, each with two tokens more than its text, or
        # so it seems from attempts of one letter. Attempts are held until the prompts are made.
        ("revise(s=3,p=4)", 8, 8 * (34 + 1) - 3, 5, 11 + 2 * 42 + 40, 5),
    ],
)
def test_what_each_strategy_needs(name, rows, pages, in_flight, context, scored):
    made = _plan(name)
    strategy = parse(name)
    expected = in_flight, min(strategy.load.rows, 16), 2
    assert made == Plan(
        lanes=16, rows=rows * in_flight, pages=(3 + pages) * in_flight, questions=in_flight,
        context=context, scored=scored, expected=expected,
    )  # fmt: skip


def test_questions_in_flight():
    assert _plan(count=3).questions == 3, "no more than there are"
    assert _plan(batch=replace(SMALL, questions=2)).questions == 2
    assert _plan(batch=replace(SMALL, rows=4)).questions == 2
    two = tiny_policy.policy(make_mesh(2, 1))
    made = _plan(batch=replace(SMALL, questions=5), policy=two)
    assert (made.lanes, made.questions, made.rows) == (8, 3, 24), "on each replica"
    assert _plan(batch=replace(SMALL, questions=3), policy=two).questions == 2


def test_pages_that_are_given():
    each = 3 + 2 * WHOLE + 8 * 5
    made = _plan(batch=replace(SMALL, pages=3 * each - 1))
    assert (made.questions, made.pages, made.rows) == (2, 3 * each - 1, 16)
    message = (
        f"11 tokens can come to hold {each} pages of 4 tokens .8 rows, 2 of them .* has {each - 1}"
    )
    with pytest.raises(ValueError, match=message):
        _plan(batch=replace(SMALL, pages=each - 1))


def test_memory_that_is_given():
    mine = (3 + 2 * WHOLE + 8 * 5) * 4 * (4 * 2 * POLICY.layers * POLICY.kv_heads * POLICY.head_dim)
    # 11 tokens are a page of 16; solutions have a quarter more than 40 tokens and 20 newlines,
    # steps a quarter more than 12 and as many newlines; 2 + 8 + 1 rows.
    pages = 1 + min(2 * (5 + 1) + 9 * (3 + 2), 9 * 6) + 2
    theirs = pages * 16 * (4 * 2 * VERIFIER.layers * VERIFIER.kv_heads * VERIFIER.head_dim)
    for fitting in (1, 2, 3):
        for spare in (0, mine + theirs - 1):
            memory = fitting * (mine + theirs) + spare
            assert _plan(batch=replace(SMALL, memory=memory)).questions == fitting
    message = (
        f"need {mine / 2**20:.1f} MiB .* policy and {theirs / 2**20:.1f} MiB for the verifier on "
        f"each device, and there are {(mine + theirs - 1) / 2**20:.1f} MiB; lower N"
    )
    with pytest.raises(ValueError, match=message):
        _plan(batch=replace(SMALL, memory=mine + theirs - 1))
    # Half of the policy's keys on each device; one verifier for the questions of two replicas.
    halves = tiny_policy.policy(make_mesh(1, 2))
    batch = replace(SMALL, memory=3 * (mine // 2 + theirs))
    assert _plan(batch=batch, policy=halves).questions == 3
    two = tiny_policy.policy(make_mesh(2, 1))
    batch = replace(SMALL, rows=32, memory=3 * (mine + 2 * theirs))
    assert _plan(batch=batch, policy=two).questions == 3
    batch = replace(batch, memory=3 * (mine + theirs))
    assert _plan(batch=batch, policy=two, scorer=tiny_policy.verifier(make_mesh(2))).questions == 3


def _outcome() -> Verifier:
    mesh = make_mesh()
    return Verifier(random_model(VERIFIER, mesh), Outcome(Letters()), mesh=mesh)


def _forgetful() -> Verifier:
    mesh = make_mesh()
    return Verifier(random_model(replace(VERIFIER, context=70), mesh), Steps(Letters()), mesh=mesh)


@pytest.mark.parametrize(
    ("name", "changes", "settings", "message"),
    [
        ("beam(N=8,M=4)", {"batch": Batch(rows=5), "policy": (2, 1)}, {},
         "5 rows cannot be spread over 2 replicas evenly"),
        ("beam(N=8,M=4)", {"scorer": None}, {}, r"beam\(N=8,M=4\) compares scores: it needs"),
        ("rebase(N=4)", {"scorer": _outcome}, {}, r"rebase\(N=4\) needs a score after every step"),
        ("beam(N=8,M=4)", {"count": 0}, {}, "no questions"),
        ("beam(N=8,M=4)", {}, {"max_new": 246}, "'q0': its prompt of 11 tokens and max_new = 246 "
         "need 257 tokens, the model reads 256; lower max_new"),
        ("revise(s=9,p=2)", {}, {}, "'q0': its prompt of 11 tokens and max_new = 40, 4 earlier "
         "attempts of as many need 219 tokens, the model reads 218"),
        ("beam(N=8,M=4)", {"scorer": _forgetful}, {}, "at most 70 tokens, but question 'q0' has 11,"
         " a solution up to 40, and the tags of 20 steps 20: 71 together; lower max_new"),
        ("beam(N=8,M=4)", {}, {"prompt": lambda q, attempts: []}, "'q0' has an empty prompt"),
        ("beam(N=8,M=4)", {}, {"prompt": lambda q, attempts: [1, VOCAB]},
         f"'q0': its prompt has token {VOCAB}, outside the model's vocabulary of {VOCAB}"),
    ],
    ids=["rows", "no scorer", "outcome", "no questions", "context", "context with attempts",
         "verifier's context", "empty prompt", "prompt of another tokenizer"],
)  # fmt: skip
def test_what_cannot_be_run_is_said_before(name, changes, settings, message):
    mesh = make_mesh(*changes.pop("policy", (1, 1)))
    policy = tiny_policy.policy(mesh, **settings)
    if "attempts" in message:
        policy = replace(policy, model=random_model(replace(POLICY, context=218), mesh))
    if callable(changes.get("scorer")):
        changes["scorer"] = changes["scorer"]()
    with pytest.raises(ValueError, match=message):
        _plan(name, policy=policy, **changes)


def test_a_verifier_without_enough_pages():
    for pages, way_out in ((100, "lower the questions in flight to 1"), (56, "lower N or max_new")):
        verifier = tiny_policy.verifier(pages=pages)
        message = f"57 pages of 16 .* 456 for 8 .* has {pages}; .*{way_out}"
        with pytest.raises(ValueError, match=message):
            Scheduler(BEAM, questions(9), tiny_policy.policy(), verifier, SMALL)


def test_questions_have_different_ids():
    twice = [*questions(3), questions(2)[1]]
    with pytest.raises(ValueError, match="question 'q1' is given 2 times"):
        Scheduler(BEAM, twice, tiny_policy.policy(), tiny_policy.verifier())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_new": 0}, "max_new is 0; it must be at least 1"),
        ({"max_step": -1}, "max_step is -1"),
        ({"delimiter": "."}, "delimiter '.': steps end at a newline or at two"),
        ({"ends": ("?", "\n")}, r"'\\n' ends a step and a solution"),
    ],
)
def test_bad_policies_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_policy.policy(**changes)


@pytest.mark.parametrize(
    ("field", "low"),
    [("rows", 1), ("questions", 0), ("pages", 0), ("page_size", 1), ("memory", 0), ("segment", 1)],
)
def test_bad_batches_are_named(field, low):
    assert getattr(Batch(**{field: low}), field) == low
    with pytest.raises(ValueError, match=f"{field} is {low - 1}; it must be at least {low}"):
        Batch(**{field: low - 1})


# ------------------------------------------------------------------ whole runs without a device

NEVER = np.ones(VOCAB)
NEVER[EOS] = 0
CUT = NEVER.copy()
CUT[0] = 0
NAMES = {
    "beam": "beam(N={N},M={M})",
    "distinct": "beam(N={N},M={M},distinct=True)",
    "lookahead": "lookahead(N={N},M={M},k={k})",
    "dvts": "dvts(N={N},M={M})",
    "rebase": "rebase(N={N},T={k})",
    "best_of_n": "best_of_n(N={N})",
    "revise": "revise(s={k},p={N})",
}


def _dry_run(name, count, policy, verifier, batch):
    """The scheduler and the trees of a whole run, after which everything is free."""
    scheduler = Scheduler(parse(name), questions(count), policy, verifier, batch)
    seen = []
    trees = list(scheduler.run(lambda progress: seen.append(progress.pages_used)))
    assert len(trees) == count
    assert max(seen) <= scheduler.progress.pages
    for forest in (scheduler.forest, verifier.forest):
        forest.settle()
        assert forest.check_pages() == 0
        assert all(forest.free(r) == forest.rows for r in range(forest.replicas))
    return scheduler, trees


@pytest.mark.parametrize("odds", [CUT, NEVER, np.ones(VOCAB)], ids=["cut", "no end", "short"])
@pytest.mark.parametrize("kind", NAMES)
def test_rows_and_pages_are_enough_for_the_worst(kind, odds, monkeypatch):
    dry_programs.install(monkeypatch, odds=odds)
    policies = [tiny_policy.policy(make_mesh(d)) for d in (1, 2)]
    verifiers = [tiny_policy.verifier(make_mesh(d), page_size=s) for d in (1, 2) for s in (1, 4)]
    for N in range(1, 17):
        draw = random.Random(f"{kind} {N}")
        M = draw.choice([M for M in range(1, N + 1) if N % M == 0])
        name = NAMES[kind].format(N=N, M=M, k=draw.choice((1, 2, 4)))
        max_new, max_step = draw.randrange(1, 41), draw.choice((1, 2, 7, 19))
        policy = replace(draw.choice(policies), max_new=max_new, max_step=max_step)
        batch = Batch(
            rows=draw.choice((4, 16, 64)), questions=draw.choice((0, 1, 2)),
            page_size=draw.choice((1, 4, 16)), segment=draw.choice((3, 8, 64)),
        )  # fmt: skip
        count, verifier = draw.choice((1, 4)), draw.choice(verifiers)
        scheduler, trees = _dry_run(name, count, policy, verifier, batch)
        made = scheduler._plan
        for tree in trees:
            assert 0 < tree.usage["pages"] <= made.pages // made.questions
            together = -(-made.questions * policy.mesh.shape["data"] // verifier.replicas)
            assert 0 < tree.usage["verifier_pages"] <= verifier.forest.pages // together
            assert not any(node.finish == "unread" for node in tree.nodes)


def test_a_rollout_keeps_no_row_longer(monkeypatch):
    dry_programs.install(monkeypatch, odds=NEVER)
    scheduler = Scheduler(
        parse("lookahead(N=8,M=4,k=2)"), questions(3), tiny_policy.policy(),
        tiny_policy.verifier(), SMALL,
    )  # fmt: skip
    held = []

    def look(progress):
        rolling = [(r, x.job.row) for r, runs in enumerate(scheduler._running) for x in runs]
        for flight in scheduler._flights:
            rows = [row for row in flight.rows.values() if row.place not in rolling]
            held.extend((scheduler.forest.lens[row.place], row.cached) for row in rows)
            for state in flight.states.values():
                assert scheduler.scorer.forest.lens[state.place] == state.length

    assert sum(node.usage["lookahead"] for t in scheduler.run(look) for node in t.nodes) > 100
    assert len(held) > 50
    assert all(lens == cached for lens, cached in held)


class Thirds(Letters):
    """Three tokens for every letter, one for a newline."""

    def encode(self, text: str, *, bos: bool | None = None) -> list[int]:
        return [id for id in super().encode(text) for _ in range(3 if id else 1)]


@pytest.mark.parametrize("name", ["beam(N=8,M=4)", "lookahead(N=8,M=4,k=2)", "revise(s=2,p=3)"])
def test_solutions_that_outgrow_the_verifier_end_there(name, monkeypatch):
    dry_programs.install(monkeypatch, odds=NEVER)
    verifier = tiny_policy.verifier(tokenizer=Thirds())
    _, trees = _dry_run(name, 3, tiny_policy.policy(), verifier, SMALL)
    nodes = [(tree.role(node), node) for tree in trees for node in tree.nodes]
    unread = [(role, node) for role, node in nodes if node.finish == "unread"]
    assert {role for role, _ in unread} <= {"candidate", "pruned"} and len(unread) > 5
    for _, node in unread:
        assert (node.scores, node.ahead_scores, node.value) == ((), (), 0.0)
        assert node.text and node.steps


def test_a_plan_is_not_much_more_than_the_worst(monkeypatch):
    monkeypatch.setattr("ttc_jax.decode.layout._CHEAP_POOL", 0)  # no page more than is planned
    dry_programs.install(monkeypatch, odds=CUT)
    for name in ("beam(N=16,M=4)", "dvts(N=16,M=4)", "best_of_n(N=16)"):
        scheduler, _ = _dry_run(
            name, 1, tiny_policy.policy(), tiny_policy.verifier(page_size=4), SMALL
        )
        assert scheduler.forest.cache.pages.most > 0.6 * scheduler.forest.pages, name


def test_many_questions_keep_the_rows_busy(monkeypatch):
    dry_programs.install(monkeypatch)
    used = {}
    for count in (1, 32):
        scheduler, _ = _dry_run(
            "beam(N=16,M=4)", count, tiny_policy.policy(), tiny_policy.verifier(),
            Batch(segment=8),
        )  # fmt: skip
        used[count] = scheduler.progress.new_tokens / scheduler.progress.lane_steps
    assert used[1] < 0.5 < 0.6 < used[32]


def test_a_prompt_that_outgrows_the_plan(monkeypatch):
    dry_programs.install(monkeypatch)
    # Attempts look short until they are long.
    ids = lambda question, attempts: [1] * (11 + sum(len(a) ** 2 for a in attempts))  # noqa: E731
    policy = tiny_policy.policy(prompt=ids, max_new=20)
    message = r"'q0': a prompt of \d+ tokens was not planned for .rows hold 52, solutions 20"
    with pytest.raises(ValueError, match=message):
        _dry_run("revise(s=2,p=2)", 1, policy, tiny_policy.verifier(), SMALL)
