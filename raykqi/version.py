"""Which raykqi this is, for rooms that may not know the whole of it."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = "0.1.0"
