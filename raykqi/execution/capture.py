"""What code inside of this process prints, into a file: also what C libraries and subprocesses print."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

__all__ = ["captured"]

# Handlers for logging keep the stream they were made with, so these stay the same from call to call.
_streams: list[TextIO] = []


@contextmanager
def captured(file: Path) -> Iterator[None]:
    """Standard output and error go to `file` until this ends."""
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if not _streams:
        _streams.extend(_stream(number) for number in (1, 2))
    before = sys.stdout, sys.stderr
    _flush(*before)
    kept = [os.dup(1), os.dup(2)]
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        sys.stdout, sys.stderr = _streams
        yield
    finally:
        _flush(sys.stdout, sys.stderr, *_streams)
        sys.stdout, sys.stderr = before
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, target):
            os.close(descriptor)


def _stream(number: int) -> TextIO:
    return open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush(*streams: TextIO | None) -> None:
    for stream in streams:
        with suppress(Exception):
            if stream is not None:
                stream.flush()
