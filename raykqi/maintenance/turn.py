"""One collection at a time: of two that delete by name, the slower could hit what was stored anew meanwhile.

In a local folder that is a file lock, which the kernel takes from a process that dies. Elsewhere an
object says who collects; it is overruled when its process is dead, or when it has been there for a day.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import msgspec

from raykqi.errors import Conflict, ObjectExists, ObjectMissing
from raykqi.journal.processes import Process, is_dead, this_process
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_local_errors import named

__all__ = ["KEY", "turn_to_collect"]

KEY = "gc.json"
LOCK = "gc.lock"
ABANDONED = 24 * 3600.0


class _Turn(msgspec.Struct, frozen=True):
    nonce: str
    user: str
    process: Process


def turn_to_collect(store: Store, user: str) -> AbstractContextManager[None]:
    """Nobody else collects meanwhile; `Conflict` when somebody does."""
    lock = store.local_path(LOCK)
    return _locked(lock) if lock else _claimed(store, user)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with named("lock", str(path)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with named("lock", str(path)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                what = f"another collection of {path.parent} is under way"
                raise Conflict(what, hint="Wait until it ends.") from None
        yield
    finally:
        os.close(file)


@contextmanager
def _claimed(store: Store, user: str) -> Iterator[None]:
    text = msgspec.json.encode(_Turn(secrets.token_hex(8), user, this_process()))
    try:
        store.create(KEY, text)
    except ObjectExists:
        _refuse_the_living(store)
        store.put(KEY, text)
    try:
        yield
    finally:
        with suppress(ObjectMissing):
            if store.get(KEY) == text:
                store.delete([KEY])


def _refuse_the_living(store: Store) -> None:
    try:
        other = msgspec.json.decode(store.get(KEY), type=_Turn)
        age = time.time() - store.info(KEY).modified
    except (ObjectMissing, msgspec.DecodeError):
        return
    if age < ABANDONED and not is_dead(other.process):
        raise Conflict(
            f"{other.user} collects already (process {other.process.pid} on {other.process.host})",
            hint=f"Wait until it ends; if it was killed, delete {store.url}/{KEY}.",
        )
