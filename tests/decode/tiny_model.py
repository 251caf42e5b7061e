# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Random parameters drawn by numpy: nothing is compiled to make them."""

import jax
import numpy as np

from ttc_jax.core.mesh import parameter_shardings
from ttc_jax.model.shape import ModelShape
from ttc_jax.model.transformer import Transformer, abstract


def random_model(shape: ModelShape, mesh, seed: int = 0) -> Transformer:
    """A model on `mesh` whose norms and biases are away from one and zero."""
    random = np.random.default_rng(seed)

    def fill(leaf) -> np.ndarray:
        if leaf.ndim == 1:
            values = 1 - shape.norm_offset + 0.3 * random.normal(size=leaf.shape)
        else:
            values = random.normal(size=leaf.shape) * leaf.shape[-1] ** -0.5
        return values.astype(leaf.dtype)

    model = jax.tree.map(fill, abstract(shape))
    return jax.device_put(model, parameter_shardings(model, mesh))
