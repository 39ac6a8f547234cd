"""Ownership of a workspace in memory: a lock of this process for each store."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from raykqi.errors import Fenced
from raykqi.journal.ownership import Owner, Ownership, refusal

__all__ = ["MemoryLock"]


@dataclass
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: Owner | None = None


_PLACES: dict[str, _Place] = {}
_PLACES_LOCK = threading.Lock()


class MemoryLock(Ownership):
    def __init__(self, owner: Owner, url: str) -> None:
        super().__init__(owner)
        self._url = url
        with _PLACES_LOCK:
            self._place = _PLACES.setdefault(url, _Place())
        self._held = False

    @property
    def is_held(self) -> bool:
        return self._held

    def acquire(self, timeout: float) -> None:
        if self._held:
            return
        if not self._place.lock.acquire(timeout=max(timeout, 0)):
            raise refusal(self._url, self._place.owner)
        self._place.owner, self._held = self.owner, True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._place.lock.release()

    def check(self) -> None:
        if not self._held:
            raise Fenced(f"{self._url} is not locked by this controller", hint="Open the workspace again.")

    def close(self) -> None:
        self.release()
