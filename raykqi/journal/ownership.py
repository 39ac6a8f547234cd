"""Who may write to a workspace: one controller at a time, and the other ones learn who it is.

How depends on the place. A local folder has a file lock, which the kernel takes from a process that
dies; memory has a lock of this process; object storage has either exclusive creation, where the
journal itself is the fence, or nothing, where a lease object has to do. `owning.py` chooses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

import msgspec

from raykqi.errors import WorkspaceOwned
from raykqi.journal.processes import Process, this_process

__all__ = ["Kind", "Owner", "Ownership", "parse_owner", "refusal", "this_owner"]

Kind = Literal["embedded", "server"]


class Owner(msgspec.Struct, frozen=True):
    """`url` is where a server answers; embedded controllers have none."""

    kind: Kind
    url: str
    user: str
    since: datetime
    process: Process

    def __str__(self) -> str:
        place = f"process {self.process.pid} on {self.process.host}, since {self.since.isoformat(timespec='seconds')}"
        if self.kind == "server":
            return f"the server at {self.url} ({place})"
        return f"another program of {self.user} ({place})"


class Ownership(ABC):
    """Used by one thread at a time."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    @property
    @abstractmethod
    def is_held(self) -> bool: ...

    @abstractmethod
    def acquire(self, timeout: float) -> None:
        """Become the owner until `release`; after `timeout` seconds raise `WorkspaceOwned`, which names who is."""

    @abstractmethod
    def release(self) -> None:
        """Let others have it; nothing happens when it is not ours."""

    @abstractmethod
    def check(self) -> None:
        """Raise `Fenced` unless this is still the owner. Asks nobody, so that it can precede every write."""

    @abstractmethod
    def close(self) -> None:
        """Release, and give back files and threads."""

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Own the workspace for one batch of changes, unless it is owned for longer anyway."""
        if self.is_held:
            self.check()
            yield
            return
        self.acquire(timeout)
        try:
            yield
        finally:
            self.release()


def this_owner(kind: Kind = "embedded", *, url: str = "", user: str = "unknown") -> Owner:
    return Owner(kind, url, user, datetime.now(UTC), this_process())


def parse_owner(text: bytes) -> Owner | None:
    """None for what cannot be read, such as a text that its writer is just replacing."""
    try:
        return msgspec.json.decode(text, type=Owner)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def refusal(place: str, owner: Owner | None) -> WorkspaceOwned:
    if owner is not None and owner.kind == "server":
        hint = f"Connect to {owner.url}: while that server runs, it does the writing."
    else:
        hint = "Try again when it has ended; RAYKQI_LOCK_TIMEOUT says how many seconds to wait for it."
    return WorkspaceOwned(f"the workspace {place} is in use by {owner or 'another program'}", hint=hint)
