"""Tensors after the JSON of a request or an answer of the protocol, as the binary extension has them."""

from __future__ import annotations

from typing import Any

from raykqi.errors import InvalidInput, WrongInputs
from raykqi.serving.predictor import TensorSpec
from raykqi.serving.values import raw_of, tensor_of_raw

__all__ = ["BinaryTail", "raw_output"]


class BinaryTail:
    """The tensors lie behind each other in the order in which the JSON names them."""

    def __init__(self, tail: memoryview) -> None:
        self._tail = tail
        self._at = 0

    def tensor(self, size: Any, spec: TensorSpec) -> Any:
        """The next `size` bytes, without a copy where the datatype allows."""
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise WrongInputs(f"binary_data_size of input {spec.name!r} is {size!r}, and a number of bytes is wanted")
        end = self._at + size
        if end > len(self._tail):
            there = len(self._tail) - self._at
            raise WrongInputs(f"input {spec.name!r} ends early: {size} bytes are announced, and {there} came")
        raw, self._at = self._tail[self._at : end], end
        return tensor_of_raw(raw, spec)

    def check_end(self) -> None:
        if left := len(self._tail) - self._at:
            raise InvalidInput(f"{left} bytes follow after the last tensor")


def raw_output(array: Any, spec: TensorSpec) -> bytes:
    return raw_of(array, spec)
