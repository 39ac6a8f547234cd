"""What headers say of bytes: ranges that are asked for, conditions, names of files in any script."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["Span", "describe_file", "disposition", "is_same", "media_type_of", "span_of"]

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*\Z")
_TYPES = mimetypes.MimeTypes()  # what is built in, whatever this machine has beside


class Span(NamedTuple):
    """Half open. One that is not `satisfiable` lies behind the end."""

    start: int
    end: int
    is_satisfiable: bool = True


def span_of(headers: Mapping[str, str], size: int, etag: str) -> Span | None:
    """The one range that is asked for; None for the whole, which is also the answer to several ranges."""
    found = _RANGE.match(headers.get("range", ""))
    if found is None or not (found[1] or found[2]):
        return None
    condition = headers.get("if-range", "").strip()
    if condition and condition != etag:  # a date or a weak tag never says that the bytes are the same
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        return Span(size - length, size, length > 0)
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None
    return Span(start, end, start < size)


def is_same(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the asker has these bytes already."""
    text = headers.get("if-none-match", "")
    return text.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in text.split(",")]


def describe_file(path: str, digest: str) -> dict[str, str]:
    """Headers of a file's bytes; whatever they are, a browser keeps them and runs nothing of them."""
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(path.rpartition("/")[2]),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Type": media_type_of(path),
        "ETag": f'"{digest}"',
    }


def media_type_of(path: str) -> str:
    """By its name alone. Text is said to be UTF-8, which most of it is."""
    kind, packed = _TYPES.guess_type(path.rpartition("/")[2].lower())
    if packed or kind is None:
        return {"gzip": "application/gzip"}.get(packed or "", "application/octet-stream")
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def disposition(name: str) -> str:
    """To be kept as a file of this name, also by programs that know ASCII alone."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
