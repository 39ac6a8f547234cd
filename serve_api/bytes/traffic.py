"""How many uploads come in at once, and what has been moved since the start: counters to be shown elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from raykqi.errors import TooManyRequests

__all__ = ["Traffic"]


class Traffic:
    """Safe to use from many threads. `values` answers all counters by name, for metrics."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(
            (
                "uploads",
                "uploads_active",
                "uploads_failed",
                "uploads_refused",
                "upload_bytes",
                "downloads",
                "downloads_active",
                "downloads_failed",
                "download_bytes",
            ),
            0,
        )

    def values(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] += count

    @contextmanager
    def upload(self) -> Iterator[None]:
        """One of the places for uploads; refused when all are taken."""
        with self._lock:
            is_full = self._counts["uploads_active"] >= self._at_once
            self._counts["uploads_refused" if is_full else "uploads_active"] += 1
        if is_full:
            raise TooManyRequests(
                f"{self._at_once} uploads are under way here already", hint="Try again in a few seconds."
            )
        with self._counted("uploads"):
            yield

    @contextmanager
    def download(self) -> Iterator[None]:
        self.add("downloads_active")
        with self._counted("downloads"):
            yield

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.add(f"{kind}_failed")
            raise
        else:
            self.add(kind)
        finally:
            self.add(f"{kind}_active", -1)
