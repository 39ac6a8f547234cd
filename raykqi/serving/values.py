"""One tensor out of what stands in a request: values of JSON, or the bytes of the binary extension.

Numbers of JSON know no datatype: they become the wanted one where that keeps their value, an integer also a float.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from raykqi.errors import WrongInputs
from raykqi.serving.datatypes import WIDTHS, as_bytes_array, is_float, is_integer, numpy_of, range_of
from raykqi.serving.predictor import TensorSpec

__all__ = ["elements_of", "raw_of", "reshaped", "tensor_of_array", "tensor_of_json", "tensor_of_raw"]

EXACT = 2**53  # up to here a double holds every integer
LENGTH = 4  # bytes before each element of BYTES


def tensor_of_json(value: Any, spec: TensorSpec) -> NDArray[Any]:
    """Nested lists, or one value, as an array of the datatype of `spec`; its shape is as they are nested."""
    if spec.datatype == "BYTES":
        return _texts(value, spec)
    try:
        given = np.asarray(value)
        if given.dtype.kind not in "biuf":
            given = _large_numbers(value, spec)
        elif given.dtype.kind == "f" and is_integer(spec.datatype):
            given = _as_they_stand(value, given)
    except OverflowError:
        _refuse(spec, f"holds a number beyond the range of {spec.datatype}")
    except (ValueError, TypeError):
        _refuse(spec, "holds lists of different lengths", "Give every row the same number of values.")
    return _converted(given, spec)


def tensor_of_array(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """An array that a file or a user's function holds, in the datatype of `spec` where its values allow that."""
    if array.dtype == numpy_of(spec.datatype):
        return array
    if spec.datatype == "BYTES" and array.dtype.kind in "US":
        return as_bytes_array(array)
    if array.dtype.kind not in "biuf":
        return tensor_of_json(array.tolist(), spec)
    return _converted(array, spec)


def tensor_of_raw(raw: bytes | memoryview, spec: TensorSpec) -> NDArray[Any]:
    """The little-endian bytes of a tensor that has exactly the shape of `spec`."""
    count = elements_of(spec)
    if spec.datatype == "BYTES":
        return _split(raw, count, spec).reshape(spec.shape)
    wanted = count * WIDTHS[spec.datatype]
    if len(raw) != wanted:
        _refuse(spec, f"has {len(raw)} bytes, and {list(spec.shape)} of {spec.datatype} takes {wanted}")
    if spec.datatype == "BF16":
        upper = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << np.uint32(16)
        widened: NDArray[Any] = np.asarray(upper).view(np.float32)
        return widened.reshape(spec.shape)
    if spec.datatype == "BOOL":
        return np.frombuffer(raw, dtype=np.uint8).astype(np.bool_).reshape(spec.shape)
    return np.frombuffer(raw, dtype=numpy_of(spec.datatype).newbyteorder("<")).reshape(spec.shape)


