"""The log of an attempt: from a file on the node into chunks in the store, and back to whoever reads it.

The command writes into a local file, so that it never waits for the store and nothing is dropped or
kept in memory; a thread carries the file's bytes over as `logs/<run>/<attempt>/<n>.log`. The first
bytes go at once, then a chunk each second, or when a chunk is full; chunks grow while there is much.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from raykqi.errors import ObjectMissing, StorageError
from raykqi.storage.filesystem import Store
from raykqi.storage.packs import MIB

__all__ = ["LogShipper", "chunk_key", "follow_log", "last_line", "log_folder", "read_log"]

LOOK = 0.1  # seconds between looks at the file
EACH = 1.0  # seconds between chunks that are not full
SMALLEST_FULL = MIB
LARGEST = 8 * MIB
AGAIN = 2.0  # seconds until a store that refused is tried again
FOLLOW = 0.2  # seconds between looks for the next chunk
TAIL = 4096


def log_folder(run: str, attempt: int) -> str:
    return f"logs/{run}/{attempt}"


def chunk_key(run: str, attempt: int, number: int) -> str:
    return f"{log_folder(run, attempt)}/{number:08d}.log"


class LogShipper:
    """`start`, and `finish` when nothing writes into the file any more."""

    def __init__(self, store: Store, run: str, attempt: int, file: Path, *, timeout: float) -> None:
        self.problem: StorageError | None = None
        self._store = store
        self._run, self._attempt = run, attempt
        self._path = file
        self._timeout = timeout
        self._number = self._at = 0
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._carry, name=f"log of {run}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Carry over the rest; gives up when the store fails for longer than the time limit."""
        self._finished.set()
        if self._thread.ident:
            self._thread.join()

    def _carry(self) -> None:
        full = SMALLEST_FULL
        sent = -EACH
        failing_since = 0.0
        with open(self._path, "rb", buffering=0) as file:
            while True:
                ending = self._finished.is_set()
                size = os.fstat(file.fileno()).st_size - self._at
                if size >= full or (size > 0 and (ending or time.monotonic() - sent >= EACH)):
                    try:
                        self._send(os.pread(file.fileno(), min(size, full), self._at))
                    except StorageError as error:
                        self.problem = error
                        failing_since = failing_since or time.monotonic()
                        if ending and time.monotonic() - failing_since > self._timeout:
                            return
                        self._wait(AGAIN)
                        continue
                    self.problem, failing_since = None, 0.0
                    sent = time.monotonic()
                    full = min(full * 2, LARGEST) if size > full else SMALLEST_FULL
                elif ending:
                    return
                else:
                    self._finished.wait(LOOK)

    def _send(self, data: bytes) -> None:
        self._store.put(chunk_key(self._run, self._attempt, self._number), data)
        self._number += 1
        self._at += len(data)

    def _wait(self, seconds: float) -> None:
        if self._finished.is_set():
            threading.Event().wait(seconds)
        else:
            self._finished.wait(seconds)


def read_log(store: Store, run: str, attempt: int) -> Iterator[bytes]:
    """What there is of the log now, piece by piece."""
    for found in store.list(f"{log_folder(run, attempt)}/"):
        if found.key.endswith(".log"):
            with contextlib.suppress(ObjectMissing):  # removed while it was read
                yield from store.read(found.key)


def follow_log(
    store: Store, run: str, attempt: int, done: Callable[[], bool], *, pause: float = FOLLOW
) -> Iterator[bytes]:
    """The log as it comes, until `done` says that the attempt has ended and all of it was read."""
    number = 0
    nothing = threading.Event()
    while True:
        ending = done()
        try:
            data = store.get(chunk_key(run, attempt, number))
        except ObjectMissing:
            if ending:
                return
            nothing.wait(pause)
        else:
            number += 1
            yield data


def last_line(file: Path) -> str:
    """The last line of a log that says something, as text."""
    try:
        with open(file, "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
            lines = log.read().decode(errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    said = (line.strip() for line in reversed(lines) if not line.startswith("[raykqi] "))
    shown = next(filter(None, said), "")[:200]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shown)
