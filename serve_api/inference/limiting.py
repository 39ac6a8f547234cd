"""How much a replica takes on: requests at a time and by the second, and bytes of a body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Receive

from raykqi.domain.endpoint import RequestLimits
from raykqi.errors import InvalidInput, TooLarge, TooManyRequests, TooSlow

__all__ = ["Rate", "Reading"]


class Rate:
    """So many a second; whoever was quiet may ask for as many at once. `None` is without limit."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate: float | None = None
        self._left = 0.0
        self._at = 0.0

    def set(self, rate: float | None) -> None:
        if rate != self._rate:
            self._rate, self._left, self._at = rate, max(1.0, rate or 0.0), self._clock()

    def take(self) -> None:
        """Raises TooManyRequests, with the seconds until there is room."""
        rate = self._rate
        if rate is None:
            return
        now = self._clock()
        self._left = min(max(1.0, rate), self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1.0:
            wait = (1.0 - self._left) / rate
            raise TooManyRequests(
                f"each replica of this endpoint answers {rate:g} requests a second",
                hint=f"Wait {wait:.3g} s.",
                retry_after=wait,
            )
        self._left -= 1.0


class Reading:
    """Takes bodies in, and gives up those that stop coming: one look at all of them instead of a timer each."""

    def __init__(self, every: float = 0.5) -> None:
        self._every = every
        self._until: dict[asyncio.Task[Any], float] = {}
        self._given_up: set[asyncio.Task[Any]] = set()
        self._look: asyncio.TimerHandle | None = None

    async def body(self, receive: Receive, headers: Mapping[str, str], limits: RequestLimits) -> bytes:
        """All of it, unless it is larger than bodies may be here."""
        length = headers.get("content-length", "")
        if length and length.isdecimal() and int(length) > limits.body:
            raise _too_large(limits.body)
        task = asyncio.current_task()
        assert task is not None
        self._until[task] = time.monotonic() + limits.timeout
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(self._every, self._give_up)
        try:
            return await _whole(receive, limits.body)
        except asyncio.CancelledError:
            if task not in self._given_up:
                raise
            task.uncancel()
            raise TooSlow(f"the body did not come within {limits.timeout:g} s", hint="Send it again.") from None
        finally:
            del self._until[task]
            self._given_up.discard(task)

    def _give_up(self) -> None:
        now = time.monotonic()
        for task, until in self._until.items():
            if until <= now and task not in self._given_up:
                self._given_up.add(task)
                task.cancel()
        is_busy = bool(self._until)
        self._look = asyncio.get_running_loop().call_later(self._every, self._give_up) if is_busy else None


async def _whole(receive: Receive, most: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False):
        return body if len(body) <= most else _refuse(most)
    pieces, size = [body], len(body)
    while message["type"] == "http.request":
        if size > most:
            _refuse(most)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
    raise InvalidInput("the connection ended before the body did", hint="Send it again.")


def _refuse(most: int) -> bytes:
    raise _too_large(most)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"a body here may have {most:,} bytes", hint="Send less at a time, or raise the endpoint's limit.")
