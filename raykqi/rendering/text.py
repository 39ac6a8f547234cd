"""Text on its way into a picture: cleaned, measured and cut to a width.

Widths are estimates in em for a usual sans-serif font, on the generous side: a picture is drawn
without asking any font, and text that ends early looks better than text that leaves its card.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["clean", "clip", "columns", "em_width"]

# Formatting characters that turn the direction of everything after them.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NARROW = frozenset("iljtfrI.,:;'|!()[]{}` /\\-")
_BROAD = frozenset("mwMW@%—…")
# More than any picture shows of one text; a tag value may hold a MiB.
_MOST_CHARS = 400


def clean(text: str) -> str:
    """One line without what no XML, terminal or graph language can hold: controls, lone surrogates, non-characters."""
    shown = text[:_MOST_CHARS] + "…" if len(text) > _MOST_CHARS else text
    return "".join(map(_harmless, " ".join(shown.split()))).strip()


def em_width(text: str) -> float:
    """About how wide a text stands, in em."""
    return sum(map(_em, text))


def columns(text: str) -> int:
    """How many terminal columns a text takes."""
    return sum(_columns(char) for char in text)


def clip(text: str, width: float) -> str:
    """The cleaned text if it fits into `width` em, else its beginning and an ellipsis."""
    shown = clean(text)
    if em_width(shown) <= width:
        return shown
    room = width - _em("…")
    kept = 0
    for char in shown:
        room -= _em(char)
        if room < 0:
            break
        kept += 1
    return shown[:kept].rstrip(" \u200d\ufe0f") + "…"


@lru_cache(maxsize=8192)
def _harmless(char: str) -> str:
    if char in _TURNING or unicodedata.category(char) == "Cc":
        return ""
    broken = unicodedata.category(char) == "Cs" or ord(char) & 0xFFFE == 0xFFFE
    return "\ufffd" if broken else char


@lru_cache(maxsize=8192)
def _columns(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


@lru_cache(maxsize=8192)
def _em(char: str) -> float:
    if not _columns(char):
        return 0.0
    if ord(char) >= 0x1F000:
        return 1.35
    if _columns(char) == 2:
        return 1.0
    if char in _NARROW:
        return 0.33
    if char in _BROAD:
        return 0.95
    return 0.68 if char.isupper() else 0.57
