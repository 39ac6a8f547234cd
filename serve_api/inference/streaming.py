"""An answer in pieces, until it ends or nobody listens any more."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Send

from serve_api.inference.answers import Headers
from serve_api.inference.seams import Streamed

__all__ = ["send_stream"]


async def send_stream(streamed: Streamed, headers: Headers, receive: Receive, send: Send) -> None:
    """Whoever goes away ends the model's work on it."""
    own = [*headers, (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    sending = asyncio.ensure_future(_send(streamed, own, send))
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.wait((sending, leaving))
        streamed.close()


async def _send(streamed: Streamed, headers: Headers, send: Send) -> None:
    await send({"type": "http.response.start", "status": streamed.status, "headers": headers})
    async for piece in streamed:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
