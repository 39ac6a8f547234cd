"""Ids (UUIDv7) and the clock they come from.

Times never run backwards inside a workspace: a `Clock` that is given a floor answers no earlier
instant than the floor, and ids made from it sort in the order they were made.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol

from raykqi.errors import InvalidInput

__all__ = ["Clock", "IdMaker", "SystemClock", "check_id_prefix", "is_id", "prefix_range"]

_PREFIX = re.compile(r"[0-9a-f-]{1,36}\Z")
_FULL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time_ns() // 1000 / 1e6, UTC)


class IdMaker:
    """Makes UUIDv7 ids that always ascend, also within a millisecond and when the clock steps back.

    The 12 bits after the milliseconds count on, so that the ids of one maker differ within their
    first 18 characters and short prefixes of them stay usable.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0  # milliseconds and counter
        self._lock = threading.Lock()

    def rise_above(self, id_: str) -> None:
        """Make no id that would sort before this one."""
        if id_:
            value = uuid.UUID(id_).int
            with self._lock:
                self._last = max(self._last, (value >> 80) << 12 | (value >> 64) & 0xFFF)

    def new(self) -> str:
        fresh = int(self._clock.now().timestamp() * 1000) << 12 | secrets.randbits(8)
        with self._lock:
            self._last = stamp = max(fresh, self._last + 1)
        value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
        return str(uuid.UUID(int=value))


def is_id(text: str) -> bool:
    return _FULL.match(text) is not None


def check_id_prefix(text: str, kind: str = "data") -> str:
    """The prefix in lower case, or an error when it cannot be the beginning of an id of that `kind`."""
    prefix = text.strip().lower()
    if not _PREFIX.match(prefix):
        raise InvalidInput(
            f"{text!r} is not an id or the beginning of one",
            hint=f"Ids look like 01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33; `raykqi {kind} find` lists them.",
        )
    return prefix


def prefix_range(prefix: str) -> tuple[str, str] | None:
    """The lowest and the highest id that begin with `prefix`; None when no id can."""
    template = "00000000-0000-0000-0000-000000000000"
    low, high = prefix + template[len(prefix) :], prefix + template.replace("0", "f")[len(prefix) :]
    return (low, high) if is_id(low) and is_id(high) else None
