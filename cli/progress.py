"""A progress bar on stderr: one line while a transfer runs, nothing when it has ended or is not watched."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType

from cli.table import cut
from cli.values import show_duration, show_size
from raykqi.rendering.text import clean
from raykqi.rendering.text import columns as width_of

__all__ = ["Bar"]

ERASE_LINE = "\r\x1b[K"
# What is over sooner than this needs no bar.
PATIENCE = 0.4
BETWEEN_DRAWS = 0.1
BAR = 24
LABEL = 40


class Bar:
    """Called from many threads; draws at most ten times a second."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._draws = (sys.stderr.encoding or "").lower().startswith("utf")
        self._lock = threading.Lock()
        self._drawn = False
        self._next_draw = 0.0
        self._begin("", 0, 0)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.finish()

    def start(self, label: str, files: int, size: int) -> None:
        with self._lock:
            self._begin(label, files, size)

    def advance(self, files: int, size: int) -> None:
        if not self._shown:
            return
        with self._lock:
            self._files += files
            self._size += size
            now = time.monotonic()
            if now >= self._next_draw:
                self._next_draw = now + BETWEEN_DRAWS
                self._drawn = True
                sys.stderr.write(ERASE_LINE + self._text(now - self._began, shutil.get_terminal_size().columns - 1))
                sys.stderr.flush()

    def finish(self) -> None:
        with self._lock:
            if self._drawn:
                sys.stderr.write(ERASE_LINE)
                sys.stderr.flush()
                self._drawn = False

    def _begin(self, label: str, files: int, size: int) -> None:
        self._label = clean(label)
        self._all_files, self._all_size = files, size
        self._files = self._size = 0
        self._began = time.monotonic()
        self._next_draw = self._began + PATIENCE

    def _text(self, elapsed: float, width: int) -> str:
        """As many of the parts as fit, the most telling first."""
        share = self._share()
        speed = self._size / elapsed if elapsed else 0.0
        left = elapsed / share - elapsed if share else 0.0
        parts = [
            f"{share:4.0%}",
            f"{show_size(self._size)} of {show_size(self._all_size)}" if self._all_size else "",
            f"{self._files:,} of {self._all_files:,} files" if self._all_files > 1 else "",
            f"{show_size(int(speed))}/s" if self._all_size else "",
            f"{show_duration(left)} left" if share else "",
        ]
        text = cut(self._label, min(LABEL, max(8, width - 8)))
        for part in parts:
            if part and width_of(text) + 2 + width_of(part) <= width:
                text += f"  {part}"
        if width_of(text) + 2 + BAR <= width:
            text += f"  {self._bar(share)}"
        return text

    def _share(self) -> float:
        done, whole = (self._size, self._all_size) if self._all_size else (self._files, self._all_files)
        return min(1.0, done / whole) if whole else 0.0

    def _bar(self, share: float) -> str:
        full = round(share * BAR)
        return "█" * full + "░" * (BAR - full) if self._draws else "#" * full + "-" * (BAR - full)
