"""The routes that people ask by hand: `predict`, `label`, `test` and `stream`.

An answer is `{"outputs": …, "model": {"name", "revision", "data"}}`, with `label` and `score` for one row that has them
and `labels` for several. What a user's own `postprocess` makes is the answer as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from raykqi.errors import InvalidInput, UnknownMedia
from raykqi.serving.bodies import Upload, arrays_of, read_body
from raykqi.serving.checking import array_inputs, check, plain_inputs, show_inputs
from raykqi.serving.frames import Answered, Body
from raykqi.serving.labels import Labelled, labels_of
from raykqi.serving.model import Model
from raykqi.serving.rendering import as_json

__all__ = ["read", "stream_inputs"]

JSON = {"content-type": "application/json"}
WRAPPERS = ("inputs", "instances")
UNPACKED = 1 << 30


def read(
    model: Model, kind: Literal["predict", "label", "test"], headers: Mapping[str, str], body: Body
) -> tuple[Any, Callable[[Any], Answered]]:
    """The inputs of the model, and what makes the answer of what it gives."""
    content_type = headers.get("content-type", "")
    if kind == "test":
        if not model.about.sample:
            raise InvalidInput("the model has no sample", hint="State `sample:` in the model's card.")
        content_type, body = model.about.sample_type, model.about.sample
    request = read_body(content_type, body)
    inputs = _inputs(model, request)
    if kind == "label":
        return inputs, partial(_label, model)
    return inputs, partial(_answer, model, request.content if isinstance(request, Upload) else request)


def stream_inputs(model: Model, headers: Mapping[str, str], body: Body) -> Any:
    if not model.about.streams:
        raise InvalidInput("the model answers at once and not bit by bit", hint="Ask it by /predict.")
    return _inputs(model, read_body(headers.get("content-type", ""), body))


def _inputs(model: Model, request: Any) -> Any:
    about, hooks = model.about, model.hooks
    if hooks.preprocess:
        made = hooks.preprocess(request.content if isinstance(request, Upload) else request)
        return array_inputs(made, about) if about.is_tensor else made
    if not about.is_tensor:
        return _of_object(request)
    if not isinstance(request, Upload):
        return plain_inputs(request, about)
    arrays = arrays_of(request, UNPACKED)
    return _of_image(request, model) if arrays is None else plain_inputs(arrays, about)


def _of_object(request: Any) -> Any:
    """What a user's class gets: the file, or the JSON without the word around it."""
    if isinstance(request, Upload):
        arrays = arrays_of(request, UNPACKED)
        return request if arrays is None else arrays
    if isinstance(request, dict) and len(request) == 1 and (wrapper := next(iter(request))) in WRAPPERS:
        return request[wrapper]
    return request


def _of_image(upload: Upload, model: Model) -> Any:
    from raykqi.serving.images import tensors_of_image

    if not upload.content_type.startswith("image/") and upload.content_type != "application/octet-stream":
        raise UnknownMedia(
            f"a body of {upload.content_type!r} is nothing that this model takes",
            hint=f"Send JSON, an image, .npy or .npz. {show_inputs(model.about.inputs)}",
        )
    return check(tensors_of_image(upload.content, model.about), model.about)


def _answer(model: Model, request: Any, result: Any) -> Answered:
    if model.hooks.postprocess:
        return _rendered(model.hooks.postprocess(result, request))
    if not model.about.is_tensor and isinstance(result, bytes | bytearray):
        return Answered(200, {"content-type": "application/octet-stream"}, bytes(result))
    told: dict[str, Any] = {"outputs": result}
    if model.about.is_tensor and (labelled := labels_of(model.about, result)):
        told |= _told(labelled)
    return _rendered(told | {"model": model.told})


def _label(model: Model, result: Any) -> Answered:
    if not model.about.is_tensor:
        if isinstance(result, dict) and "label" in result:
            return _rendered({"label": result["label"], "score": result.get("score"), "model": model.told})
        raise InvalidInput("the model gives no labels", hint="Its class may give {'label': …, 'score': …}.")
    labelled = labels_of(model.about, result, places=True)
    if not labelled:
        raise InvalidInput("the model gives no labels", hint="State `labels:` in the model's card.")
    return _rendered(_told(labelled) | {"model": model.told})


def _told(labelled: list[Labelled]) -> dict[str, Any]:
    if len(labelled) == 1:
        return labelled[0]._asdict()
    return {"labels": [each._asdict() for each in labelled]}


def _rendered(told: Any) -> Answered:
    return Answered(200, dict(JSON), as_json(told))
