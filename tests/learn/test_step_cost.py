# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""FLOPs of training steps against the programs that XLA gets."""

import pytest
from decode.lowered import dot_flops
from learn.tiny_learners import learner, random_model

from ttc_jax.data.batches import Shape
from ttc_jax.learn import step_cost
from ttc_jax.model.shape import ModelShape

# Rows are attended in two pieces, of 64 queries and of 32.
ROWS = Shape(4, 96)
PLAIN = ModelShape("llama", 64, 32, 3, 4, 2, 8, 48, 256, value_classes=1)
GEMMA = ModelShape(
    "gemma2", 64, 32, 2, 4, 2, 8, 48, 256, windows=(20, 0), tied=True, post_norms=True,
    norm_offset=1.0, attn_softcap=50.0, final_softcap=30.0, value_classes=1, value_hidden=8,
)  # fmt: skip


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize("kind", ["value", "language"])
@pytest.mark.parametrize("shape", [PLAIN, GEMMA], ids=["plain", "gemma"])
def test_a_step_executes_what_xla_gets(shape, kind, remat):
    own = learner(kind, model=random_model(shape), remat=remat)
    assert own.executed(ROWS) == dot_flops(own.lower(ROWS))


@pytest.mark.parametrize("shape", [PLAIN, GEMMA], ids=["plain", "gemma"])
@pytest.mark.parametrize("language", [False, True])
def test_texts_that_fill_their_rows_leave_masked_keys_alone(shape, language):
    rows = Shape(3, 60)  # one piece
    how = {"language": language, "passes": 3}
    masked = 0
    for layer in range(shape.layers):
        masked += sum(60 - min(p + 1, shape.window(layer) or 60) for p in range(60))
    beside = step_cost.executed(shape, rows, remat=False, **how)
    beside -= step_cost.useful(shape, [60] * 3, **how)
    assert beside == 3 * 3 * 4 * shape.heads * shape.head_dim * masked


def test_padding_and_a_second_pass_are_executed_but_not_useful():
    own, again = (learner("language", model=random_model(PLAIN), remat=r) for r in (False, True))
    lengths = [5, 70, 90]
    assert own.flops(lengths) == again.flops(lengths) < own.executed(ROWS) < again.executed(ROWS)
