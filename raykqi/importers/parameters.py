"""The parameters of a plan's function: which are inputs and outputs, and what params the others are."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any, Literal, Union, get_args, get_origin

from raykqi.importers.places import Places, nearest, quote

__all__ = ["read_parameters"]

SCALARS: dict[object, str] = {str: "str", int: "int", float: "float", bool: "bool"}
UNREADABLE = object()


def read_parameters(
    function: Callable[..., object], inputs: Iterable[str], outputs: Iterable[str], places: Places
) -> dict[str, dict[str, Any]]:
    """The params, each as a description has it. Inputs and outputs must be parameters, as paths."""
    parameters = inspect.signature(function).parameters
    mounts = {**dict.fromkeys(inputs, "inputs"), **dict.fromkeys(outputs, "outputs")}
    for name, kind in mounts.items():
        if name not in parameters:
            hint = f"Add the parameter `{name}: Path`. {nearest(name, parameters)}"
            places.refuse((kind, name), "the function has no such parameter", hint=hint)
    params = {}
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            places.refuse((), f"the parameter {quote(str(parameter))} cannot be given by name", hint="Name each one.")
        type_ = _annotation(function, parameter)
        if name in mounts:
            _check_path(type_, name, mounts[name], places)
        else:
            params[name] = _param(type_, parameter, places)
    return params


def _annotation(function: Callable[..., object], parameter: inspect.Parameter) -> object:
    """The type itself; of one that is written as text and means nothing yet, the text."""
    written = parameter.annotation
    if not isinstance(written, str):
        return written
    try:
        return eval(written, getattr(function, "__globals__", {}))
    except Exception:
        return written


def _check_path(type_: object, name: str, kind: str, places: Places) -> None:
    if type_ in (inspect.Parameter.empty, Any, object) or _is_path(type_):
        return
    if isinstance(type_, str) and type_.rpartition(".")[2] in ("Path", "PurePath", "PosixPath"):
        return
    hint = f"Annotate it as pathlib.Path: `{name}: Path`."
    places.refuse((kind, name), f"it is a path, and the function wants {_shown(type_)}", hint=hint)


def _is_path(type_: object) -> bool:
    if get_origin(type_) in (Union, types.UnionType):
        return any(_is_path(one) for one in get_args(type_))
    return isinstance(type_, type) and (issubclass(type_, PurePath) or type_.__name__ == "PathLike")


def _param(type_: object, parameter: inspect.Parameter, places: Places) -> dict[str, Any]:
    name, default = parameter.name, parameter.default
    has_default = default is not inspect.Parameter.empty
    told: dict[str, Any] = {"default": default} if has_default else {"required": True}
    if type_ is inspect.Parameter.empty and has_default:
        type_ = type(default)
    if get_origin(type_) is Literal:
        choices = list(get_args(type_))
        kinds = {type(choice) for choice in choices}
        if len(kinds) != 1 or not kinds <= SCALARS.keys():
            hint = "Let all be str, int, float or bool."
            places.refuse(("params", name), f"{_shown(type_)} mixes types", hint=hint)
        return {"type": SCALARS[kinds.pop()], "choices": choices, **told}
    if _is_path(type_):
        hint = "Add it to `inputs` or `outputs`."
        places.refuse(("params", name), "a path is neither input nor output", hint=hint)
    if type_ not in SCALARS.keys() - {None} or default is None:
        what = f"{_shown(type_)} is no type of a param" if type_ is not parameter.empty else "its type is not known"
        if default is None and type_ in SCALARS:
            what = "None is no value of a param"
        hint = "Annotate it as str, int, float, bool or Literal[…], or add it to `inputs` or `outputs`."
        places.refuse(("params", name), what, hint=hint)
    return {"type": SCALARS[type_], **told}


def _shown(type_: object) -> str:
    return type_ if isinstance(type_, str) else getattr(type_, "__name__", None) or str(type_)
