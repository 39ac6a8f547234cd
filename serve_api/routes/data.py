"""Data: find, look at, tag, give up. Their bytes are elsewhere."""

from __future__ import annotations

from raykqi.domain.data import Data
from serve_api.asking import Asked
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

routes = Routes("data", prefix=PROJECT)


@routes.get("/data/{data}", needs="viewer", tagged=True, remembered=True)
def show_data(asked: Asked, data: str) -> Data:
    """Everything known about one data, also when it was purged or removed"""
    return asked.workspace.show(data)
