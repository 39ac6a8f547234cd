"""What is said of a loaded model: what its file says, narrowed and filled by its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from raykqi.errors import ModelFailed
from raykqi.serving.checking import show_inputs, show_shape
from raykqi.serving.datatypes import numpy_of
from raykqi.serving.predictor import About, Card, Kind, Tensors, TensorSpec

__all__ = ["described", "merged", "sample_of", "zeros"]

MEDIA_TYPES = {
    ".json": "application/json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".txt": "text/plain",
    ".bin": "application/octet-stream",
}
MOST_ZEROS = 1 << 20  # beyond that a sample of zeros as JSON is of no use


def described(
    kind: Kind,
    platform: str,
    *,
    folder: Path,
    card: Card,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...] = (),
    labels: tuple[str, ...] = (),
    description: str = "",
    batches: bool = False,
    is_tensor: bool = True,
    streams: bool = False,
    takes_zeros: bool = True,
) -> About:
    """`labels`, `description` and `batches` are the model's own, where the card says nothing."""
    card = msgspec.structs.replace(
        card, labels=card.labels or labels, description=card.description or description, inputs=inputs, outputs=outputs
    )
    about = About(
        kind=kind,
        platform=platform,
        inputs=inputs,
        outputs=outputs,
        card=card,
        batches=_batches(card, batches),
        is_tensor=is_tensor,
        streams=streams,
    )
    sample, media = sample_of(card, folder)
    if not sample and is_tensor and takes_zeros:
        sample = _sample_of_zeros(about)
    return msgspec.structs.replace(about, sample=sample, sample_type=media)


def merged(own: tuple[TensorSpec, ...], said: tuple[TensorSpec, ...], what: str) -> tuple[TensorSpec, ...]:
    """The model's specs, with lengths that only the card knows. A card that says otherwise is wrong."""
    if unknown := [spec.name for spec in said if spec.name not in {each.name for each in own}]:
        names = ", ".join(spec.name for spec in own)
        raise ModelFailed(f"the card has the {what} {unknown[0]!r}, and the model has {names}")
    by_name = {spec.name: spec for spec in said}
    return tuple(_narrowed(spec, by_name[spec.name], what) if spec.name in by_name else spec for spec in own)


def sample_of(card: Card, folder: Path) -> tuple[bytes, str]:
    """The body of the card's sample and its media type: a file beside the card, or what stands in it."""
    if card.sample is None:
        return b"", "application/json"
    if isinstance(card.sample, str) and (suffix := Path(card.sample).suffix.lower()) in MEDIA_TYPES:
        path = folder / card.sample
        if ".." in Path(card.sample).parts or Path(card.sample).is_absolute() or not path.is_file():
            raise ModelFailed(
                f"the card's sample is the file {card.sample!r}, which the data does not hold",
                hint="Name it from the top of the data.",
            )
        return path.read_bytes(), MEDIA_TYPES[suffix]
    return msgspec.json.encode(card.sample), "application/json"


def zeros(about: About) -> Tensors:
    """Inputs of the right shapes that hold nothing: any length is 1."""
    made: Tensors = {}
    for spec in about.inputs:
        shape = tuple(1 if length == -1 else length for length in spec.shape)
        made[spec.name] = np.zeros(shape, dtype=numpy_of(spec.datatype))
        if spec.datatype == "BYTES":
            made[spec.name][...] = b""
    return made


def _batches(card: Card, own: bool) -> bool:
    return own if card.batches is None else card.batches


def _narrowed(own: TensorSpec, said: TensorSpec, what: str) -> TensorSpec:
    if own.datatype != said.datatype:
        raise ModelFailed(f"the card says {said.datatype} of the {what} {own.name!r}, and the model {own.datatype}")
    if not said.shape or not own.shape:
        return msgspec.structs.replace(own, shape=said.shape or own.shape)
    fits = len(own.shape) == len(said.shape) and all(
        ours == theirs or -1 in (ours, theirs) for ours, theirs in zip(own.shape, said.shape, strict=True)
    )
    if not fits:
        raise ModelFailed(
            f"the card says the shape {show_shape(said.shape)} of the {what} {own.name!r}, "
            f"and the model {show_shape(own.shape)}",
            hint=show_inputs((own,)),
        )
    shape = tuple(max(ours, theirs) for ours, theirs in zip(own.shape, said.shape, strict=True))
    return msgspec.structs.replace(own, shape=shape)


def _sample_of_zeros(about: About) -> bytes:
    tensors = zeros(about)
    if not tensors or sum(tensor.size for tensor in tensors.values()) > MOST_ZEROS:
        return b""
    listed = {
        name: [""] * tensor.size if tensor.dtype == object and tensor.ndim == 1 else _listed(tensor)
        for name, tensor in tensors.items()
    }
    return msgspec.json.encode({"inputs": listed})


def _listed(tensor: Any) -> Any:
    return (tensor.astype(str) if tensor.dtype == object else tensor).tolist()
