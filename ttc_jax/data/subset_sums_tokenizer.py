# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer of subset sums, model.path "builtin:subset_sums": a token for each of its words.

    python -m ttc_jax.data.subset_sums_tokenizer DIR

writes it as SentencePiece's own kind of file. Its pieces are known, so they are listed here instead
of trained. Whatever is written with them can be cut into them in one way only.
"""

import json
import sys
from pathlib import Path

from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ttc_jax.data.subset_sums import LARGEST, TARGETS

ATTEMPTS = 9  # headings of attempts that have a token
_SPECIAL = {
    "<unk>": ModelProto.SentencePiece.UNKNOWN,
    "<s>": ModelProto.SentencePiece.CONTROL,
    "</s>": ModelProto.SentencePiece.CONTROL,
}
_SETTINGS = {"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def pieces() -> list[str]:
    """All pieces but the special ones, in order of their ids, with U+2581 for a blank.

    The blank alone stands between a heading and the attempt.
    """
    return [
        "\n",
        ":",
        "▁",
        *(f"={target}" for target in TARGETS),
        *(f"▁{number}" for number in range(1, LARGEST + 1)),
        *(f"+{number}" for number in range(1, TARGETS[-1])),
        *(f"\n\nAttempt▁{number}:" for number in range(1, ATTEMPTS + 1)),
    ]


def model() -> ModelProto:
    """The SentencePiece model: text as it is, cut into as few pieces as possible."""
    proto = ModelProto()
    for piece, kind in _SPECIAL.items():
        proto.pieces.add(piece=piece, score=0, type=kind)
    for piece in pieces():
        proto.pieces.add(piece=piece, score=-1, type=ModelProto.SentencePiece.NORMAL)
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    trainer.model_type = trainer.UNIGRAM
    trainer.vocab_size = len(proto.pieces)
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 0, 1, 2, -1
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = False
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    return proto


def write(directory: Path) -> None:
    """Leaves tokenizer.model and tokenizer_config.json in a directory, made if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    content = model().SerializeToString(deterministic=True)
    (directory / "tokenizer.model").write_bytes(content)
    settings = json.dumps(_SETTINGS, indent=2) + "\n"
    (directory / "tokenizer_config.json").write_text(settings, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m ttc_jax.data.subset_sums_tokenizer DIR")
    write(Path(sys.argv[1]))
