"""A request's body on its way into a receiver: in a thread, chunk after chunk, never faster than it is taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Protocol

from raykqi.errors import InvalidInput, RaykqiError, TooSlow
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.traffic import Place, Traffic

__all__ = ["Receiver", "declared_length", "receive"]

BATCH = 1 << 20


class Receiver(Protocol):
    def feed(self, data: bytes) -> None: ...

    def finish(self) -> None: ...


async def receive(
    body: AsyncIterator[bytes], receiver: Receiver, limits: UploadLimits, traffic: Traffic, place: Place
) -> None:
    """Errors of the receiver pass through at once; what was not read of the body then is left."""
    pace = _Pace(limits)
    batch = bytearray()
    while True:
        try:
            async with asyncio.timeout(limits.patience):
                data = await anext(body, None)
        except TimeoutError as error:
            raise pace.too_slow() from error
        if data is None:
            break
        pace.check(len(data))
        place.has_come(len(data))
        batch += data
        traffic.add("upload_bytes", len(data))
        if len(batch) >= BATCH:
            await _in_thread(receiver, bytes(batch))
            pace.rest()
            batch.clear()
    await _in_thread(receiver, bytes(batch), is_last=True)


async def _in_thread(receiver: Receiver, data: bytes, *, is_last: bool = False) -> None:
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
