"""Pieces that threads make, as the body of an answer: one is made while another is on its way.

An answer that cannot be finished breaks off, so that nobody takes what came for the whole; so does one
whose client takes nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from serve_api.bytes.traffic import Traffic

__all__ = ["PiecesResponse"]


class PiecesResponse(StreamingResponse):
    """Its generator is closed in any case, by a thread. `first` is a piece that was made already."""

    def __init__(
        self,
        first: bytes,
        pieces: Generator[bytes, None, None],
        *,
        threads: Executor,
        traffic: Traffic,
        patience: float,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._first = first
        self._pieces = pieces
        self._threads = threads
        self._traffic = traffic
        self._patience = patience
        super().__init__(self._made(), status, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            self._pieces.close()
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        with ExitStack() as counted:
            counted.enter_context(self._traffic.download())
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        async def timely(message: Message) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)
            self._traffic.add("download_bytes", len(message.get("body", b"")))

        await super().stream_response(timely)

    async def _made(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        making = loop.run_in_executor(self._threads, next, self._pieces, None)
        try:
            if self._first:
                yield self._first
                self._first = b""
            while (piece := await making) is not None:
                making = loop.run_in_executor(self._threads, next, self._pieces, None)
                yield piece
        finally:
            if not making.done():
                await asyncio.wait([making])
            if not making.cancelled():
                making.exception()
            await loop.run_in_executor(self._threads, self._pieces.close)
