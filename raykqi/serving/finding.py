"""Which model a folder holds: the one file that a loader knows, the one that its card names, or a user's class."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed
from raykqi.serving.predictor import Card

__all__ = ["Found", "ModelFormat", "find"]

ModelFormat = Literal["onnx", "skops", "torch", "pickle", "class"]
FORMATS: dict[str, ModelFormat] = {
    ".onnx": "onnx",
    ".skops": "skops",
    ".pt": "torch",
    ".pt2": "torch",
    ".torchscript": "torch",
    ".pkl": "pickle",
    ".joblib": "pickle",
    ".pickle": "pickle",
}
PREDICTOR, CLASS = "predictor.py", "Predictor"
KNOWN = "*.onnx, *.skops, *.pt, *.pt2, *.torchscript or predictor.py with a class Predictor"
_NAMED = re.compile(r"(?P<file>[^:]+\.py)(:(?P<name>[A-Za-z_]\w*))?\Z")


class Found(msgspec.Struct, frozen=True):
    """`file` is the model, or the source of the class `name`."""

    format: ModelFormat
    file: Path
    name: str = ""


def find(model: Path, code: Path | None, loading: Loading, card: Card) -> Found:
    """What `loading` names is taken before what the card names, and that before what lies in the folder."""
    if loading.predictor or card.predictor:
        return _class(loading.predictor or card.predictor, model, code)
    if card.model:
        return _chosen(card.model, model, loading)
    found = [each for path in _files(model) if (each := _known(path, model))]
    several = [each for each in found if each.format != "class"] if len(found) > 1 else found
    own = next((each for each in found if each.format == "class"), None)
    if own:
        return own  # a class beside a model is the way to that model
    if len(several) > 1:
        raise ModelFailed(
            f"the data holds {len(several)} models: {_listed(each.file.relative_to(model) for each in several)}",
            hint="Keep one, or name it with `model:` in model-card.yaml or by the tag card.model:FILE.",
        )
    if not several:
        raise ModelFailed(_nothing(model), hint=f"A model is {KNOWN}; --predictor FILE.py:Class names a class.")
    return _allowed(several[0], model, loading)


def _class(text: str, model: Path, code: Path | None) -> Found:
    named = _NAMED.match(text)
    if not named:
        raise ModelFailed(f"{text!r} names no predictor", hint="Write it as file.py:Class.")
    for folder in (model, code):
        if folder and (file := _within(folder, named["file"])):
            return Found("class", file, named["name"] or CLASS)
    where = "or in the code of its plan" if code else "and the plan that made it has no code"
    raise ModelFailed(
        f"there is no {named['file']} in the model's data {where}",
        hint=f"The data holds {_listed(path.relative_to(model) for path in _files(model)) or 'nothing'}.",
    )


def _chosen(name: str, model: Path, loading: Loading) -> Found:
    file = _within(model, name)
    if not file:
        raise ModelFailed(
            f"the card names the model {name!r}, which the data does not hold",
            hint=f"It holds {_listed(path.relative_to(model) for path in _files(model)) or 'nothing'}.",
        )
    found = _known(file, model) or (Found("class", file, CLASS) if file.suffix == ".py" else None)
    if not found:
        raise ModelFailed(f"{name!r}, which the card names, is of no known kind", hint=f"A model is {KNOWN}.")
    return found if found.format == "class" else _allowed(found, model, loading)


def _known(path: Path, model: Path) -> Found | None:
    if path == model / PREDICTOR:
        return Found("class", path, CLASS)
    kind = FORMATS.get(path.suffix.lower())
    return Found(kind, path) if kind else None


def _allowed(found: Found, model: Path, loading: Loading) -> Found:
    if found.format == "pickle" and not loading.trust_pickle:
        raise ModelFailed(
            f"{found.file.relative_to(model)} is a pickle, and loading one runs whatever code is in it",
            hint="Save the model with skops.io.dump, or say --trust-pickle when you know who wrote it.",
        )
    return found


def _within(folder: Path, name: str) -> Path | None:
    """The file of that name, when it does not lie outside of the folder."""
    path = folder / name
    return path if path.is_file() and ".." not in Path(name).parts and not Path(name).is_absolute() else None


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _nothing(model: Path) -> str:
    held = _listed(path.relative_to(model) for path in _files(model))
    return f"the data holds no model, but {held}" if held else "the data holds no model: it is empty"


def _listed(paths: Iterable[Path]) -> str:
    names = [path.as_posix() for path in paths]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
