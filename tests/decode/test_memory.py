# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What sharing saves, to the page, and that no program makes a second pool."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decode.tiny_model import random_model

from ttc_jax.core.mesh import make_mesh
from ttc_jax.data.sources import Question
from ttc_jax.decode import cache as caching
from ttc_jax.decode.sample import Sampler
from ttc_jax.decode.segment import Groups, Rows, decode_segment, extend, fork, rollback
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import abstract
from ttc_jax.search.plan import Batch, Policy
from ttc_jax.search.sampling import BestOfN
from ttc_jax.search.schedule import Scheduler

VOCAB, S = 300, 16
SHAPE = ModelShape("llama", VOCAB, 32, 2, 4, 2, 16, 48, 512)


class Bytes:
    """A tokenizer of nothing but bytes, with an end in every sixty."""

    eos = tuple(range(0, VOCAB, 60))

    def token_bytes(self) -> list[bytes]:
        return [bytes([i % 251]) for i in range(VOCAB)]


def test_64_samples_of_one_prompt_share_its_pages(record_property):
    mesh = make_mesh()
    prompt = np.random.default_rng(0).integers(0, VOCAB, 200).tolist()
    policy = Policy(
        random_model(SHAPE, mesh), Bytes(), mesh, lambda question, attempts: prompt,
        sampler=Sampler(1.0), ends=("\n",), max_new=96,
    )  # fmt: skip
    scheduler = Scheduler(
        BestOfN(64), [Question("q", "", "")], policy, None, Batch(page_size=S, segment=32)
    )
    used = []
    (tree,) = scheduler.run(lambda p: used.append(p.pages_used))
    lengths = np.array([len(node.tokens) for node in tree.candidates])
    assert len(set(lengths.tolist())) > 8 and lengths.max() > 64
    # The last token of a prompt is read by the first step, and a row's last sample by no step: a
    # row that has sampled c tokens holds 199 + c. Twelve pages of the prompt are full.
    cached, shared = 199, 199 // S
    unshared = []
    for segment, pages in enumerate(used):
        in_use = lengths[lengths > 32 * segment]  # rows that finished earlier were given back
        held = -(-(cached + np.minimum(in_use, 32 * (segment + 1))) // S)
        assert pages == shared + (held - shared).sum()
        unshared.append(int(held.sum()))
    assert len(used) == -(-lengths.max() // 32)
    assert max(used) == tree.usage["pages"] < scheduler.progress.pages
    worst = int(np.argmax(used))
    saved = unshared[worst] / used[worst]
    assert saved > 4
    record_property("pages_shared", used)
    record_property("pages_unshared", unshared)
    record_property("times_fewer_pages", round(saved, 2))


X, G, MP, OWN, NEW, T = 32, 2, 16, 8, 32, 64
ROW_PAGES = MP + OWN
FEW, MANY = X * ROW_PAGES, 20 * X * ROW_PAGES
TOKEN_BYTES = SHAPE.kv_bytes_per_token("float32")


def _ints(*dims, dtype=jnp.int32):
    return jax.ShapeDtypeStruct((1, *dims), dtype)


def _programs(n_pages: int) -> dict:
    """The four programs, lowered for a pool of n_pages pages; nothing is allocated."""
    mesh = make_mesh()
    model = abstract(SHAPE)
    cache = caching.abstract(
        SHAPE, mesh, rows=X, n_pages=n_pages, page_size=S, row_pages=ROW_PAGES
    )
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), (1, X)))
    rows = Rows(_ints(X), _ints(X), _ints(X), _ints(X), keys, _ints())
    groups = Groups(_ints(G, MP), _ints(G), _ints(G, X), _ints(X), _ints(X))
    return {
        "decode_segment": decode_segment.lower(
            model, cache, rows, groups, jax.ShapeDtypeStruct((VOCAB, 4), jnp.int16), mesh=mesh,
            sampler=Sampler(), first_stop=2, n=NEW, own_pages=OWN,
        ),
        "extend": extend.lower(
            model, cache, _ints(4), _ints(4, T), _ints(4), mesh=mesh, context_pages=MP
        ),
        "fork": fork.lower(cache, _ints(X), _ints(X), mesh=mesh),
        "rollback": rollback.lower(cache, _ints(X, ROW_PAGES), _ints(X), mesh=mesh),
    }  # fmt: skip


# float32 bytes of what each program may keep at once beside its arguments and results.
_PAGE = S * TOKEN_BYTES
_LOGITS = 4 * X * VOCAB
_TAILS = X * NEW * TOKEN_BYTES
_SCORES = 4 * 4 * SHAPE.heads * T * (T + MP * S)
BOUNDS = {
    # Contexts of rows and groups; tails, and once more in the order of pages to be written back.
    "decode_segment": (X * OWN + G * MP) * _PAGE + 2 * _TAILS + 4 * _LOGITS,
    # Contexts, and attention scores before and after exp.
    "extend": 4 * MP * _PAGE + 2 * _SCORES,
    # One page copied per row.
    "fork": X * _PAGE,
    "rollback": 0,
}
# Free lists, counts and the like: six integers per page, beside its thousands of bytes of keys.
BOOKKEEPING = 24


@pytest.fixture(scope="module")
def memories() -> dict:
    """memory_analysis of each program, with a pool of just enough pages and of 20 times that."""
    pools = {n_pages: _programs(n_pages) for n_pages in (FEW, MANY)}
    return {
        (name, n_pages): program.compile().memory_analysis()
        for n_pages, programs in pools.items()
        for name, program in programs.items()
    }


@pytest.mark.parametrize("name", BOUNDS)
def test_temporaries_hold_nothing_of_the_size_of_the_pool(name, memories, record_property):
    for n_pages in (FEW, MANY):
        memory = memories[name, n_pages]
        record_property(f"temporaries_with_{n_pages}_pages", memory.temp_size_in_bytes)
        assert memory.temp_size_in_bytes <= 1.1 * BOUNDS[name] + BOOKKEEPING * n_pages
        # The pools are updated where they lie.
        assert memory.alias_size_in_bytes >= n_pages * _PAGE
    few, many = (memories[name, n].temp_size_in_bytes for n in (FEW, MANY))
    assert many - few <= BOOKKEEPING * (MANY - FEW)
