"""Ownership where objects can be created exclusively: the journal is the fence, `owner.json` the courtesy.

A server leaves its address there, so that embedded controllers are told to use it rather than fence
it off. Two embedded controllers may both try; the journal lets one of them through for each entry.
"""

from __future__ import annotations

import contextlib
import time

import msgspec

from raykqi.errors import Fenced, ObjectExists, ObjectMissing, StorageError
from raykqi.journal.ownership import Owner, Ownership, parse_owner, refusal
from raykqi.journal.processes import boot_seconds, is_dead
from raykqi.storage.filesystem import Store

__all__ = ["KEY", "OwnerObject"]

KEY = "owner.json"
PAUSE = 0.5  # between two looks at another server's object
TRUSTED_FOR = 10.0  # seconds for which an embedded controller need not ask again


class OwnerObject(Ownership):
    """`takeover` overrules a server on another machine, which this one cannot see dying."""

    def __init__(self, owner: Owner, store: Store, *, takeover: bool = False) -> None:
        super().__init__(owner)
        self._store = store
        self._takeover = takeover
        self._text = msgspec.json.encode(owner)
        self._held = False
        self._asked = float("-inf")

    @property
    def is_held(self) -> bool:
        return self._held

    def acquire(self, timeout: float) -> None:
        if self._held:
            return
        if self.owner.kind == "server":
            self._acquire_for_server(timeout)
        elif boot_seconds() - self._asked > TRUSTED_FOR:
            if other := self._other_server():
                raise refusal(self._store.url, other)
            self._asked = boot_seconds()
        self._held = True

    def release(self) -> None:
        if self._held and self.owner.kind == "server":
            with contextlib.suppress(ObjectMissing):
                if self._store.get(KEY) == self._text:
                    self._store.delete([KEY])
        self._held = False

    def check(self) -> None:
        if not self._held:
            raise Fenced(f"{self._store.url} is not owned by this controller", hint="Open the workspace again.")

    def close(self) -> None:
        # What cannot be told to the storage now is seen by the next one: this process will be dead.
        with contextlib.suppress(StorageError):
            self.release()

    def _acquire_for_server(self, timeout: float) -> None:
        give_up = time.monotonic() + timeout
        while other := self._other_server():
            if time.monotonic() >= give_up:
                raise refusal(self._store.url, other)
            time.sleep(PAUSE)
        try:
            self._store.create(KEY, self._text)
        except ObjectExists:
            if other := self._other_server():
                raise refusal(self._store.url, other) from None
            self._store.put(KEY, self._text)

    def _other_server(self) -> Owner | None:
        """The server that says it is there, unless it certainly is not or is overruled."""
        if self._takeover:
            return None
        try:
            other = parse_owner(self._store.get(KEY))
        except ObjectMissing:
            return None
        return None if other is None or other == self.owner or is_dead(other.process) else other
