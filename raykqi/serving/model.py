"""A loaded model as answers speak of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from raykqi.serving.predictor import About, Hooks

__all__ = ["Model"]


class Model(NamedTuple):
    """`name` is that of the endpoint, `revision` and `data` say which of its models this is."""

    about: About
    hooks: Hooks
    name: str
    revision: int
    data: str

    @property
    def told(self) -> dict[str, Any]:
        return {"name": self.name, "revision": self.revision, "data": self.data}
