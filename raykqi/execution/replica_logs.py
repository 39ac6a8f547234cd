"""What the replicas of an endpoint write, all together and as it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from raykqi.errors import InvalidInput, ObjectMissing
from raykqi.storage.filesystem import Store

__all__ = ["ReplicaLogs"]

_PLACE = re.compile(r"([-\w]+)=(\d{1,12})\Z", re.ASCII)


class ReplicaLogs:
    """Each piece once, one replica after the other. `replica` is the beginning of the name of those that are read."""

    def __init__(self, store: Store, endpoint: str, replica: str = "", place: str = "") -> None:
        self.endpoint = endpoint
        self._store, self._replica = store, replica
        self._next = dict(map(_read, place.split(","))) if place else {}

    @property
    def place(self) -> str:
        """How far it was read, for whoever goes on from there."""
        return ",".join(f"{replica}={number}" for replica, number in self._next.items())

    def more(self) -> Iterator[bytes]:
        """What was written since."""
        for found in self._store.list(f"logs/{self.endpoint}/"):
            replica, _, name = found.key.removeprefix(f"logs/{self.endpoint}/").partition("/")
            number = name.removesuffix(".log")
            if not replica.startswith(self._replica) or not number.isdecimal():
                continue
            if int(number) < self._next.get(replica, 0):
                continue
            with suppress(ObjectMissing):  # it was old, and went while it was read
                piece = self._store.get(found.key)
                self._next[replica] = int(number) + 1
                yield piece


def _read(text: str) -> tuple[str, int]:
    known = _PLACE.match(text)
    if known is None:
        raise InvalidInput(f"{text[:80]!r} is no place in these logs", hint="Leave it out to begin at the beginning.")
    return known[1], int(known[2])
