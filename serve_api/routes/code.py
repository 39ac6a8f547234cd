"""The code of plans: is it there already, so that a client need not send it?"""

from __future__ import annotations

import msgspec

from serve_api.asking import Asked
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

routes = Routes("plans", prefix=PROJECT)


class KnownCode(msgspec.Struct, frozen=True):
    """`data` is that which holds it, or "" when none does."""

    data: str


@routes.get("/code/{tree}", needs="member", shows=KnownCode("01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"))
def find_code(asked: Asked, tree: str) -> KnownCode:
    """The data that holds exactly this code of a plan, by the hash of its tree"""
    return KnownCode(asked.workspace.code_with(tree))
