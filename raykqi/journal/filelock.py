"""Ownership of a local folder: an exclusive `flock` on `writer.lock`, which holds a text saying who has it.

The kernel releases it when its process dies, so nobody waits for the dead. Embedded controllers take
it for each batch; those who wait announce themselves on `writer.waiting`, where the last holder
steps back for them: otherwise a busy one, which is away for microseconds, would starve the rest.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from raykqi.errors import Fenced, StorageDenied, StorageError, StorageFull
from raykqi.journal.ownership import Owner, Ownership, parse_owner, refusal

__all__ = ["FileLock"]

FIRST_PAUSE, LONGEST_PAUSE = 0.0002, 0.002
STEP_BACK = 2 * LONGEST_PAUSE  # so long that everyone who waits has tried once
SERVER_GRACE = 1.0  # a server keeps its lock, but the text may be the last holder's
TEXT_BYTES = 64 * 1024


class FileLock(Ownership):
    def __init__(self, owner: Owner, root: Path, name: str = "writer") -> None:
        super().__init__(owner)
        self._root = root
        self._path = root / f"{name}.lock"
        self._waiting_path = root / f"{name}.waiting"
        self._file = -1
        self._waiting = -1
        self._held = False
        self._text = msgspec.json.encode(owner) + b"\n"
        self._had_it = False
        _LOCKS.add(self)

    @property
    def is_held(self) -> bool:
        return self._held

    def acquire(self, timeout: float) -> None:
        if self._held:
            return
        with _named(self._path):
            if self._file < 0:
                self._open()
            if self._had_it and not _try_lock(self._waiting):
                self._had_it = False
                time.sleep(STEP_BACK)
            elif self._had_it:
                fcntl.flock(self._waiting, fcntl.LOCK_UN)
            if not self._try():
                self._wait(timeout)
            self._held = self._had_it = True
            self._sign()

    def release(self) -> None:
        if self._held:
            self._held = False
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def check(self) -> None:
        if not self._held:
            raise Fenced(f"{self._path} is not locked by this controller", hint="Open the workspace again.")

    def close(self) -> None:
        self.release()
        self._forget()

    def _open(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._waiting = os.open(self._waiting_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _forget(self) -> None:
        files, self._file, self._waiting, self._held = (self._file, self._waiting), -1, -1, False
        for file in files:
            if file >= 0:
                os.close(file)

    def _try(self) -> bool:
        if not _try_lock(self._file):
            return False
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._file), os.stat(self._path)):
                return True
        # Somebody removed the file while we had it open: what we locked is nobody else's lock.
        self._forget()
        self._open()
        return self._try()

    def _wait(self, timeout: float) -> None:
        started, pause = time.monotonic(), FIRST_PAUSE
        fcntl.flock(self._waiting, fcntl.LOCK_SH)
        try:
            while not self._try():
                holder = parse_owner(os.pread(self._file, TEXT_BYTES, 0))
                limit = min(timeout, SERVER_GRACE) if holder and holder.kind == "server" else timeout
                if time.monotonic() - started >= limit:
                    raise refusal(str(self._root), holder)
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            fcntl.flock(self._waiting, fcntl.LOCK_UN)

    def _sign(self) -> None:
        if os.pread(self._file, TEXT_BYTES, 0) == self._text:
            return
        with contextlib.suppress(OSError):  # the lock is what counts; a full disk only spoils its text
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, self._text, 0)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        message = f"cannot lock {path}: {e.strerror or e}"
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageDenied(message, hint="Ask for permission to write to this folder.") from e
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(message, hint="Free some space on this disk.") from e
        raise StorageError(message, hint="Put the workspace on a file system that supports file locks.") from e


# A forked child shares its parent's open files, and would keep the lock when the parent has died.
_LOCKS: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    for lock in list(_LOCKS):
        lock._forget()


os.register_at_fork(after_in_child=_forget_in_child)
