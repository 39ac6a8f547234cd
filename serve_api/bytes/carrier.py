"""What everything that carries bytes through one server shares: limits, staging, threads, counters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.staging import StagingArea
from serve_api.bytes.traffic import Traffic

__all__ = ["Carrier"]

THREADS = 16
URL_SECONDS = 900.0


class Carrier:
    """`open` takes away what processes that died have left; `close` when no request is under way."""

    def __init__(self, staging: Path, limits: UploadLimits | None = None, *, url_seconds: float = URL_SECONDS) -> None:
        self.limits = limits or UploadLimits()
        self.staging = StagingArea(staging, self.limits)
        self.traffic = Traffic(self.limits)
        self.threads = ThreadPoolExecutor(THREADS, "raykqi-bytes")
        self.url_seconds = url_seconds

    def open(self) -> None:
        self.staging.sweep()

    def close(self) -> None:
        self.threads.shutdown()
