# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
r"""Verifiers and a revision model for a model of yours, from its own samples on MATH.

    labels ---- prm, orm
    samples ---- revision ---- chains ---- revision_orm

No human labels a step: rollouts from every step of the model's own solutions do (Snell et al. 2024,
section 5.1 and appendix D; after Math-Shepherd, Wang et al. 2023), and wrong answers before right
ones teach it to revise (section 6.1). These are the training stages of math_gemma2.py, for any
policy: 16 samples of a question and 16 rollouts of a step, soft labels, AdamW 3e-5, batches of 128
solutions, dropout 0.05; revisions of up to 4 wrong answers in view, 1e-5.

    ttc run --config=configs/math_scratch_labels.py --config.model.path=DIR \
        --config.data.dir=MATH --workdir=runs/scratch_labels

DIR is a Hugging Face directory; MATH holds train.jsonl with fields problem and answer. Questions of
your own: --config.data.name=jsonl --config.data.dir=FILE, lines with fields question and answer.
The results are Hugging Face directories with model cards, in the stages' folders `model`: of a PRM
("--config.scorer.path=runs/scratch_labels/prm/model --config.scorer.format=steps" of any search),
an ORM (format outcome), a revision model, and its ORM (format outcome_history). Each has its
figures on held-out questions in results.json and in its card.

`chat` asks by the model's chat template, with steps that end at a blank line, instead of by worked
examples. `verifiers` and `revisions` train one half alone. `tiny` runs the same stages with a small
random model on the word problems of the package: does it run at all.

Expected: in the paper PRMs beat ORMs by 5 points at 2,048 samples (39.8 against 34.8, read off
figure 14), and chains rise from 18 % at the first attempt to 23 to 25 % from the 15th on. The whole
has not been run at this size, so there are no figures of it here.
Cost: `ttc plan --config=configs/math_scratch_labels.py --config.model.path=DIR
--topology=v5e:8x8`; labels take most of it, and --config.stages.labels.labels.rollouts=0 makes the
samples the rollouts of their own steps.

    ttc run --config=configs/math_scratch_labels.py:tiny --workdir=runs/tiny
    ttc run --config=configs/math_scratch_labels.py:chat,verifiers --config.model.path=DIR \
        --config.data.dir=MATH --workdir=runs/chat_verifiers
"""

from ml_collections import ConfigDict

from ttc_jax.run import protocol
from ttc_jax.run.defaults import pipeline_defaults, variants

HALVES = {"verifiers": protocol.TRAINING[:3], "revisions": protocol.TRAINING[3:]}
VARIANTS = ("chat", *HALVES, "tiny")


def get_config(arg: str | None = None) -> ConfigDict:
    named = variants(arg, VARIANTS)
    halves = [name for name in named if name in HALVES]

    config = pipeline_defaults(rows=1024)
    config.model = ConfigDict({"path": ""})
    protocol.few_shot_math(config)
    if "chat" in named:
        config.prompt = ConfigDict({"style": "chat"})
        config.sample.update({"max_new": 1024, "stop": ()})
        config.search.delimiter = "\n\n"
    protocol.add_training(config)
    config.stages.samples.sample.temperature = 1.0  # "higher", says the paper, and not how high
    config.order = HALVES[halves[0]] if len(halves) == 1 else protocol.TRAINING
    if "tiny" in named:
        protocol.shrink_random(config, "google/gemma-2-2b-it")
    return config.lock()
