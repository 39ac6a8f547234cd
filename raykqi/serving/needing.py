"""Libraries that only some models need: imported when one does."""

from __future__ import annotations

import importlib
from typing import Any

from raykqi.errors import ModelFailed

__all__ = ["need"]

PACKAGES = {"onnxruntime": "raykqi[serving]", "skops.io": "raykqi[serving]", "PIL.Image": "raykqi[serving]"}


def need(module: str, why: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        if error.name not in (module, library):
            raise ModelFailed(f"{library} is needed {why}, and cannot be imported: {error}") from error
        package = PACKAGES.get(module, library)
        raise ModelFailed(
            f"{library} is needed {why}, and is not installed",
            hint=f"Install it where endpoints run: pip install '{package}'.",
        ) from error
