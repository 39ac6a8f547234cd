"""Whether requests may go through a model together: tried once, when it is loaded.

A model whose rows see each other, as one that normalises over the batch, would answer each by what came beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raykqi.errors import ModelFailed
from raykqi.serving.describing import zeros
from raykqi.serving.predictor import TensorPredictor

__all__ = ["rows_are_apart"]

NEAR = 1e-3  # of a value: sums of many rows are rounded otherwise than those of one


def rows_are_apart(model: TensorPredictor) -> bool | None:
    """Whether a row of zeros answers the same beside two others as alone; None when the model fails on those."""
    row = zeros(model.about)
    others = {name: each if each.dtype == object else np.ones_like(each) for name, each in row.items()}
    try:
        alone = model.run(row)
        together = model.run({name: np.concatenate([each, others[name], others[name]]) for name, each in row.items()})
    except ModelFailed:
        return None
    return all(together[name].shape[:1] == (3,) and _equal(together[name][:1], each) for name, each in alone.items())


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool((one == other).all())
    return bool(np.allclose(one, other, rtol=NEAR, atol=NEAR, equal_nan=True))
