"""What a loaded model is to those who ask it: its description, and one of two ways to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["About", "Card", "Datatype", "Hooks", "ImageCard", "Kind", "Layout", "ObjectPredictor", "Predictor"]
__all__ += ["TensorPredictor", "TensorSpec", "Tensors"]

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
]
Kind = Literal["onnx", "sklearn", "torch", "python"]
Layout = Literal["NCHW", "NHWC", "flat"]
Tensors = dict[str, "NDArray[Any]"]


class TensorSpec(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One input or output in the words of the Open Inference Protocol; -1 in `shape` is any length.

    The first of `shape` is the batch when the model batches. A user's class may say () for any shape.
    """

    name: str
    datatype: Datatype = "FP32"
    shape: tuple[int, ...] = ()


class ImageCard(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How an image becomes the input: resized to `size` (width, height), then (value * scale - mean) / std.

    None is taken from the shape of the input: where one may guess, `scale` is 1/255 for floats.
    """

    input: str = ""
    size: tuple[int, int] | None = None
    mode: Literal["L", "RGB"] | None = None
    layout: Layout | None = None
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    invert: bool = False


class Card(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What people say of a model, in a file beside it and in tags of its data.

    `model` chooses the file of the model where there are several. `sample` is a body that the model answers, as JSON,
    or the name of a file beside the card. `threshold` is the probability below which no label is given.
    """

    title: str = ""
    description: str = ""
    model: str = ""
    predictor: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    labels: tuple[str, ...] = ()
    sample: Any = None
    metrics: dict[str, float] = {}
    threshold: float | None = None
    image: ImageCard | None = None
    allow_nan: bool = False
    batches: bool | None = None


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """A loaded model.

    `platform` is what metadata of the protocol calls so, as `onnxruntime_onnx`. `batches`: requests may be joined along
    axis 0 (tensors), or given as a list to `predict_batch` (objects). `is_tensor` says which of the two it is.
    `sample` is the body that it is warmed and tested with, of the media type `sample_type`; b"" when there is none. As
    JSON that is what the card says, else zeros: `{"inputs": {name: nested lists}}`.
    """

    kind: Kind
    platform: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    card: Card = Card()
    batches: bool = False
    is_tensor: bool = True
    streams: bool = False
    sample: bytes = b""
    sample_type: str = "application/json"


class Hooks(msgspec.Struct, frozen=True):
    """A user's functions around the model; None where there is none.

    `preprocess(request)` makes the inputs: a dict of arrays for tensors, anything for objects. `request` is the body as
    parsed: what JSON held, or `bytes`. `postprocess(outputs, request)` makes the answer, which is rendered as JSON.
    """

    preprocess: Callable[[Any], Any] | None = None
    postprocess: Callable[[Any, Any], Any] | None = None


class Predictor(Protocol):
    @property
    def about(self) -> About: ...

    @property
    def hooks(self) -> Hooks: ...


class TensorPredictor(Predictor, Protocol):
    """A model of arrays: `about.is_tensor`. Inputs are complete and as `about.inputs` says."""

    def run(self, inputs: Tensors) -> Tensors: ...


class ObjectPredictor(Predictor, Protocol):
    """A user's class: takes what the body held. With `about.batches` it takes several at a time.

    `predict_batch` gives one result for each, in order; a result that is an exception is that one's failure.
    """

    def predict(self, inputs: Any) -> Any: ...

    def predict_batch(self, several: list[Any]) -> list[Any]: ...

    def stream(self, inputs: Any) -> Iterator[Any]: ...