def raw_of(tensor: NDArray[Any], spec: TensorSpec) -> bytes:
    """A tensor as the bytes of the binary extension."""
    if spec.datatype == "BYTES":
        elements = as_bytes_array(tensor).ravel().tolist()
        return b"".join(len(each).to_bytes(LENGTH, "little") + each for each in elements)
    if spec.datatype == "BF16":
        return (tensor.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()
    return tensor.astype(numpy_of(spec.datatype).newbyteorder("<"), copy=False).tobytes()


def elements_of(spec: TensorSpec) -> int:
    """How many a shape that a request states holds."""
    if any(length < 0 for length in spec.shape):
        _refuse(spec, f"has shape {list(spec.shape)}", "State lengths of 0 or more.")
    return math.prod(spec.shape)


def reshaped(tensor: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Values that stand in a row, or nested as the shape of `spec` says, in that shape."""
    if tensor.shape == spec.shape:
        return tensor
    count = elements_of(spec)
    if tensor.size != count:
        _refuse(spec, f"has {tensor.size} values, and shape {list(spec.shape)} takes {count}")
    if tensor.ndim != 1:
        _refuse(spec, f"is nested as {list(tensor.shape)}, and says shape {list(spec.shape)}")
    return tensor.reshape(spec.shape)


def _converted(given: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    kind, wanted = given.dtype.kind, numpy_of(spec.datatype)
    if given.size == 0:
        return given.astype(wanted, copy=False)
    if (kind == "b") != (spec.datatype == "BOOL"):
        _refuse(spec, f"holds {'true or false' if kind == 'b' else 'numbers'}, and {spec.datatype} is wanted")
    if is_float(spec.datatype):
        return _as_float(given, spec, wanted)
    if is_integer(spec.datatype):
        _check_whole(given, spec)
    return given.astype(wanted, copy=False)


def _as_float(given: NDArray[Any], spec: TensorSpec, wanted: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        made = given.astype(wanted, copy=False)
    if wanted.itemsize < 8 and np.isinf(made).any() and not np.isinf(given.astype(np.float64)).any():
        _refuse(spec, f"holds a number beyond the range of {spec.datatype}")
    return made


def _check_whole(given: NDArray[Any], spec: TensorSpec) -> None:
    if given.dtype.kind == "f":
        whole = (given == np.floor(given)) & (np.abs(given) < EXACT)
        if not whole.all():
            _refuse(spec, f"holds {given[~whole].ravel()[0]}, and {spec.datatype} takes whole numbers below 2**53")
    least, greatest = range_of(spec.datatype)
    for value in (int(given.min()), int(given.max())):
        if not least <= value <= greatest:
            _refuse(spec, f"holds {value}, and {spec.datatype} goes from {least} to {greatest}")


def _texts(value: Any, spec: TensorSpec) -> NDArray[Any]:
    try:
        given = np.asarray(value, dtype=object)
    except (ValueError, TypeError):
        _refuse(spec, "holds lists of different lengths", "Give every row the same number of values.")
    for each in given.ravel():
        if isinstance(each, list):
            _refuse(spec, "holds lists of different lengths", "Give every row the same number of values.")
        if not isinstance(each, str | bytes):
            _refuse(spec, f"holds {_shown(each)}, and texts are wanted")
    return as_bytes_array(given)


def _as_they_stand(value: Any, given: NDArray[Any]) -> NDArray[Any]:
    """numpy makes floats of integers that no one of its integers holds together; here they stay exact."""
    exact = np.asarray(value, dtype=object)
    return exact if all(type(each) is int for each in exact.ravel().tolist()) else given


def _large_numbers(value: Any, spec: TensorSpec) -> NDArray[Any]:
    """What numpy took for no numbers: integers beyond its own for a float input, else refused by its first."""
    elements = np.asarray(value, dtype=object).ravel().tolist()
    for each in elements:
        if isinstance(each, list):
            _refuse(spec, "holds lists of different lengths", "Give every row the same number of values.")
        if isinstance(each, bool) or not isinstance(each, int | float):
            _refuse(spec, f"holds {_shown(each)}, and numbers are wanted ({spec.datatype})")
    if not is_float(spec.datatype):
        _refuse(spec, f"holds {_shown(max(elements, key=abs))}, beyond the range of {spec.datatype}")
    return np.asarray(value, dtype=np.float64)


def _split(raw: bytes | memoryview, count: int, spec: TensorSpec) -> NDArray[Any]:
    elements: list[bytes] = []
    view, place = memoryview(raw), 0
    while place < len(view) and len(elements) < count:
        start = place + LENGTH
        end = start + int.from_bytes(view[place:start], "little")
        if start > len(view) or end > len(view):
            break
        elements.append(bytes(view[start:end]))
        place = end
    if len(elements) != count or place != len(view):
        _refuse(spec, f"has {len(view)} bytes, which do not hold {count} elements, each after its length")
    made = np.empty(count, dtype=object)
    made[:] = elements
    return made


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"


def _refuse(spec: TensorSpec, what: str, hint: str = "") -> NoReturn:
    raise WrongInputs(f"input {spec.name!r} {what}", hint=hint)
