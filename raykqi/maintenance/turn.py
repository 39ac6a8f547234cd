"""One collection at a time: of two that delete by name, the slower could hit what was stored anew meanwhile.

In a local folder that is a file lock, which the kernel takes from a process that dies. Elsewhere an
object says who collects; it is overruled when its process is dead, or when it has been there for a day.

Whoever overrules, and everybody where storage overwrites silently, waits after writing and reads back:
another one who also found the place free has written by then, or knows that it was too slow.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from raykqi.errors import Conflict, ObjectExists, ObjectMissing
from raykqi.journal.processes import Process, boot_seconds, is_dead, this_process
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_local_errors import named

__all__ = ["KEY", "turn_to_collect"]

KEY = "gc.json"
LOCK = "gc.lock"
ABANDONED = 24 * 3600.0
SETTLE = 2.0  # twice as long as looking and writing may take


class _Turn(msgspec.Struct, frozen=True):
    nonce: str
    user: str
    process: Process


def turn_to_collect(store: Store, user: str, *, settle: float = SETTLE) -> AbstractContextManager[None]:
    """Nobody else collects meanwhile; `Conflict` when somebody does."""
    lock = store.local_path(LOCK)
    return _locked(lock) if lock else _claimed(store, user, settle)


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
def _claimed(store: Store, user: str, settle: float) -> Iterator[None]:
    text = msgspec.json.encode(_Turn(secrets.token_hex(8), user, this_process()))
    _claim(store, text, settle)
    try:
        yield
    finally:
        _withdraw(store, text)


def _claim(store: Store, text: bytes, settle: float) -> None:
    looked = boot_seconds()
    try:
        store.create(KEY, text)
        if store.creates_exclusively:
            return
    except ObjectExists:
        looked = boot_seconds()
        _refuse_the_living(store)
        store.put(KEY, text)
    is_slow = boot_seconds() - looked > settle / 2
    time.sleep(settle)
    if _read(store) != text:
        _refuse_the_living(store)
        raise Conflict(f"another collection of {store.url} began at the same time", hint="Run `raykqi gc` again.")
    if is_slow:
        _withdraw(store, text)
        raise Conflict(
            f"{store.url} was too slow to tell whether another collection began at the same time",
            hint="Run `raykqi gc` again.",
        )


def _withdraw(store: Store, text: bytes) -> None:
    if _read(store) == text:
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


def _read(store: Store) -> bytes | None:
    try:
        return store.get(KEY)
    except ObjectMissing:
        return None
