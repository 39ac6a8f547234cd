"""A request's body on its way into a receiver: in a thread, chunk after chunk, never faster than it is taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Protocol

from raykqi.errors import InvalidInput, RaykqiError, TooSlow
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.traffic import Place, Traffic

__all__ = ["BATCH", "Incoming", "Receiver", "declared_length", "receive"]

BATCH = 1 << 20


class Receiver(Protocol):
    def feed(self, data: bytes) -> None: ...

    def finish(self) -> None: ...


class Incoming:
    """The body of one request; `is_over` when all of it was given out."""

    def __init__(self, body: AsyncIterator[bytes], limits: UploadLimits, traffic: Traffic, place: Place) -> None:
        self._body = body
        self._limits = limits
        self._traffic = traffic
        self._place = place
        self._pace = _Pace(limits)
        self.is_over = False

    async def batch(self) -> bytes:
        """About a MiB, or what is left."""
        batch = bytearray()
        self._pace.rest()
        while len(batch) < BATCH:
            try:
                async with asyncio.timeout(self._limits.patience):
                    data = await anext(self._body, None)
            except TimeoutError as error:
                raise self._pace.too_slow() from error
            if data is None:
                self.is_over = True
                break
            self._pace.check(len(data))
            self._place.has_come(len(data))
            self._traffic.add("upload_bytes", len(data))
            batch += data
        return bytes(batch)


async def receive(incoming: Incoming, receiver: Receiver, begun: bytes = b"") -> None:
    """Errors of the receiver pass through at once; what was not read of the body then is left."""
    if begun:
        await _in_thread(receiver, begun, is_last=incoming.is_over)
    while not incoming.is_over:
        data = await incoming.batch()
        await _in_thread(receiver, data, is_last=incoming.is_over)


async def _in_thread(receiver: Receiver, data: bytes, *, is_last: bool) -> None:
    """Once begun it is waited for, also when the request is given up: two threads in one receiver would harm it."""

    def take() -> None:
        receiver.feed(data)
        if is_last:
            receiver.finish()

    working = asyncio.ensure_future(asyncio.to_thread(take))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


class _Pace:
    """A trickle must not hold a place for ever. Only the client's time counts, not that of the receiver."""

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._came = 0
        self._since = time.monotonic()

    def check(self, size: int) -> None:
        self._came += size
        if self._came >= self._limits.least:
            self.rest()
        elif time.monotonic() - self._since > self._limits.patience:
            raise self.too_slow()

    def rest(self) -> None:
        self._came = 0
        self._since = time.monotonic()

    def too_slow(self) -> RaykqiError:
        return TooSlow(
            f"less than {self._limits.least} bytes came within {self._limits.patience:.0f} seconds",
            hint="Send it again over a better connection, or use an upload that can be resumed.",
        )


def declared_length(text: str | None) -> int:
    """The Content-Length, 0 when there is none."""
    if text is None or text == "":
        return 0
    if not text.isascii() or not text.isdigit():
        raise InvalidInput(f"Content-Length: {text[:40]} is no length", hint="Let your HTTP client set it.")
    return int(text)
