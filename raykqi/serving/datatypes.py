"""The datatypes of the Open Inference Protocol as numpy has them.

BYTES are arrays of objects that are `bytes`. numpy has no BF16: those values are float32 here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raykqi.serving.predictor import Datatype

__all__ = ["WIDTHS", "as_bytes_array", "datatype_of", "is_float", "is_integer", "numpy_of", "range_of"]

_NUMPY: dict[Datatype, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": np.dtype(np.float32),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
_DATATYPES: dict[np.dtype[Any], Datatype] = {dtype: name for name, dtype in _NUMPY.items() if name != "BF16"}
# Bytes of one element on the wire; 0 where each says its own length.
WIDTHS: dict[Datatype, int] = {name: dtype.itemsize for name, dtype in _NUMPY.items()} | {"BF16": 2, "BYTES": 0}


def numpy_of(datatype: Datatype) -> np.dtype[Any]:
    return _NUMPY[datatype]


def datatype_of(dtype: np.dtype[Any]) -> Datatype | None:
    """None for what the protocol has no name for, such as complex numbers. Texts are BYTES."""
    if dtype.kind in "USO":
        return "BYTES"
    return _DATATYPES.get(dtype.newbyteorder("="))


def is_float(datatype: Datatype) -> bool:
    return datatype in ("FP16", "BF16", "FP32", "FP64")


def is_integer(datatype: Datatype) -> bool:
    return "INT" in datatype


def range_of(datatype: Datatype) -> tuple[int, int]:
    """The least and the greatest of an integer datatype."""
    limits = np.iinfo(_NUMPY[datatype])
    return int(limits.min), int(limits.max)


def as_bytes_array(values: NDArray[Any]) -> NDArray[Any]:
    """The same elements as `bytes`, from texts of any of numpy's kinds."""
    made = np.empty(values.shape, dtype=object)
    made.ravel()[:] = [each if isinstance(each, bytes) else str(each).encode() for each in values.ravel().tolist()]
    return made
