"""A run's log while it is written: event by event, taken up again at the byte where a connection broke."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

from raykqi.client.sse import follow
from raykqi.client.transport import Params, Transport

__all__ = ["follow_log"]


def follow_log(transport: Transport, path: str, params: Params) -> Iterator[bytes]:
    """Each event holds bytes in Base64, and as its id how many came up to it."""
    for sent in follow(transport, path, params):
        if sent.event == "end":
            return
        if sent.event in ("log", "message"):
            yield b64decode(sent.data)
