"""Which kind of ownership a store needs."""

from __future__ import annotations

from raykqi.journal.filelock import FileLock
from raykqi.journal.lease import Lease
from raykqi.journal.memorylock import MemoryLock
from raykqi.journal.ownerobject import OwnerObject
from raykqi.journal.ownership import Kind, Ownership, this_owner
from raykqi.storage.filesystem import Store

__all__ = ["open_dispatching", "open_ownership"]


def open_ownership(
    store: Store, *, kind: Kind = "embedded", url: str = "", user: str = "unknown", takeover: bool = False
) -> Ownership:
    """How this process will own the store; nothing is taken yet.

    `takeover` overrules a server that died on another machine without releasing the workspace.
    """
    owner = this_owner(kind, url=url, user=user)
    root = store.local_path("workspace.json")
    if root is not None:
        return FileLock(owner, root.parent)
    if store.url.startswith("memory:"):
        return MemoryLock(owner, store.url)
    if store.creates_exclusively:
        return OwnerObject(owner, store, takeover=takeover)
    return Lease(owner, store)


def open_dispatching(store: Store, *, user: str = "unknown") -> Ownership:
    """The right to bring runs to nodes, which one process has at a time; who commits is another matter."""
    owner = this_owner("server", url="raykqi up or work", user=user)
    root = store.local_path("workspace.json")
    if root is not None:
        return FileLock(owner, root.parent, "dispatcher")
    if store.url.startswith("memory:"):
        return MemoryLock(owner, f"{store.url}#dispatcher")
    return Lease(owner, store, key="dispatcher.json")
