# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What a search comes to on a machine, against counts by hand and against the engine itself."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plan.shapes import LLAMA, QWEN, sampling
from search import dry_programs, tiny_policy

from ttc_jax.decode import segment
from ttc_jax.plan import meshes
from ttc_jax.plan.chips import CHIPS, Chip
from ttc_jax.plan.stage import stage
from ttc_jax.plan.work import Judge
from ttc_jax.search.plan import Batch
from ttc_jax.search.schedule import Scheduler

V5E, ONE = CHIPS["v5e"], meshes.mesh(1, 1)


def uses(work, mesh=ONE, chip=V5E) -> dict:
    return {use.program.name: use for use in stage(work, mesh, chip).uses}


def test_weights_and_pools_of_an_8b_model_on_each_of_eight_shards():
    found = uses(sampling(shape=LLAMA, page_size=16, count=64), meshes.mesh(2, 8))
    needs = found["decode_segment"].needs
    # 32 layers: q and o 4096 x 4096, k and v 1024 x 4096, three of 14,336 x 4096; embeddings and
    # head 128,256 x 4096 each. All are split in eight; the norms of width 4096 are not.
    split = 32 * (2 * 4096**2 + 2 * 1024 * 4096 + 3 * 14_336 * 4096) + 2 * 128_256 * 4096
    assert needs.weights == 2 * (split / 8 + (2 * 32 + 1) * 4096)
    # On each replica 32 lanes, so 256 rows of ceil(267 / 64) * 4 = 20 pages: with 2 MB pages that
    # is beyond what is cheap, and what is planned counts. 9 rows of 17 pages and a prompt's, for
    # each of the 5 questions that keep 32 lanes busy with 8 samples each.
    page = 16 * 2 * 32 * 8 * 128 * 2
    room = 256 * 20
    while room * page > 1 << 29:
        room //= 2
    planned = 5 * (1 + 9 * (16 + 1))
    assert needs.pool == max(planned, room) * page / 8
    assert needs.total == needs.weights + needs.pool + needs.temporary


def test_best_of_n_samples_every_token_once():
    found = stage(sampling("best_of_n(N=8)", count=64, max_new=256, segment=64), ONE, V5E)
    (segment_use,) = (use for use in found.uses if use.program.name == "decode_segment")
    assert found.tokens == 64 * 8 * 256
    assert segment_use.program.trips == 64
    assert segment_use.calls == 64 * 8 * 256 / (64 * 64)


@pytest.mark.parametrize(
    ("strategy", "tokens"),
    [("best_of_n(N=8)", 8), ("beam(N=8,M=4)", 8), ("lookahead(N=8,M=4,k=2)", 24),
     ("dvts(N=8,M=2)", 8), ("rebase(N=8)", 8), ("revise(s=4,p=2)", 8)],
)  # fmt: skip
def test_a_strategy_samples_its_budget(strategy, tokens):
    assert sampling(strategy, judged=True, mean=100).sampled == 100 * tokens


def test_a_verifier_reads_each_step_once_and_a_fork_goes_before():
    found = uses(sampling("beam(N=8,M=4)", judged=True, count=64, max_new=256))
    # A step of 32 tokens and its newline: 33, in calls of 32 a row, so two for each.
    claims, rows = 64 * 8 * 256 / 32, 8192 // 32
    assert found["verifier extend"].program.size.startswith(f"{rows} rows x 32 tokens")
    assert found["verifier extend"].calls == pytest.approx(claims * 2 / rows)
    assert found["verifier fork"].calls == found["verifier extend"].calls


def test_a_segment_reads_all_weights_in_every_step():
    program = uses(sampling(count=64))["decode_segment"].program
    step = program.cost.flops / program.trips
    products = 2 * 64 * (QWEN.block_weights + QWEN.vocab * QWEN.width)
    assert products < step < 1.1 * products
    assert program.cost.bytes > program.trips * 2 * (QWEN.params - QWEN.width)


def test_shards_share_the_work_and_talk():
    alone = uses(sampling())["decode_segment"].program
    both = uses(sampling(), meshes.mesh(1, 2))["decode_segment"].program
    assert both.cost.flops == alone.cost.flops / 2
    assert alone.cost.sent == 0
    # Two sums a layer and one to embed, of 64 rows x 896 in bfloat16; each shard sends it once.
    assert both.cost.sent == 64 * (2 * 24 + 1) * 64 * 896 * 2


def test_what_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(ValueError, match="weights alone take 16.06 GB .* 16 GB: raise mesh.model"):
        stage(sampling(shape=LLAMA), ONE, V5E)
    with pytest.raises(ValueError, match="64 rows cannot be spread over 3 replicas"):
        stage(sampling(), meshes.mesh(3, 1), V5E)


@pytest.mark.parametrize("strategy", ["best_of_n(N=4)", "beam(N=4,M=2)", "lookahead(N=4,M=2,k=1)"])
def test_programs_have_the_shapes_that_the_engine_calls(strategy, monkeypatch):
    """A dry run of the scheduler, against what would be compiled for the same run."""
    batch = Batch(rows=8, page_size=4, segment=8)
    policy, judge = tiny_policy.policy(), tiny_policy.verifier()
    work = sampling(strategy, tiny_policy.POLICY, dtype=jnp.float32, max_new=40, rows=8,
                    page_size=4, segment=8, count=6)  # fmt: skip
    stepwise = work.strategy.stepwise
    chosen = Judge(judge.model, judge.format) if stepwise else None
    work = replace(work, policy=policy, judge=chosen)

    planned: dict[str, list] = {name: [] for name in ("extend", "decode_segment", "fork")}
    with monkeypatch.context() as patch:
        for name, seen in planned.items():
            lower = lambda *args, seen=seen, **how: seen.append((args, how))  # noqa: E731
            patch.setattr(segment, name, SimpleNamespace(lower=lower))
        cpu = Chip("cpu", 64e9, 1e10, 1e11, 1e11, 1e10, "", "cpu")
        for use in stage(work, policy.mesh, cpu).uses:
            use.program.lower(policy.mesh)

    called: dict[str, list] = {name: [] for name in planned}
    dry_programs.install(monkeypatch)
    for name, seen in called.items():
        dry = getattr(segment, name)

        def noted(*args, dry=dry, seen=seen, **how):
            seen.append((args, how))
            return dry(*args, **how)

        monkeypatch.setattr(segment, name, noted)
    run = Scheduler(work.strategy, work.questions, policy, judge if stepwise else None, batch)
    for _ in run.run():
        pass
    args, how = planned["decode_segment"][0]
    real = called["decode_segment"]
    assert how["n"] == real[-1][1]["n"] and how["own_pages"] == real[-1][1]["own_pages"]
    assert shapes(args[2:4]) in [shapes(args[2:4]) for args, _ in real]
    pools = run.forest.layout.arrays
    assert args[1].k[0].shape[1:3] == (pools["n_pages"], pools["page_size"])
    assert args[1].pages.table.shape[1:] == (pools["rows"], pools["row_pages"])
    extends = [shapes(args[2:]) for args, _ in called["extend"]]
    assert all(shapes(args[2:]) in extends for args, _ in planned["extend"])
    forks = [shapes(args[1:]) for args, _ in called["fork"]]
    assert all(shapes(args[1:]) in forks for args, _ in planned["fork"])


def shapes(tree) -> list:
    return [(np.shape(x), str(x.dtype)) for x in jax.tree.leaves(tree)]
