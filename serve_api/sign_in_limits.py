"""How often one may try to sign in: a wrong password costs a turn, and turns come back with time.

Counted for each user, so that one password cannot be guessed from many places, and for each address, so that
many cannot be guessed from one. Each replica counts for itself.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from raykqi.errors import TooManyRequests

__all__ = ["SignInLimits"]

KEPT = 20_000
NAME = 128  # letters; whoever has a longer name is no user, and must not fill the memory with it


@dataclass(frozen=True)
class Rate:
    """`turns` at once, and one more every `seconds`."""

    turns: int
    seconds: float


PER_USER = Rate(10, 10.0)
PER_ADDRESS = Rate(50, 1.0)


class SignInLimits:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # When all turns of each are back; those that were asked about longest ago come first.
        self._full_at: OrderedDict[tuple[Rate, str], float] = OrderedDict()

    def take(self, user: str, address: str) -> None:
        """Before a password is looked at. Raises `TooManyRequests`. An address that nobody knows does not count."""
        now = self._clock()
        wanted = [_of_user(user), (PER_ADDRESS, address)] if address else [_of_user(user)]
        with self._lock:
            waits = [self._wait(key, now) for key in wanted]
            if max(waits) > 0:
                raise TooManyRequests(
                    "too many attempts to sign in", hint="Wait a little, then try again.", retry_after=max(waits)
                )
            for key in wanted:
                self._full_at[key] = max(self._full_at.pop(key, now), now) + key[0].seconds
            while len(self._full_at) > KEPT:
                self._full_at.popitem(last=False)

    def give_back(self, user: str, address: str) -> None:
        """The password was right: it counts for nobody."""
        with self._lock:
            self._full_at.pop(_of_user(user), None)
            key = (PER_ADDRESS, address)
            if key in self._full_at:
                self._full_at[key] -= PER_ADDRESS.seconds

    def _wait(self, key: tuple[Rate, str], now: float) -> float:
        """Seconds until there is a turn."""
        rate = key[0]
        used = self._full_at.get(key, now) - now
        return max(0.0, used - (rate.turns - 1) * rate.seconds)


def _of_user(user: str) -> tuple[Rate, str]:
    return PER_USER, user[:NAME].casefold()
