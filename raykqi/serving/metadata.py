"""What is told of a server and its models to whoever wants to ask them; light, as nothing of a model is needed."""

from __future__ import annotations

from typing import Any

import msgspec

from raykqi.serving.predictor import About, TensorSpec
from raykqi.version import VERSION

__all__ = ["about_json", "model_metadata", "server_metadata"]

SHOWN = 64 * 1024  # bytes of a sample


def server_metadata() -> dict[str, Any]:
    """As the Open Inference Protocol has it."""
    return {"name": "raykqi", "version": VERSION, "extensions": ["binary_tensor_data", "classification"]}


def model_metadata(about: About, name: str, versions: list[str]) -> dict[str, Any]:
    """As the protocol has it; a shape that may be any is left open."""
    return {
        "name": name,
        "versions": versions,
        "platform": about.platform,
        "inputs": [_shown(each) | {"shape": list(each.shape) or [-1]} for each in about.inputs],
        "outputs": [_shown(each) | {"shape": list(each.shape) or [-1]} for each in about.outputs],
    }


def about_json(about: About) -> dict[str, Any]:
    """In our own words, with the card. A sample that is no JSON, or a large one, is only counted."""
    card = about.card
    shown: dict[str, Any] = {
        "kind": about.kind,
        "platform": about.platform,
        "title": card.title,
        "description": card.description,
        "inputs": [_shown(spec) for spec in about.inputs],
        "outputs": [_shown(spec) for spec in about.outputs],
        "labels": list(card.labels),
        "metrics": card.metrics,
        "threshold": card.threshold,
        "image": msgspec.to_builtins(card.image) if card.image else None,
        "batches": about.batches,
        "streams": about.streams,
    }
    if about.sample:
        is_json = about.sample_type == "application/json" and len(about.sample) <= SHOWN
        shown["sample"] = msgspec.Raw(about.sample) if is_json else f"{about.sample_type}, {len(about.sample)} bytes"
    return {key: value for key, value in shown.items() if value not in ("", None, [], {})}


def _shown(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
