"""How many uploads come in at once, and what has been moved since the start: counters to be shown elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from raykqi.errors import TooManyRequests
from serve_api.bytes.limits import UploadLimits

__all__ = ["Place", "Traffic"]


class Traffic:
    """Safe to use from many threads. `values` answers all counters by name, for metrics."""

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(
            (
                "uploads",
                "uploads_active",
                "uploads_large",
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
    def upload(self, declared: int = 0) -> Iterator[Place]:
        """One of the places for uploads; refused when all are taken. It is large from the beginning if it says so."""
        self._take("uploads_active", self._limits.at_once)
        place = Place(self, self._limits)
        with self._counted("uploads"):
            try:
                place.has_come(declared)
                place.size = 0
                yield place
            finally:
                if place.is_large:
                    self.add("uploads_large", -1)

    def _take(self, name: str, most: int) -> None:
        with self._lock:
            is_full = self._counts[name] >= most
            self._counts["uploads_refused" if is_full else name] += 1
        if is_full:
            raise TooManyRequests(f"{most} such uploads are under way here already", hint="Try again in a few seconds.")

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


class Place:
    """What one upload takes of what there is for all; it becomes large when more comes than is small."""

    def __init__(self, traffic: Traffic, limits: UploadLimits) -> None:
        self._traffic = traffic
        self._limits = limits
        self.size = 0
        self.is_large = False

    def has_come(self, size: int) -> None:
        self.size += size
        if self.size > self._limits.small and not self.is_large:
            self._traffic._take("uploads_large", self._limits.large_at_once)
            self.is_large = True
