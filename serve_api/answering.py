"""From a value to the bytes of an answer: JSON, the fields that were asked for, ETag, gzip."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from starlette.types import Send

from raykqi.errors import InvalidQuery
from serve_api.problems import MEDIA_TYPE, ProblemDetails

__all__ = [
    "CHOSEN",
    "JSON",
    "Encoded",
    "Remembered",
    "encode",
    "fields_of",
    "matches",
    "select",
    "send_bytes",
    "send_problem",
]

JSON = "application/json"
CHOSEN = "application/vnd.raykqi.fields+json"  # some fields of what is there without that are no whole values
SMALL = 1024  # bytes that are not worth packing
LARGE = 128 * 1024  # bytes that take so long to pack that others would wait
LEVEL = 4
MOST_REMEMBERED = 32 * 1024 * 1024  # bytes
_encoder = msgspec.json.Encoder()


class Encoded(NamedTuple):
    body: bytes
    etag: str = ""
    media_type: str = JSON


class Remembered:
    """Answers that are the same until something is committed. For one thread: the loop's."""

    def __init__(self) -> None:
        self._seq = -1
        self._bytes = 0
        self._answers: dict[object, Encoded] = {}

    def get(self, key: object, seq: int) -> Encoded | None:
        return self._answers.get(key) if seq == self._seq else None

    def put(self, key: object, seq: int, answer: Encoded) -> None:
        if seq < self._seq:
            return
        if seq > self._seq or self._bytes > MOST_REMEMBERED:
            self._answers.clear()
            self._seq, self._bytes = seq, 0
        self._answers[key] = answer
        self._bytes += len(answer.body)


def encode(value: object) -> bytes:
    return _encoder.encode(value)


@cache
def fields_of(answer: Any) -> tuple[str, ...]:
    """The fields one may choose of: those of the items of a page or list, else those of the value."""
    if get_origin(answer) in (list, tuple):
        return fields_of(get_args(answer)[0])
    if not (isinstance(answer, type) and issubclass(answer, msgspec.Struct)):
        return ()
    hints = get_type_hints(answer)
    return fields_of(hints["items"]) if "items" in hints else tuple(hints)


def select(value: object, wanted: str, answer: Any) -> object:
    """The value with `wanted`, names with commas between them, of its fields alone."""
    known = fields_of(answer)
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if not names:
        raise InvalidQuery(f"{wanted!r} names no fields", hint=f"Choose from {', '.join(known)}.")
    for name in names:
        if name not in known:
            raise InvalidQuery(f"there is no field {name!r}", hint=f"Choose from {', '.join(known)}.")
    if isinstance(value, msgspec.Struct) and hasattr(value, "items"):
        rest = {name: getattr(value, name) for name in value.__struct_fields__ if name != "items"}
        return {"items": _chosen(value.items, names)} | rest
    if isinstance(value, list | tuple):
        return _chosen(value, names)
    return _chosen([value], names)[0]


def _chosen(items: Iterable[object], names: list[str]) -> list[dict[str, object]]:
    return [{name: getattr(item, name) for name in names} for item in items]


def matches(condition: str, etag: str) -> bool:
    """Whether `If-None-Match` or `If-Match` names this ETag; a weak one counts as well."""
    return condition.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in condition.split(",")]


async def send_bytes(
    send: Send, status: int, body: bytes, media_type: str, headers: dict[str, str], *, accepts: str = ""
) -> None:
    fields = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    if body or status not in (204, 304):
        fields.append((b"content-type", media_type.encode()))
    if len(body) > SMALL:
        fields.append((b"vary", b"accept-encoding"))
        if "gzip" in accepts:
            body = await asyncio.to_thread(_packed, body) if len(body) > LARGE else _packed(body)
            fields.append((b"content-encoding", b"gzip"))
    if status not in (204, 304):
        fields.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)


async def send_problem(send: Send, problem: ProblemDetails, headers: dict[str, str] | None = None) -> None:
    fields = dict(headers or {})
    if problem.status == 401:
        fields["WWW-Authenticate"] = 'Bearer realm="raykqi"'
    if problem.status in (429, 503):
        fields.setdefault("Retry-After", "1")
    await send_bytes(send, problem.status, encode(problem), MEDIA_TYPE, fields)
