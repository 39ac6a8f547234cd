"""The Open Inference Protocol v2: its requests as tensors, its answers, what it tells of server and model.

Tensors stand in the JSON or, by the binary extension, after it; then `Inference-Header-Content-Length` is where the
JSON ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from raykqi.errors import InvalidInput, ModelError, WrongInputs
from raykqi.serving.checking import check, check_names
from raykqi.serving.datatypes import datatype_of
from raykqi.serving.frames import Answered, Body
from raykqi.serving.model import Model
from raykqi.serving.predictor import About, Datatype, Tensors, TensorSpec
from raykqi.serving.rendering import as_json
from raykqi.serving.v2_binary import BinaryTail, raw_output
from raykqi.serving.v2_json import data_output, tensor_of_data

__all__ = ["HEADER_LENGTH", "read"]

HEADER_LENGTH = "inference-header-content-length"
JSON = "application/json"


class InputTensor(msgspec.Struct):
    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: Any = msgspec.UNSET


class WantedOutput(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct):
    inputs: tuple[InputTensor, ...]
    id: str | None = None
    outputs: tuple[WantedOutput, ...] | None = None
    parameters: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(InferRequest).decode


def read(model: Model, headers: Mapping[str, str], body: Body) -> tuple[Tensors, Callable[[Any], Answered]]:
    """The inputs of the model, checked, and what makes the answer of its outputs."""
    length = headers.get(HEADER_LENGTH)
    end = len(body) if length is None else _header_length(length, len(body))
    request = _decoded(body if end == len(body) else memoryview(body)[:end])
    tail = BinaryTail(memoryview(body)[end:])
    inputs: Tensors = {}
    for each in request.inputs:
        if each.name in inputs:
            raise WrongInputs(f"input {each.name!r} stands twice in the request")
        inputs[each.name] = _tensor(each, tail, model.about)
    tail.check_end()
    wanted = request.outputs or ()
    if len({each.name for each in wanted}) < len(wanted):
        raise InvalidInput("an output is asked for twice")
    if model.about.is_tensor or model.about.inputs:
        check(inputs, model.about)
    return inputs, partial(_render, model, request)


def _header_length(text: str, whole: int) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput(f"Inference-Header-Content-Length is {text[:40]!r}, and a number of bytes is wanted")
    length = int(text[:20])
    if length > whole:
        raise InvalidInput(f"Inference-Header-Content-Length is {length}, and the body has {whole} bytes")
    return length


def _decoded(text: Body) -> InferRequest:
    try:
        return _decode(text)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"the request is not one of the Open Inference Protocol: {error}",
            hint='It is {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}.',
        ) from None
    except RecursionError:
        raise InvalidInput("the JSON of the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = (
            "" if text[:1] == b"{" else "A body with binary tensors needs the header Inference-Header-Content-Length."
        )
        raise InvalidInput(f"the body is not JSON: {error}", hint=hint) from None


def _tensor(each: InputTensor, tail: BinaryTail, about: About) -> Any:
    known = {spec.name: spec for spec in about.inputs}
    if about.is_tensor or known:
        check_names_of(each.name, known)
        wanted = known[each.name].datatype
        if each.datatype != wanted:
            raise WrongInputs(f"input {each.name!r} is of {each.datatype[:20]}, and {wanted} is wanted")
    try:
        spec = msgspec.convert({"name": each.name, "datatype": each.datatype, "shape": each.shape}, TensorSpec)
    except msgspec.ValidationError:
        raise WrongInputs(f"input {each.name!r} is of {each.datatype[:20]!r}, which is no datatype") from None
    parameters = each.parameters or {}
    if "shared_memory_region" in parameters:
        raise WrongInputs(f"input {each.name!r} lies in shared memory, which is not served", hint="Send its data.")
    size = parameters.get("binary_data_size")
    if size is not None:
        if each.data is not msgspec.UNSET:
            raise WrongInputs(f"input {each.name!r} has both data and binary_data_size", hint="Give one of the two.")
        return tail.tensor(size, spec)
    if each.data is msgspec.UNSET:
        raise WrongInputs(f"input {each.name!r} has no data")
    return tensor_of_data(each.data, spec)


def check_names_of(name: str, known: Mapping[str, TensorSpec]) -> None:
    if name not in known:
        specs = tuple(known.values())
        check_names([name, *known], specs)


def _render(model: Model, request: InferRequest, result: Any) -> Answered:
    outputs = _outputs(model.about, result)
    wanted = request.outputs or tuple(WantedOutput(name) for name in outputs)
    is_binary = (request.parameters or {}).get("binary_data_output") is True
    listed: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    for each in wanted:
        spec, array = outputs[each.name] if each.name in outputs else _unknown(each.name, outputs)
        parameters = each.parameters or {}
        if count := parameters.get("classification"):
            spec, array = _classes(model.about, spec, array, count)
        told: dict[str, Any] = {"name": each.name, "datatype": spec.datatype, "shape": list(array.shape)}
        if parameters.get("binary_data", is_binary) is True:
            pieces.append(raw_output(array, spec))
            told["parameters"] = {"binary_data_size": len(pieces[-1])}
        else:
            told["data"] = data_output(array, spec)
        listed.append(told)
    answer = {"model_name": model.name, "model_version": str(model.revision)}
    if request.id:
        answer["id"] = request.id
    head = as_json(answer | {"outputs": listed})
    if not pieces:
        return Answered(200, {"content-type": JSON}, head)
    headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return Answered(200, headers, b"".join([head, *pieces]))


def _outputs(about: About, result: Any) -> dict[str, tuple[TensorSpec, Any]]:
    """By name; of a user's class, one result that has no name gets that of the only output."""
    known = {spec.name: spec for spec in about.outputs}
    if not isinstance(result, Mapping):
        result = {next(iter(known), "output"): result}
    found: dict[str, tuple[TensorSpec, Any]] = {}
    for name, value in result.items():
        array = np.asarray(value)
        datatype: Datatype | None = known[name].datatype if name in known else datatype_of(array.dtype)
        if datatype is None:
            raise ModelError(f"output {name!r} is of {array.dtype}, which the protocol has no name for")
        found[str(name)] = (TensorSpec(str(name), datatype), array)
    return found


def _unknown(name: str, outputs: Mapping[str, Any]) -> Any:
    raise InvalidInput(f"the model has no output {name[:60]!r}", hint=f"It has {', '.join(outputs)}.")


def _classes(about: About, spec: TensorSpec, array: Any, count: Any) -> tuple[TensorSpec, Any]:
    """The greatest of each row as texts `value:index[:label]`."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidInput(f"classification of {spec.name!r} is {count!r}, and a number of classes is wanted")
    if array.ndim == 0 or array.dtype.kind not in "fiu":
        raise InvalidInput(f"output {spec.name!r} holds no classes")
    labels = about.card.labels if len(about.card.labels) == array.shape[-1] else ()
    best = np.argsort(-array, axis=-1, kind="stable")[..., :count]
    made = np.empty(best.shape, dtype=object)
    for place in np.ndindex(best.shape):
        index = int(best[place])
        words = [f"{array[(*place[:-1], index)]:f}", str(index), *labels[index : index + 1]]
        made[place] = ":".join(words).encode()
    return TensorSpec(spec.name, "BYTES"), made
