"""The model card: a file beside the model, with what tags of the data say instead."""

from __future__ import annotations

import difflib
import logging
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
import yaml

from raykqi.errors import ModelFailed
from raykqi.serving.predictor import Card, Datatype, ImageCard

__all__ = ["CARD_NAMES", "read_card"]

CARD_NAMES = ("model-card.yaml", "model-card.yml", "model-card.json")
KEYS = Card.__struct_fields__
TAGS = ("title", "description", "model", "predictor", "sample", "labels", "threshold", "allow_nan", "batches")
IMAGE_TAGS = ("input", "mode", "layout", "scale", "invert", "size")
LARGEST = 16 * 1024**2
SIDE = 16_384
T = TypeVar("T", Card, ImageCard)
log = logging.getLogger(__name__)


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML of which `no`, `on` and dates stay texts, since they are labels as often as not."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false|True|False)\Z"), list("tfTF"))


def read_card(model: Path, tags: Iterable[str] = ()) -> Card:
    """A broken file is a `ModelFailed`. A tag that cannot be used is told in the log and not used, since a tag must not
    keep a model from coming back that is served already."""
    file = _file(model)
    card = _checked(_converted(_parsed(file), file.name), file.name) if file else Card()
    for tag in tags:
        try:
            card = _checked(_tagged(card, tag), f"the tag {tag}")
        except (ModelFailed, ValueError) as error:
            log.warning("the tag %s is not used for the card: %s", tag, error)
    return card


def _file(model: Path) -> Path | None:
    found = [path for name in CARD_NAMES if (path := model / name).is_file()]
    if not found:
        found = sorted(path for name in CARD_NAMES for path in model.rglob(name) if path.is_file())
    if len(found) > 1:
        names = ", ".join(path.relative_to(model).as_posix() for path in found)
        raise ModelFailed(f"the data holds {len(found)} model cards: {names}", hint="Keep one.")
    return found[0] if found else None


def _parsed(file: Path) -> dict[str, Any]:
    if file.stat().st_size > LARGEST:
        raise ModelFailed(f"{file.name} is larger than {LARGEST // 1024**2} MiB", hint="Keep the sample in a file.")
    try:
        text = file.read_text(encoding="utf-8")
        value = msgspec.json.decode(text) if file.suffix == ".json" else yaml.load(text, _Loader)
    except UnicodeDecodeError as error:
        raise ModelFailed(f"{file.name} is no text in UTF-8", hint=str(error)) from error
    except (yaml.YAMLError, msgspec.DecodeError, RecursionError) as error:
        raise ModelFailed(f"{file.name} cannot be read: {_problem(error)}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ModelFailed(f"{file.name} is no mapping", hint="Write lines of `key: value`, as in `title: digits`.")
    for key in value:
        if key not in KEYS:
            raise ModelFailed(f"{file.name} has the key {key!r}, which cards do not have", hint=_nearest(str(key)))
    labels = value.get("labels")
    if isinstance(labels, dict) and list(labels) == list(range(len(labels))):  # numbered, as some exporters do
        value["labels"] = list(labels.values())
    if isinstance(value.get("labels"), list):
        value["labels"] = [_label(each, file.name) for each in value["labels"]]
    return {key: each for key, each in value.items() if each is not None}


def _converted(value: dict[str, Any], where: str) -> Card:
    try:
        return msgspec.convert(value, Card)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise ModelFailed(
            f"{where} is not right{' at ' + place.rstrip('`') if place else ''}: {text}",
            hint=f"Datatypes are {', '.join(get_args(Datatype))}." if "datatype" in place else "",
        ) from error


def _checked(card: Card, where: str) -> Card:
    image = card.image
    wrong = ""
    if card.threshold is not None and not 0 <= card.threshold <= 1:
        wrong = f"threshold of {card.threshold} is none: give 0 to 1"
    elif unfit := [name for name, value in card.metrics.items() if not math.isfinite(value)]:
        wrong = f"the metric {unfit[0]} is no number"
    elif image and image.size and not all(1 <= side <= SIDE for side in image.size):
        wrong = f"image.size of {list(image.size)} is not possible: give [width, height] of 1 to {SIDE}"
    elif image and any(value == 0 for value in image.std):
        wrong = "image.std holds 0, by which nothing can be divided"
    elif any(length < -1 for spec in (*card.inputs, *card.outputs) for length in spec.shape):
        wrong = "a shape holds a length below -1, which stands for any"
    if wrong:
        raise ModelFailed(f"{where}: {wrong}")
    return card


def _tagged(card: Card, tag: str) -> Card:
    """`card.title:…`, `card.labels:a,b`, `card.metric.accuracy:0.97`, `card.image.mode:L`; others are not for cards."""
    key, _, value = tag.partition(":")
    area, _, name = key.partition(".")
    if area != "card":
        return card
    if name.startswith("metric."):
        return _with(card, metrics=card.metrics | {name.removeprefix("metric."): float(value)})
    if name.startswith("image."):
        return _with(card, image=_with_image(card.image or ImageCard(), name.removeprefix("image."), value))
    if name not in TAGS:
        raise ModelFailed(f"cards have no {name!r}", hint=f"Tags are {', '.join(f'card.{each}' for each in TAGS)}.")
    if name == "labels":
        return _with(card, labels=tuple(each.strip() for each in value.split(",")))
    if name == "threshold":
        return _with(card, threshold=float(value))
    if name in ("allow_nan", "batches"):
        return _with(card, **{name: _boolean(value)})
    if name == "sample" and value[:1] in ("{", "["):
        return _with(card, sample=msgspec.json.decode(value))
    return _with(card, **{name: value})


def _with_image(image: ImageCard, name: str, value: str) -> ImageCard:
    if name not in IMAGE_TAGS:
        raise ModelFailed(f"images of cards have no {name!r}", hint=f"They have {', '.join(IMAGE_TAGS)}.")
    made: Any = value
    if name == "size":
        width, _, height = value.lower().partition("x")
        made = (int(width), int(height or width))
    elif name == "scale":
        made = float(value)
    elif name == "invert":
        made = _boolean(value)
    return _with(image, **{name: made})


def _with(value: T, **changes: Any) -> T:
    """With the types checked, as from a file."""
    changed = msgspec.structs.replace(value, **changes)
    return msgspec.convert(msgspec.to_builtins(changed), type(value))


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ModelFailed(f"{text!r} is neither true nor false")
    return text == "true"


def _label(value: Any, where: str) -> str:
    if isinstance(value, str | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise ModelFailed(f"{where} has a label that is no text: {value!r}")


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, KEYS, n=1)
    return f"Is {close[0]!r} meant?" if close else f"They have {', '.join(KEYS)}."


def _problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    text = getattr(error, "problem", None) or str(error) or type(error).__name__
    return f"{text}, line {mark.line + 1}" if mark else text
