"""Python files of a user, imported from the folder they lie in, with what lies beside them.

A process holds one model, so that a folder stays importable and module names need not be told apart.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from raykqi.errors import ModelFailed

LIBRARIES = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))

__all__ = ["attempt", "import_file", "most_arguments", "reason_of"]


def import_file(file: Path) -> ModuleType:
    """Once: the same file again is the same module. A name that is taken, as `json`, is not taken away."""
    held = sys.modules.get(file.stem)
    if held is not None and getattr(held, "__file__", None) == str(file):
        return held
    name = file.stem if held is None else f"{file.stem} of the model"
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ModelFailed(f"{file.name} cannot be imported", hint="Give a file of Python.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        attempt(f"{file.name} cannot be imported", lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    except ModelFailed:
        del sys.modules[name]
        raise
    return module


def attempt(what: str, call: Callable[[], Any]) -> Any:
    """What the user's code gives; whatever it raises is a `ModelFailed` with its reason and place.

    But for a lack of memory, which is told by those who know how much there is.
    """
    try:
        return call()
    except (ModelFailed, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise ModelFailed(f"{what}: {reason_of(error)}", hint=_place(error)) from error


def most_arguments(call: Callable[..., Any], offered: int) -> int:
    """How many of the offered positional arguments it takes."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return offered
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return offered
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(offered, sum(each.kind in positional for each in parameters))


def reason_of(error: BaseException) -> str:
    """`ValueError: text`, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:
        return f"See {Path(error.filename).name}, line {error.lineno}."
    last = next((each for each in reversed(frames) if _is_of_a_user(each.filename)), None)
    return f"See {Path(last.filename).name}, line {last.lineno}." if last else ""


def _is_of_a_user(file: str) -> bool:
    """Neither of Python, nor of a library, nor of this one."""
    return not file.startswith(("<", *LIBRARIES)) and "site-packages" not in file
