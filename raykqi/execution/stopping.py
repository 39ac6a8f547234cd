"""The wish that an attempt ends, which may come at any moment and from any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from raykqi.storage.progress import SilentProgress

__all__ = ["Interruptible", "Stopped", "Stopping"]


class Stopped(Exception):
    """What was being done for the attempt is not needed any more."""


class Stopping:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._told: Callable[[], None] | None = None

    @property
    def is_wanted(self) -> bool:
        return self._deadline is not None

    @property
    def seconds_left(self) -> float | None:
        """Until patience ends; None while nobody wants a stop."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def request(self, grace: float) -> None:
        """Of several requests the least patient counts."""
        with self._lock:
            wanted = time.monotonic() + grace
            self._deadline = wanted if self._deadline is None else min(self._deadline, wanted)
            if self._told:
                self._told()

    def check(self) -> None:
        if self.is_wanted:
            raise Stopped

    @contextmanager
    def telling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call back on a request, now if there was one already, until this ends."""
        with self._lock:
            self._told = callback
            if self.is_wanted:
                callback()
        try:
            yield
        finally:
            with self._lock:
                self._told = None


class Interruptible(SilentProgress):
    """As the progress of a transfer: breaks it off when a stop is wanted."""

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping

    def start(self, label: str, files: int, size: int) -> None:  # noqa: ARG002  nobody watches
        self._stopping.check()

    def advance(self, files: int, size: int) -> None:  # noqa: ARG002  nobody watches
        self._stopping.check()
