"""A run's log from the server, as it is or while it is written; taken up again at the byte where a connection broke."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from itertools import chain

from raykqi.client.reading import read_on
from raykqi.client.sse import Sent, follow
from raykqi.client.transport import Params, Transport

__all__ = ["follow_log", "read_log"]


def read_log(transport: Transport, path: str, params: Params) -> Iterator[bytes]:
    """What is wrong with the question shows at once."""
    pieces = read_on(transport, path, params, place="offset", headers={"Accept": "text/plain"})
    return chain([next(pieces, b"")], pieces)


def follow_log(transport: Transport, path: str, params: Params) -> Iterator[bytes]:
    """The same, until the attempt has ended."""
    events = follow(transport, path, params)
    first = next(events, None)
    return _pieces(chain([first] if first else [], events))


def _pieces(events: Iterator[Sent]) -> Iterator[bytes]:
    """Each event holds bytes in Base64."""
    for sent in events:
        if sent.event == "end":
            return
        if sent.event == "log":
            yield b64decode(sent.data)
