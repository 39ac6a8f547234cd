"""One line of a directory listing."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Entry", "Kind"]

Kind = Literal["file", "dir", "link"]


class Entry(NamedTuple):
    path: str
    kind: Kind
    mode: int
    size: int
    hash: str
    object: str = ""
    offset: int = 0
