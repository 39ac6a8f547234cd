"""Waiting for a lock that another process of this node holds, as long as it is worth waiting."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["looks", "try_lock", "wait_for_lock"]

PAUSE = 0.02  # seconds: whoever holds a lock cannot call back


def looks(check: Callable[[], None]) -> Iterator[None]:
    """Look again and again; `check` may raise to give up."""
    nothing = threading.Event()
    while True:
        check()
        yield
        nothing.wait(PAUSE)


def try_lock(file: Path, kind: int) -> int | None:
    """A descriptor that holds the lock until it is closed; None while others hold it."""
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # the folder was just taken away
        return None
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def wait_for_lock(file: Path, kind: int, check: Callable[[], None]) -> int:
    for _ in looks(check):
        lock = try_lock(file, kind)
        if lock is not None:
            return lock
    raise AssertionError
