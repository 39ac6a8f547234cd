"""Tensors inside the JSON of a request or an answer of the protocol: their values in a row, or nested by the shape."""

from __future__ import annotations

from typing import Any

from raykqi.errors import InvalidInput, WrongInputs
from raykqi.serving.predictor import TensorSpec
from raykqi.serving.rendering import listed
from raykqi.serving.values import reshaped, tensor_of_json

__all__ = ["data_output", "tensor_of_data"]


def tensor_of_data(data: Any, spec: TensorSpec) -> Any:
    if not isinstance(data, list):
        raise WrongInputs(f"data of input {spec.name!r} is no list")
    if spec.datatype in ("FP16", "BF16"):
        raise WrongInputs(
            f"input {spec.name!r} is of {spec.datatype}, which has no form in JSON", hint="Send it binary."
        )
    return reshaped(tensor_of_json(data, spec), spec)


def data_output(array: Any, spec: TensorSpec) -> Any:
    """The values in a row. Bytes that are no text have no form in JSON."""
    if array.dtype != object:
        return listed(array.ravel())
    try:
        return [each.decode() if isinstance(each, bytes) else each for each in array.ravel().tolist()]
    except UnicodeDecodeError:
        raise InvalidInput(f"output {spec.name!r} holds bytes that are no text", hint="Ask for it binary.") from None
