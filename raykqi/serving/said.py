"""What a process prints, line by line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["Said"]

LONGEST = 4096  # bytes of a line; a longer one is several
MOST = 500  # lines of a second; a model that prints more must not keep the replica from its work


class Said(asyncio.Protocol):
    """`say` gets each line when it is whole, and what is left when the process ended."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._say = say
        self._rest = b""
        self._last = ""
        self._transport: asyncio.BaseTransport | None = None
        self._second = 0
        self._told = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            for at in range(0, len(line) or 1, LONGEST):
                self._tell(line[at : at + LONGEST])
        while len(self._rest) > LONGEST:
            self._tell(self._rest[:LONGEST])
            self._rest = self._rest[LONGEST:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        if self._rest:
            self._tell(self._rest)
            self._rest = b""

    def last(self) -> str:
        """`: ` and the last line that said something, to be added to a reason."""
        return f": {self._last}" if self._last else ""

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _tell(self, line: bytes) -> None:
        second = int(self._clock())
        if second != self._second:
            if self._told > MOST:
                self._say(f"({self._told - MOST} more lines of that second are left out)")
            self._second, self._told = second, 0
        self._told += 1
        if self._told > MOST and self._told % 16:  # some are looked at, to know what was said last
            return
        text = line.decode(errors="replace").rstrip("\r")
        if text.strip():
            self._last = text.strip()[:500]
        if self._told <= MOST:
            self._say(text)
