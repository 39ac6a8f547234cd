"""Streams of server-sent events: read, and taken up again where they broke off."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import httpx

from raykqi.client.patience import Patience
from raykqi.client.transport import Params, Transport
from raykqi.errors import ServerUnavailable

__all__ = ["ALIVE", "Sent", "Subscription", "follow", "parse"]

SILENCE = 45.0  # seconds; a server that has nothing to tell says so more often
EVENT_STREAM = {"Accept": "text/event-stream", "Cache-Control": "no-store"}


class Sent(NamedTuple):
    event: str
    data: str
    id: str


ALIVE = Sent("", "", "")  # a comment: the server has nothing to tell, but is there


def parse(lines: Iterator[str]) -> Iterator[Sent]:
    """Events as they are complete, and signs of life; what is not complete is never told."""
    event, data, last = "", list[str](), ""
    for line in lines:
        if not line:
            if data:
                yield Sent(event or "message", "\n".join(data), last)
            event, data = "", []
            continue
        field, _, value = line.partition(":")
        if not field:
            yield ALIVE
            continue
        value = value.removeprefix(" ")
        if field == "event":
            event = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last = value


def follow(
    transport: Transport,
    path: str,
    params: Params = (),
    *,
    opened: Callable[[httpx.Response], None] = lambda _: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Iterator[Sent]:
    """Every event once, from the first one on, over as many connections as it takes; signs of life between them.

    It ends when the server says that there is no more, or when whoever listens has heard enough.
    """
    last = ""
    patience = Patience(transport.timeout)
    while not is_over() and not transport.is_closed:
        headers = EVENT_STREAM | ({"Last-Event-ID": last} if last else {})
        broken: ServerUnavailable | None = None
        try:
            with transport.stream(path, params=params, headers=headers, within=SILENCE) as response:
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                opened(response)
                for sent in parse(_lines(response)):
                    patience = Patience(transport.timeout)
                    last = sent.id or last
                    yield sent
        except ServerUnavailable as error:
            broken = error
        pause = patience.next(0.0, None)
        if pause is None:
            raise broken or ServerUnavailable(
                f"the server at {transport.url} ends every stream at once", hint="Look into its log."
            )
        transport.pause(pause)


class Subscription:
    """Calls `heard` in a thread of its own for each event, until it is closed."""

    def __init__(self, transport: Transport, path: str, heard: Callable[[], None]) -> None:
        self._transport, self._path, self._heard = transport, path, heard
        self._lock = threading.Lock()
        self._is_over = False
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._listen, name="raykqi-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._lock:
            self._is_over = True
            if self._response is not None:
                _cut(self._response)
        self._thread.join(1.0)

    def _listen(self) -> None:
        while not self._is_over:
            with suppress(Exception):  # whoever waits looks by itself as well, and is told what is wrong
                for sent in follow(self._transport, self._path, opened=self._note, is_over=lambda: self._is_over):
                    if sent is not ALIVE:
                        self._heard()
            if not self._is_over:
                self._transport.pause(1.0)
                if self._transport.is_closed:
                    return

    def _note(self, response: httpx.Response) -> None:
        with self._lock:
            self._response = response
            if self._is_over:
                _cut(response)
        self._heard()  # what came before the stream was open


def _lines(response: httpx.Response) -> Iterator[str]:
    """Lines end as the format says, and nowhere else: texts may hold what else counts as the end of one."""
    rest = ""
    for piece in response.iter_text():
        *whole, rest = (rest + piece).split("\n")
        yield from (line.removesuffix("\r") for line in whole)


def _cut(response: httpx.Response) -> None:
    """Wakes whoever reads from it."""
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream is not None else None
    if found is not None:
        with suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)
