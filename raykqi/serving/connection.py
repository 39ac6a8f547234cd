"""The replica's side of the connection with a process of a model: many requests at a time, written once a turn.

Nothing here blocks or starts a thread; all of it runs in the event loop of the replica.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import cast

from raykqi.errors import ModelError, ModelGone
from raykqi.serving.frames import (
    ANSWER,
    ASK,
    CANCEL,
    CHUNK,
    END,
    KINDS,
    RAN,
    TAKEN,
    Answered,
    Asked,
    Body,
    Frame,
    Inbox,
    asking,
    frame,
    read_headers,
)
from raykqi.serving.problems import problem

__all__ = ["Connection", "Streamed"]

JOINED = 1 << 16  # pieces up to here are joined before they are written


class Streamed:
    """An answer in pieces: `status` and `headers` are there when it is, and iterating gives the body."""

    def __init__(self, connection: Connection, id_: int, first: Answered) -> None:
        self.status = first.status
        self.headers = first.headers
        self._connection = connection
        self._id = id_
        self._pieces: deque[Body] = deque([first.body] if first.body else ())
        self._error: BaseException | None = None
        self._is_over = False
        self._wake = asyncio.Event()

    def put(self, piece: Body) -> None:
        self._pieces.append(piece)
        self._wake.set()

    def finish(self, error: BaseException | None = None) -> None:
        self._is_over, self._error = True, error
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                while self._pieces:
                    piece = self._pieces.popleft()
                    self._connection.taken(self._id, len(piece))
                    yield bytes(piece)
                if self._is_over:
                    break
                self._wake.clear()
                await self._wake.wait()
        finally:
            self.close()
        if self._error:
            raise self._error

    def close(self) -> None:
        """Nobody reads on; the model stops making more."""
        if not self._is_over:
            self._is_over = True
            self._connection.forget(self._id)


class Connection(asyncio.BufferedProtocol):
    """`heard` gets what is no answer; `lost` is called once, when the other side went away."""

    def __init__(self, heard: Callable[[Frame], None], lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._lost = lost
        self._inbox = Inbox()
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._streams: dict[int, Streamed] = {}
        self._opened: dict[int, Streamed] = {}  # answers in pieces that whoever asked has not seen yet
        self._last_id = 0
        self._out: list[Body] = []
        self._gone: ModelGone | None = None
        self._transport: asyncio.Transport | None = None
        self._idle = asyncio.Event()
        self.heard_at = time.monotonic()
        self.batches = 0  # that the model ran

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._streams)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - as asyncio calls it
        return self._inbox.room()

    def buffer_updated(self, nbytes: int) -> None:
        self.heard_at = time.monotonic()
        for each in self._inbox.filled(nbytes):
            if each.what == ANSWER:
                self._answer(each)
            elif each.what in (CHUNK, END):
                self._piece(each)
            elif each.what == RAN:
                self.batches += 1
            else:
                self._heard(each)
        self._idle.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        self._lost()

    def send(self, pieces: list[Body]) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += pieces

    def ask(self, asked: Asked, within: float) -> asyncio.Future[Answered]:
        """Cancelling the future tells the process; when the time is over the answer is a 504."""
        if self._gone:
            raise self._gone
        if not self.waiting:
            self.heard_at = time.monotonic()
        self._last_id = id_ = (self._last_id + 1) & 0xFFFFFFFF
        deadline = time.monotonic() + within
        self.send(frame(ASK, KINDS.index(asked.kind), id_, asking(asked, deadline), asked.body))
        future: asyncio.Future[Answered] = self._loop.create_future()
        self._waiting[id_] = future
        timer = self._loop.call_later(within, self._late, id_, within)

        def over(done: asyncio.Future[Answered]) -> None:
            timer.cancel()
            if done.cancelled():
                self.forget(id_)

        future.add_done_callback(over)
        return future

    async def stream(self, asked: Asked, within: float) -> Streamed:
        """Comes back with the first piece, or with an answer that is none in pieces."""
        future = self.ask(asked, within)
        id_ = self._last_id
        try:
            first = await future
        except BaseException:
            if id_ in self._opened:
                self._opened.pop(id_).close()
            raise
        if id_ in self._opened:
            return self._opened.pop(id_)
        streamed = Streamed(self, id_, first)
        streamed.finish()
        return streamed

    def taken(self, id_: int, count: int) -> None:
        if id_ in self._streams and not self._gone:
            self.send(frame(TAKEN, 0, id_, count.to_bytes(8, "little")))

    def forget(self, id_: int) -> None:
        known = self._waiting.pop(id_, None) is not None
        known = self._streams.pop(id_, None) is not None or known
        if known and not self._gone:
            self.send(frame(CANCEL, 0, id_))
        self._idle.set()

    def fail(self, error: ModelGone) -> None:
        """All that wait get this, and so does who asks from now on."""
        self._gone = error
        waiting, self._waiting = self._waiting, {}
        streams, self._streams = self._streams, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ModelGone(error.message, hint=error.hint))
        for streamed in streams.values():
            streamed.finish(ModelGone(error.message, hint=error.hint))
        self._idle.set()

    async def idle(self) -> None:
        """Waits until nothing is waited for."""
        while self.waiting:
            self._idle.clear()
            await self._idle.wait()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _answer(self, each: Frame) -> None:
        future = self._waiting.pop(each.id, None)
        if future is not None and not future.done():
            future.set_result(Answered(each.number, read_headers(each.meta), each.body))

    def _piece(self, each: Frame) -> None:
        future = self._waiting.pop(each.id, None)
        if future is not None:  # the first piece tells of status and headers
            first = Answered(each.number, read_headers(each.meta), each.body)
            streamed = self._streams[each.id] = self._opened[each.id] = Streamed(self, each.id, first)
            if not future.done():
                future.set_result(first)
            if each.what == END:
                self._streams.pop(each.id)
                streamed.finish()
            return
        streamed_before = self._streams.get(each.id)
        if streamed_before is None:
            return
        if each.what == CHUNK:
            streamed_before.put(each.body)
            return
        del self._streams[each.id]
        streamed_before.finish(ModelError(bytes(each.body).decode()) if each.number >= 400 else None)

    def _late(self, id_: int, within: float) -> None:
        future = self._waiting.get(id_)
        if future is not None and not future.done():
            self.forget(id_)
            future.set_result(problem(504, f"the model gave no answer within {within:g} s"))

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is None or self._transport.is_closing():
            return
        small: list[Body] = []
        for piece in out:
            if len(piece) <= JOINED:
                small.append(piece)
                continue
            self._transport.write(b"".join(small))
            small.clear()
            self._transport.write(piece)
        if small:
            self._transport.write(b"".join(small))
