"""What a model gave, as JSON: arrays and numbers of numpy as lists and numbers, bytes as text where they are text."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

__all__ = ["as_json", "listed"]


def as_json(value: Any) -> bytes:
    """NaN and infinity, which JSON has no words for, are null."""
    return _encoder.encode(value)


def listed(array: np.ndarray[Any, Any]) -> Any:
    """Nested lists; elements that are bytes as text."""
    if array.dtype == object:
        return np.vectorize(_text, otypes=[object])(array).tolist() if array.size else array.tolist()
    return array.tolist()


def _text(element: Any) -> Any:
    return element.decode(errors="replace") if isinstance(element, bytes) else element


def _other(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return listed(value)
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "tolist"):  # tensors of torch, columns of pandas
        return value.tolist()
    raise NotImplementedError(f"a {type(value).__name__} cannot be shown as JSON")


_encoder = msgspec.json.Encoder(enc_hook=_other)
