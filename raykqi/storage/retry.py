"""One policy for faults that pass: wait a little longer each time, at random, up to a time limit.

Whoever talks to a server raises `StorageUnavailable` for a fault that may pass and anything else for
one that will not. Layers below (botocore, HTTP) try once, so that attempts do not multiply.
"""

from __future__ import annotations

import random
import time

from raykqi.errors import StorageUnavailable

__all__ = ["Attempts"]

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0


class Attempts:
    """The patience of one operation: at least two attempts, then as many as fit into `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._started = time.monotonic()
        self._deadline = self._started + timeout
        self._failed = 0
        self._failed_in_a_row = 0

    def pause_after(self, error: StorageUnavailable) -> float:
        """Seconds to wait before the next attempt; raises when there is to be none."""
        self._failed += 1
        self._failed_in_a_row += 1
        left = self._deadline - time.monotonic()
        if left <= 0 and self._failed_in_a_row > 1:
            elapsed = time.monotonic() - self._started
            raise StorageUnavailable(
                f"{error.message} (gave up after {self._failed} attempts in {elapsed:.1f} s)", hint=error.hint
            ) from error
        ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failed_in_a_row, 16))
        return max(0.0, min(left, random.uniform(ceiling / 2, ceiling)))

    def wait_after(self, error: StorageUnavailable) -> None:
        time.sleep(self.pause_after(error))

    def progressed(self) -> None:
        """Something arrived: the time limit starts anew."""
        self._deadline = time.monotonic() + self._timeout
        self._failed_in_a_row = 0
