# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The rival: beam search as open-source loops around transformers.generate do it.

One question at a time. In every round all of its beams are generated one step further from their
whole text so far, then each candidate's question and solution are read by the verifier from the
start, N candidates as one batch. Nothing is kept between rounds but the text. Both models are
torch modules with the same weights and dtype as ours.

Kinder to the rival than such loops are: tokens are not decoded and encoded again between rounds,
beams of a round are equally long and need no padding, and the verifier computes no logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
import torch
import transformers

from ttc_jax.verify.formats import Format


@dataclass(frozen=True)
class Candidate:
    """The sampled tokens of a solution, its steps as texts, and the score of the last one."""

    tokens: tuple[int, ...] = ()
    steps: tuple[str, ...] = ()
    score: float = 0.0


class OpenLoop:
    """The search over one question: N beams, the best N/M of which get M children each.

    `layers` of the checkpoint in `directory` are used; `head` f32[1, D] is the verifier's value
    head and `format` how it reads; the text of a step are the bytes `token_bytes` of its tokens.
    """

    def __init__(
        self, directory, layers: int, head: np.ndarray, format: Format, token_bytes: Sequence[bytes]
    ):
        on_cpu = jax.default_backend() == "cpu"
        self.device = "cpu" if on_cpu else "cuda"
        dtype = torch.float32 if on_cpu else torch.bfloat16
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        model = transformers.AutoModelForCausalLM.from_pretrained(
            directory, dtype=dtype, num_hidden_layers=layers
        )
        self.model = model.eval().to(self.device)
        self.head = torch.tensor(np.asarray(head, np.float32), device=self.device)
        self.format, self.token_bytes = format, token_bytes
        self.read = 0  # tokens that the verifier has read

    @torch.inference_mode()
    def search(
        self, question: str, prompt: Sequence[int], *, N: int, M: int, rounds: int, step: int,
        temperature: float,
    ) -> list[Candidate]:  # fmt: skip
        """The last pool: N candidates of rounds * step tokens."""
        kept, each = [Candidate()], N
        for _ in range(rounds):
            tokens = self._generate([[*prompt, *c.tokens] for c in kept], each, step, temperature)
            parents = [parent for parent in kept for _ in range(each)]
            pool = [
                Candidate((*parent.tokens, *new), (*parent.steps, self._text(new)))
                for parent, new in zip(parents, tokens, strict=True)
            ]
            scores = self.score(question, [candidate.steps for candidate in pool])
            pool = [
                Candidate(c.tokens, c.steps, score) for c, score in zip(pool, scores, strict=True)
            ]
            kept, each = sorted(pool, key=lambda c: -c.score)[: N // M], M
        return pool

    def _generate(self, texts, each: int, step: int, temperature: float) -> list[list[int]]:
        """`each` continuations of every text, by `step` tokens."""
        prompts = torch.tensor(texts, device=self.device)
        out = self.model.generate(
            prompts, attention_mask=torch.ones_like(prompts), do_sample=True,
            temperature=temperature, top_k=0, top_p=1.0, num_return_sequences=each,
            max_new_tokens=step, min_new_tokens=step, pad_token_id=2,
        )  # fmt: skip
        return out[:, prompts.shape[1] :].tolist()

    def _text(self, tokens: Sequence[int]) -> str:
        return b"".join(self.token_bytes[t] for t in tokens).decode(errors="replace")

    @torch.inference_mode()
    def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[float]:
        """The score of each solution's last step, from one pass over whole texts."""
        rows = []
        for steps in solutions:
            pieces = [self.format.step(text, i).ids for i, text in enumerate(steps)]
            rows.append([*self.format.begin(question), *(id for ids in pieces for id in ids)])
        lens = torch.tensor([len(row) for row in rows], device=self.device)
        longest = int(lens.max())
        self.read += int(lens.sum())
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self.device)
        mask = (torch.arange(longest, device=self.device) < lens[:, None]).long()
        hidden = self.model.model(ids, attention_mask=mask, use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(rows)), lens - 1]
        return torch.sigmoid(last.float() @ self.head[0]).tolist()
