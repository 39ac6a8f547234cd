"""What passes between a replica and the process of its model: frames of a head, a short meta and a body.

Bodies of any length are received once, straight to where they stay; small ones come many at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

__all__ = ["ABOUT", "ANSWER", "ASK", "CANCEL", "CHUNK", "END", "FAILED", "KINDS", "RAN", "START", "TAKEN", "WINDOW"]
__all__ += ["Answered", "Asked", "Body", "Frame", "Inbox", "Kind", "asking", "frame", "read_asking", "read_headers"]

Kind = Literal["infer", "predict", "label", "test", "stream"]
KINDS: tuple[Kind, ...] = ("infer", "predict", "label", "test", "stream")
Body = bytes | bytearray | memoryview

# To the process: how to start, a request, that nobody waits for it any more, that so much of a stream was taken.
START, ASK, CANCEL, TAKEN = 1, 2, 3, 4
# From it: the model is loaded, or why not; an answer; a piece of a streamed answer and its end; that a batch was run.
ABOUT, FAILED, ANSWER, CHUNK, END, RAN = 11, 12, 13, 14, 15, 16

WINDOW = 1 << 20  # bytes of a stream that may be under way before some were taken
HEAD = struct.Struct("<BxHIIQ")  # what, number (kind, status), id of the request, lengths of meta and body
ROOM = 1 << 18
LARGE = 1 << 16


class Asked(NamedTuple):
    """`headers` are in small letters; of them the process reads those that say what the body is."""

    kind: Kind
    headers: Mapping[str, str]
    body: Body = b""


class Answered(NamedTuple):
    """A status of HTTP, headers in small letters, and the body."""

    status: int
    headers: dict[str, str]
    body: Body


class Frame(NamedTuple):
    what: int
    number: int
    id: int
    meta: bytes
    body: Body


# Of what a request came with, what is of use to the process.
TOLD = ("content-type", "inference-header-content-length", "content-encoding", "accept-encoding", "accept")

_encode = msgspec.msgpack.Encoder().encode
_asking = msgspec.msgpack.Decoder(tuple[float, dict[str, str]])
_headers = msgspec.msgpack.Decoder(dict[str, str])


def frame(what: int, number: int = 0, id_: int = 0, meta: bytes = b"", body: Body = b"") -> list[Body]:
    """The pieces to be written one after another."""
    head = HEAD.pack(what, number, id_, len(meta), len(body)) + meta
    return [head, body] if body else [head]


def asking(asked: Asked, deadline: float) -> bytes:
    """The meta of a request; `deadline` is on the monotonic clock."""
    return _encode((deadline, {name: asked.headers[name] for name in TOLD if name in asked.headers}))


def read_asking(meta: bytes) -> tuple[float, dict[str, str]]:
    return _asking.decode(meta)


def read_headers(meta: bytes) -> dict[str, str]:
    return _headers.decode(meta)


class Inbox:
    """Bytes are received into `room()`; `filled` tells how many, and gives the frames that are whole."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(ROOM))
        self._start = 0
        self._end = 0
        self._large: Frame | None = None
        self._large_room = memoryview(b"")

    def room(self) -> memoryview:
        return self._large_room if self._large else self._buffer[self._end :]

    def filled(self, count: int) -> list[Frame]:
        if self._large:
            self._large_room = self._large_room[count:]
            if len(self._large_room):
                return []
            whole, self._large = self._large, None
            return [whole]
        self._end += count
        frames: list[Frame] = []
        while each := self._next():
            frames.append(each)
        self._make_room()
        return frames

    def _next(self) -> Frame | None:
        start, buffer = self._start, self._buffer
        if self._end - start < HEAD.size:
            return None
        what, number, id_, meta_length, body_length = HEAD.unpack_from(buffer, start)
        body = start + HEAD.size + meta_length
        if self._end < body:
            return None
        meta = bytes(buffer[start + HEAD.size : body])
        if self._end >= body + body_length:
            self._start = body + body_length
            return Frame(what, number, id_, meta, bytes(buffer[body : self._start]))
        if body_length > LARGE:
            there = self._end - body
            whole = bytearray(body_length)
            whole[:there] = buffer[body : self._end]
            self._start = self._end
            self._large = Frame(what, number, id_, meta, whole)
            self._large_room = memoryview(whole)[there:]
        return None

    def _make_room(self) -> None:
        """What is left of a frame goes to the front; by the limits on meta and small bodies it always fits."""
        left = self._end - self._start
        if left and self._start:
            self._buffer[:left] = bytes(self._buffer[self._start : self._end])
        self._start, self._end = 0, left
