"""The beat of an attempt: a small object, written over and over, that says how it is doing right now.

Any process that can read the store can show a run with it, without asking the node.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from raykqi.domain.beat import Beat, BeatFile
from raykqi.errors import ObjectMissing, StorageError
from raykqi.execution.logs import log_folder
from raykqi.storage.filesystem import Store

__all__ = ["BeatWriter", "beat_key", "listed", "read_beat", "read_progress"]

EACH = 2.0  # seconds
LOOK = 0.25  # seconds between looks for progress
MOST_FILES = 1000
TAIL = 4096
_PROGRESS = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)(%?)\s*(.*)\Z", re.DOTALL)


def beat_key(run: str, attempt: int) -> str:
    return f"{log_folder(run, attempt)}/beat.json"


def read_beat(store: Store, run: str, attempt: int) -> Beat | None:
    """The last one; None before the first, or when it cannot be read."""
    with contextlib.suppress(ObjectMissing, msgspec.MsgspecError):
        return msgspec.json.decode(store.get(beat_key(run, attempt)), type=Beat)
    return None


class BeatWriter:
    """Writes in a thread of its own, and never fails a run: a beat that cannot be stored is left out."""

    def __init__(self, store: Store, run: str, attempt: int, make: Callable[[], Beat], progress: Path) -> None:
        self._store = store
        self._key = beat_key(run, attempt)
        self._make = make
        self._progress = progress
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"beat of {run}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, *, last: bool = True) -> None:
        """After this nothing is written any more; `last` is for a beat that tells of the end."""
        self._ended.set()
        if self._thread.ident:
            self._thread.join()
        if last:
            self.write()

    def write(self) -> None:
        with contextlib.suppress(StorageError, OSError):
            self._store.put(self._key, msgspec.json.encode(self._make()))

    def _beat(self) -> None:
        self.write()
        seen, waited = _size(self._progress), 0.0
        while not self._ended.wait(LOOK):
            waited += LOOK
            now = _size(self._progress)
            if waited >= EACH or (now != seen and waited >= EACH / 4):
                seen, waited = now, 0.0
                self.write()


def read_progress(file: Path) -> tuple[float | None, str]:
    """The last whole line such as `0.35 epoch 7 of 20` or `35% epoch 7`."""
    try:
        with open(file, "rb") as written:
            written.seek(max(0, os.fstat(written.fileno()).st_size - TAIL))
            lines = written.read().decode(errors="replace").splitlines()
    except OSError:
        return None, ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    found = _PROGRESS.match(last)
    if not found:
        return None, last[:200]
    value = float(found[1]) / (100 if found[2] else 1)
    return min(max(value, 0.0), 1.0), found[3].strip()[:200]


def listed(outputs: Mapping[str, Path]) -> tuple[tuple[BeatFile, ...], bool]:
    """The first files of the outputs, and whether there are more."""
    files: list[BeatFile] = []
    for name, folder in outputs.items():
        for path, folders, names in os.walk(folder):
            folders.sort()
            for each in sorted(names):
                if len(files) >= MOST_FILES:
                    return tuple(files), True
                with contextlib.suppress(OSError):
                    whole = os.path.join(path, each)
                    shown = os.fsencode(os.path.relpath(whole, folder)).decode(errors="replace")
                    files.append(BeatFile(name, shown, os.lstat(whole).st_size))
    return tuple(files), False


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0
