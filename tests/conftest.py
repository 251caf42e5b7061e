# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Eight fake CPU devices, and the rules by which marked tests are skipped.

`JAX_PLATFORMS=cuda python -m pytest -m gpu` runs the tests that need a GPU.
"""

import gc
import importlib.util
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(scope="module", autouse=True)
def programs_are_dropped():
    """Compiled programs of a test file go with it.

    Each holds a few memory mappings, of which a process may have 65,530 on Linux: those of all
    files together would be more, and the process would abort.
    """
    yield
    jax.clear_caches()
    gc.collect()


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config, items):
    skips = {}
    if not config.getoption("--slow"):
        skips["slow"] = "takes more than a minute; run with --slow"
    if os.environ["JAX_PLATFORMS"].split(",")[0] not in ("cuda", "gpu"):
        skips["gpu"] = "needs a GPU; run with JAX_PLATFORMS=cuda"
    if importlib.util.find_spec("libtpu") is None:
        skips["tpu_aot"] = "needs libtpu: pip install libtpu"
    for item in items:
        for name, reason in skips.items():
            if name in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))
