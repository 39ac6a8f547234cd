"""How long to wait before the next attempt, and when to give up."""

from __future__ import annotations

import random
import threading
import time

__all__ = ["Patience"]

SHORTEST, LONGEST = 0.1, 5.0  # seconds between two attempts
FIRST_CONTACT = 2.0  # a server that was never reached is more likely misspelt than away for a moment


class Patience:
    """Of one request with all its attempts: pauses that grow, and differ so that clients do not come back together."""

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._pause = SHORTEST
        self.first_contact = min(FIRST_CONTACT, seconds)

    def next(self, wanted: float, limit: float | None) -> float | None:
        """Seconds until the next attempt, at least those that were `wanted`; None when it would come too late."""
        pause = max(wanted, self._pause * random.uniform(0.5, 1.0))
        self._pause = min(LONGEST, self._pause * 2)
        left = self._began + (self._seconds if limit is None else limit) - time.monotonic()
        return pause if pause <= left else None

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)
