"""The log of an attempt: from a file on the node into chunks in the store, and back to whoever reads it.

The command writes into a local file, so that it never waits for the store and nothing is dropped or
kept in memory; a thread carries the file's bytes over as `logs/<run>/<attempt>/<n>.log`. The first
bytes go at once, then a chunk each second, or when a chunk is full; chunks grow while there is much.
Where writing costs next to nothing, the newest chunk is written again with what was added, many times a second.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from raykqi.errors import ObjectMissing, StorageError
from raykqi.execution.log_reader import LogReader, chunk_key, log_folder
from raykqi.journal.settling import is_near
from raykqi.storage.filesystem import Store
from raykqi.storage.packs import MIB
from raykqi.storage.watching import Watch

__all__ = ["LogShipper", "chunk_key", "follow_log", "last_line", "log_folder", "read_log"]

LOOK = 0.1  # seconds between looks at the file
EACH = 1.0  # seconds between chunks that are not full
NEAR = 0.1  # seconds between writes of a chunk where they cost next to nothing
SMALLEST_FULL = MIB
LARGEST_AGAIN = MIB // 4  # that is written again with more
LARGEST = 8 * MIB
AGAIN = 2.0  # seconds until a store that refused is tried again
FOLLOW = 0.2  # seconds between looks for more, where nobody tells
TOLD = 0.5  # the same where somebody does: whether the attempt has ended
TAIL = 4096


class LogShipper:
    """`start`, and `finish` when nothing writes into the file any more."""

    def __init__(self, store: Store, run: str, attempt: int, file: Path, *, timeout: float) -> None:
        self.problem: StorageError | None = None
        self._store = store
        self._run, self._attempt = run, attempt
        self._path = file
        self._timeout = timeout
        self._each = NEAR if is_near(store) else EACH
        self._number = 0
        self._begin = self._at = 0  # of the newest chunk, and up to where it has come
        self._begun = float("-inf")
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
        sent = float("-inf")
        failing_since = 0.0
        with open(self._path, "rb", buffering=0) as file:
            while True:
                ending = self._finished.is_set()
                size = os.fstat(file.fileno()).st_size - self._at
                if size >= full or (size > 0 and (ending or time.monotonic() - sent >= self._each)):
                    try:
                        self._send(file.fileno(), min(size, full))
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

    def _send(self, file: int, size: int) -> None:
        """As the next chunk, or with what the newest one has, as long as that is young and small."""
        now = time.monotonic()
        is_next = now - self._begun >= EACH or self._at - self._begin + size > LARGEST_AGAIN or self._each == EACH
        begin = self._at if is_next else self._begin
        number = self._number + 1 if is_next else self._number
        data = os.pread(file, self._at + size - begin, begin)
        self._store.put(chunk_key(self._run, self._attempt, number - 1), data)
        if is_next:
            self._number, self._begin, self._begun = number, begin, now
        self._at = begin + len(data)

    def _wait(self, seconds: float) -> None:
        if self._finished.is_set():
            threading.Event().wait(seconds)
        else:
            self._finished.wait(seconds)


def read_log(store: Store, run: str, attempt: int | str) -> Iterator[bytes]:
    """What there is of the log now, piece by piece."""
    for found in store.list(f"{log_folder(run, attempt)}/"):
        if found.key.endswith(".log"):
            with contextlib.suppress(ObjectMissing):  # removed while it was read
                yield from store.read(found.key)


def follow_log(
    store: Store, run: str, attempt: int | str, done: Callable[[], bool], *, pause: float = FOLLOW
) -> Iterator[bytes]:
    """The log as it comes, until `done` says that the attempt has ended and all of it was read."""
    reader = LogReader(store, run, attempt)
    written = threading.Event()
    with ExitStack() as undo:
        if store.local_path("logs") is not None:
            pause = max(pause, TOLD)
            undo.callback(Watch(store, log_folder(run, attempt), written.set).close)
        while True:
            written.clear()
            ending = done()
            yield from reader.more()
            if ending:
                return
            written.wait(pause)


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
