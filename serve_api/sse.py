"""Server-sent events: messages as text, and the answer that sends them one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

__all__ = ["MEDIA_TYPE", "EventStream", "Message"]

MEDIA_TYPE = "text/event-stream"
ALIVE = b":\n\n"
_encoder = msgspec.json.Encoder()


class Message(bytes):
    """As it goes over the line."""

    @classmethod
    def of(cls, event: str, value: object, *, id: int | str = "") -> Message:  # noqa: A002
        """`value` as JSON, which has no line breaks. `id` is where a listener that comes back goes on."""
        return cls.plain(event, _encoder.encode(value), id=id)

    @classmethod
    def plain(cls, event: str, data: bytes, *, id: int | str = "") -> Message:  # noqa: A002
        """`data` is one line."""
        head = f"id: {id}\n" if id != "" else ""
        return cls(f"{head}event: {event}\ndata: ".encode() + data + b"\n\n")


class EventStream(StreamingResponse):
    """Messages as they come; None is a sign of life, by which it is found out that nobody listens any more."""

    media_type = MEDIA_TYPE

    def __init__(self, messages: AsyncIterator[bytes | None], *, counted: Callable[[int], None]) -> None:
        self._counted = counted
        super().__init__(
            (ALIVE if message is None else message async for message in messages),
            media_type=MEDIA_TYPE,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._counted(1)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._counted(-1)
