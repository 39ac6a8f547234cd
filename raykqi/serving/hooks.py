"""`hook.py` of a user, beside the model or in the code of its plan: what is done before and after the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from raykqi.errors import ModelFailed
from raykqi.serving.predictor import Hooks
from raykqi.serving.user_code import import_file

__all__ = ["HOOK", "load_hooks"]

HOOK = "hook.py"


def load_hooks(folders: tuple[Path | None, ...]) -> Hooks:
    """Of the first of the folders that has any."""
    file = next((path for folder in folders if folder and (path := folder / HOOK).is_file()), None)
    if file is None:
        return Hooks()
    module = import_file(file)
    hooks = Hooks(_function(module, "preprocess"), _function(module, "postprocess"))
    if hooks.preprocess is None and hooks.postprocess is None:
        raise ModelFailed(
            f"{HOOK} has neither preprocess(request) nor postprocess(outputs, request)",
            hint="Define one of them, or remove the file.",
        )
    return hooks


def _function(module: Any, name: str) -> Callable[..., Any] | None:
    found = getattr(module, name, None)
    if found is not None and not callable(found):
        raise ModelFailed(f"{name} in {HOOK} is no function")
    return found
