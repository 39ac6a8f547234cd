"""What was asked against what the model takes: names, datatypes, shapes, values.

Everything that does not fit is refused with a `WrongInputs` that names the input, what was given and what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raykqi.errors import WrongInputs
from raykqi.serving.datatypes import datatype_of, numpy_of
from raykqi.serving.predictor import About, Tensors, TensorSpec
from raykqi.serving.values import tensor_of_array, tensor_of_json

__all__ = ["array_inputs", "check", "check_names", "plain_inputs", "show_inputs", "show_shape"]

# What people wrap the inputs of a request in.
WRAPPERS = ("inputs", "instances", "data")


def check(tensors: Tensors, about: About) -> Tensors:
    """The same, when the model can be run with it."""
    specs = about.inputs
    check_names(tensors, specs)
    rows: dict[str, int] = {}
    for spec in specs:
        tensor = tensors[spec.name]
        _check_datatype(spec, tensor)
        _check_shape(spec, tensor)
        if not about.card.allow_nan and tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            _refuse_nan(spec, tensor)
        if about.batches and about.is_tensor:  # whose requests are joined row by row
            rows[spec.name] = tensor.shape[0]
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise WrongInputs(f"the inputs differ in their number of rows: {told}", hint="Give as many of each.")
    return tensors


def check_names(given: Iterable[str], specs: tuple[TensorSpec, ...]) -> None:
    names, wanted = set(given), {spec.name for spec in specs}
    if unknown := sorted(names - wanted):
        raise WrongInputs(f"the model has no input {_quoted(unknown)}", hint=show_inputs(specs))
    if missing := [spec.name for spec in specs if spec.name not in names]:
        raise WrongInputs(f"the input {_quoted(missing)} is missing", hint=show_inputs(specs))


def plain_inputs(body: Any, about: About) -> Tensors:
    """The tensors of a body of JSON as people write it, checked.

    `{"x": [[…]], "y": [[…]]}`, the same under `inputs`, or for a model of one input its values alone. One row need not
    be wrapped in a list of its own.
    """
    specs = about.inputs
    names = {spec.name for spec in specs}
    for wrapper in WRAPPERS:
        if isinstance(body, Mapping) and wrapper in body and wrapper not in names:
            if others := sorted(str(key) for key in body if key != wrapper):
                raise WrongInputs(f"beside {wrapper!r} stands {_quoted(others)}", hint=show_inputs(specs))
            body = body[wrapper]
            break
    if not isinstance(body, Mapping):
        if len(specs) != 1:
            raise WrongInputs(f"the model has {len(specs)} inputs, which must be named", hint=show_inputs(specs))
        body = {specs[0].name: _no_records(body, specs)}
    check_names(body, specs)
    return check({spec.name: _row(tensor_of_json(body[spec.name], spec), spec, about) for spec in specs}, about)


def array_inputs(made: Any, about: About) -> Tensors:
    """The tensors of what a file or a user's function holds: arrays by name, or the one of a model of one; checked."""
    specs = about.inputs
    if not isinstance(made, Mapping):
        if len(specs) != 1:
            raise WrongInputs(f"the model has {len(specs)} inputs, which must be named", hint=show_inputs(specs))
        made = {specs[0].name: made}
    check_names(made, specs)
    tensors: Tensors = {}
    for spec in specs:
        given = made[spec.name]
        tensor = tensor_of_array(given, spec) if isinstance(given, np.ndarray) else tensor_of_json(given, spec)
        tensors[spec.name] = _row(tensor, spec, about)
    return check(tensors, about)


def show_inputs(specs: tuple[TensorSpec, ...]) -> str:
    if not specs:
        return "The model says nothing of its inputs."
    told = ", ".join(f"{spec.name} ({spec.datatype} {show_shape(spec.shape)})" for spec in specs)
    return f"It takes {told}."


def show_shape(shape: Iterable[int]) -> str:
    return str(list(shape))


def _no_records(body: Any, specs: tuple[TensorSpec, ...]) -> Any:
    """Refused with the way to write it is what is meant for other routes and servers."""
    first = body[0] if isinstance(body, list) and body else None
    if isinstance(first, Mapping) and "data" in first:
        raise WrongInputs(
            "the inputs are written as those of the Open Inference Protocol",
            hint="Send that to /v2/models/NAME/infer, or here the values alone, as in [[1, 2], [3, 4]].",
        )
    if isinstance(first, Mapping):
        raise WrongInputs("each row is an object", hint=f"Give rows as lists of values. {show_inputs(specs)}")
    return body


def _row(tensor: NDArray[Any], spec: TensorSpec, about: About) -> NDArray[Any]:
    """One row alone becomes a batch of one."""
    if about.batches and spec.shape and tensor.ndim == len(spec.shape) - 1:
        return tensor[np.newaxis]
    return tensor


def _check_datatype(spec: TensorSpec, tensor: NDArray[Any]) -> None:
    if tensor.dtype != numpy_of(spec.datatype):
        given = datatype_of(tensor.dtype) or tensor.dtype
        raise WrongInputs(f"input {spec.name!r} is of {given}, and {spec.datatype} is wanted")


def _check_shape(spec: TensorSpec, tensor: NDArray[Any]) -> None:
    wanted, shape = spec.shape, tensor.shape
    if tensor.size == 0:
        raise WrongInputs(f"input {spec.name!r} is empty: its shape is {show_shape(shape)}", hint="Give a row or more.")
    if wanted and (
        len(shape) != len(wanted) or any(length not in (-1, given) for given, length in zip(shape, wanted, strict=True))
    ):
        raise WrongInputs(
            f"input {spec.name!r} has shape {show_shape(shape)}, and {show_shape(wanted)} is wanted",
            hint="-1 stands for any length." if -1 in wanted else "",
        )


def _refuse_nan(spec: TensorSpec, tensor: NDArray[Any]) -> None:
    place = np.argwhere(~np.isfinite(tensor))[0].tolist()
    raise WrongInputs(
        f"input {spec.name!r} holds {tensor[tuple(place)]} at {place}, which this model does not take",
        hint="Give finite numbers; `allow_nan: true` in the model's card lets them pass.",
    )


def _quoted(names: Iterable[str]) -> str:
    listed = [repr(name if len(name) <= 60 else name[:60] + "…") for name in names]
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
