"""A temporary folder that goes with the process that holds it: where that was killed, the next one removes it,
and ends the proxies that were left in it.

A lock on a file in it, which the kernel releases, says that somebody holds it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from raykqi.cluster.proxies import end_proxies

__all__ = ["held_folder"]

PREFIX = "raykqi-ray-"
LOCK = "held"
YOUNG = 60.0  # seconds in which a folder may be without its lock, because it is being made


@contextmanager
def held_folder(parent: Path, *, young: float = YOUNG) -> Iterator[Path]:
    """A new one below `parent`, ours alone; those that nobody holds any more are removed."""
    _remove_abandoned(parent, young)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        lock = os.open(made / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield made
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _remove_abandoned(parent: Path, young: float) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else may remove it, too
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if is_ours and time.time() - found.st_mtime >= young and _is_free(folder / LOCK):
                end_proxies(folder)
                shutil.rmtree(folder, ignore_errors=True)


def _is_free(path: Path) -> bool:
    """Without a lock file it is not one of these folders."""
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
