"""The loop of the process in which a model runs: receive, parse, choose a batch, run it, answer.

A second thread receives and parses while the model runs. The model itself is run by the main thread alone, one batch at
a time; streams take turns with batches and with each other.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue

import msgspec

from raykqi.domain.endpoint import Batching
from raykqi.serving.answering import Answering, Prepared
from raykqi.serving.batching import Batcher
from raykqi.serving.frames import (
    ANSWER,
    ASK,
    CANCEL,
    CHUNK,
    END,
    KINDS,
    RAN,
    TAKEN,
    WINDOW,
    Answered,
    Body,
    Frame,
    Inbox,
    frame,
    read_asking,
)
from raykqi.serving.problems import detail_of
from raykqi.serving.streams import Chunks

__all__ = ["Running"]

SWITCH = 0.001  # seconds after which one thread lets the other go on
JOINED = 1 << 16

_encode = msgspec.msgpack.Encoder().encode


class Asking:
    """A request in the process. `answer` is there already when nothing is to be run for it."""

    __slots__ = ("answer", "deadline", "id", "is_cancelled", "joins", "prepared", "rows")

    def __init__(self, id_: int, deadline: float, prepared: Prepared | None, answer: Answered | None) -> None:
        self.id = id_
        self.deadline = deadline
        self.prepared = prepared
        self.answer = answer
        self.is_cancelled = False
        self.joins = prepared.joins if prepared else None
        self.rows = prepared.rows if prepared else 1

    def is_over(self, now: float) -> bool:
        """Whether nobody waits for it any more."""
        return self.is_cancelled or self.deadline < now


class Streaming:
    """A streamed answer: the pieces to come, and how many bytes were sent that nobody has taken yet."""

    __slots__ = ("chunks", "id", "under_way")

    def __init__(self, id_: int, chunks: Chunks) -> None:
        self.id = id_
        self.chunks = chunks
        self.under_way = 0


class Running:
    def __init__(self, connection: socket.socket, inbox: Inbox, answering: Answering, batching: Batching) -> None:
        self._connection = connection
        self._inbox = inbox
        self._answering = answering
        self._batcher = Batcher(batching)
        self._came: SimpleQueue[Asking | Frame | None] = SimpleQueue()  # None: the other side is gone
        self._known: dict[int, Asking] = {}
        self._waiting: deque[Asking] = deque()
        self._ready: list[Body] = []  # answers that needed no model
        self._streams: dict[int, Streaming] = {}

    def run(self, early: list[Frame]) -> None:
        """Returns when the other side went away."""
        sys.setswitchinterval(SWITCH)
        threading.Thread(target=self._read, args=(early,), name="requests", daemon=True).start()
        while self._gather():
            self._step()

    def _gather(self) -> bool:
        """What came goes to those that wait; waits itself only when there is nothing to do."""
        is_idle = not (self._waiting or self._ready or any(each.under_way < WINDOW for each in self._streams.values()))
        while True:
            try:
                each = self._came.get(block=is_idle)
            except Empty:
                return True
            is_idle = False
            if each is None:
                return False
            if isinstance(each, Asking):
                if each.answer is None:
                    self._waiting.append(each)
                else:
                    self._ready += _rendered(each, each.answer)
            else:
                self._stream_told(each)

    def _read(self, early: list[Frame]) -> None:
        try:
            for each in early:
                self._take(each)
            while count := self._connection.recv_into(self._inbox.room()):
                for each in self._inbox.filled(count):
                    self._take(each)
        except OSError:
            pass  # the other side went away in the middle
        finally:
            self._came.put(None)

    def _take(self, each: Frame) -> None:
        if each.what == ASK:
            deadline, headers = read_asking(each.meta)
            prepared = self._answering.prepare(KINDS[each.number], headers, each.body)
            if isinstance(prepared, Prepared):
                asking = Asking(each.id, deadline, prepared, None)
                self._known[each.id] = asking
            else:
                asking = Asking(each.id, deadline, None, prepared)
            self._came.put(asking)
        elif each.what == CANCEL:
            if known := self._known.get(each.id):
                known.is_cancelled = True
            self._came.put(each)
        elif each.what == TAKEN:
            self._came.put(each)

    def _step(self) -> None:
        out, self._ready = self._ready, []
        now = time.monotonic()
        if any(each.is_over(now) for each in self._waiting):
            for each in [each for each in self._waiting if each.is_over(now)]:
                self._known.pop(each.id, None)
                self._waiting.remove(each)
        if self._waiting:
            self._run_batch(out)
        for streaming in list(self._streams.values()):
            if streaming.under_way < WINDOW:
                self._advance(streaming, out)
        with contextlib.suppress(ConnectionError):  # the other side is gone, which is told by what it sends no more
            self._send(out)

    def _run_batch(self, out: list[Body]) -> None:
        chosen = self._batcher.choose(self._waiting)
        ids = {each.id for each in chosen}
        self._waiting = deque(each for each in self._waiting if each.id not in ids)
        for each in chosen:
            self._known.pop(each.id, None)
        prepared = [each.prepared for each in chosen if each.prepared is not None]
        begun = time.perf_counter()
        answers = self._answering.run(prepared)
        if prepared[0].render is not None:
            self._batcher.learn(sum(each.rows for each in prepared), time.perf_counter() - begun)
            out += frame(RAN, len(prepared))
        for each, answer in zip(chosen, answers, strict=True):
            if isinstance(answer, Chunks):
                self._streams[each.id] = Streaming(each.id, answer)
            else:
                out += _rendered(each, answer)

    def _advance(self, streaming: Streaming, out: list[Body]) -> None:
        chunks = streaming.chunks
        is_first = not chunks.is_begun
        piece = chunks.next()
        if isinstance(piece, Answered) and is_first:
            del self._streams[streaming.id]
            out += frame(ANSWER, piece.status, streaming.id, _encode(piece.headers), piece.body)
            return
        meta = _encode(chunks.headers) if is_first else b""
        if isinstance(piece, bytes):
            streaming.under_way += len(piece)
            out += frame(CHUNK, 200, streaming.id, meta, piece)
            return
        del self._streams[streaming.id]
        if piece is None:
            out += frame(END, 200, streaming.id, meta)
        else:
            out += frame(END, piece.status, streaming.id, meta, detail_of(piece).encode())

    def _stream_told(self, each: Frame) -> None:
        streaming = self._streams.get(each.id)
        if streaming is None:
            return
        if each.what == TAKEN:
            streaming.under_way -= int.from_bytes(each.meta, "little")
        else:
            del self._streams[each.id]
            streaming.chunks.close()

    def _send(self, pieces: list[Body]) -> None:
        """As many at a time as are small; large ones are not copied."""
        small: list[Body] = []
        for piece in pieces:
            if len(piece) <= JOINED:
                small.append(piece)
                continue
            self._connection.sendall(b"".join(small))
            self._connection.sendall(piece)
            small.clear()
        if small:
            self._connection.sendall(b"".join(small))


def _rendered(asking: Asking, answer: Answered) -> list[Body]:
    return frame(ANSWER, answer.status, asking.id, _encode(answer.headers), answer.body)
