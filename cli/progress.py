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
    """Transfers count in many threads; one of our own draws."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._drawer: threading.Thread | None = None
        self._begin("", 0, 0)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.finish()

    def start(self, label: str, files: int, size: int) -> None:
        self.finish()
        with self._lock:
            self._begin(label, files, size)
        if self._shown:
            self._ended.clear()
            self._drawer = threading.Thread(target=self._draw, name="raykqi-progress", daemon=True)
            self._drawer.start()

    def advance(self, files: int, size: int) -> None:
        with self._lock:
            self._files += files
            self._size += size

    def finish(self) -> None:
        if self._drawer is not None:
            self._ended.set()
            self._drawer.join()
            self._drawer = None

    def _begin(self, label: str, files: int, size: int) -> None:
        self._label = clean(label)
        self._all_files, self._all_size = files, size
        self._files = self._size = 0
        self._began = time.monotonic()

    def _draw(self) -> None:
        drawn = False
        while not self._ended.wait(BETWEEN_DRAWS if drawn else PATIENCE):
            with self._lock:
                text = self._text(time.monotonic() - self._began, shutil.get_terminal_size().columns - 1)
            _write(ERASE_LINE + text)
            drawn = True
        if drawn:
            _write(ERASE_LINE)

    def _text(self, elapsed: float, width: int) -> str:
        """As many of the parts as fit, the most telling first."""
        share = self._share()
        speed = self._size / elapsed if elapsed else 0.0
        left = elapsed / share - elapsed if share else 0.0
        parts = [
            f"{share:4.0%}",
            f"{show_size(self._size)} of {show_size(self._all_size)}" if self._all_size else "",
            f"{self._files:,} of {self._all_files:,} files" if self._all_files > 1 else "",
            f"{show_size(int(speed))}/s" if self._size else "",
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
        return "█" * full + "░" * (BAR - full) if _draws() else "#" * full + "-" * (BAR - full)


def _draws() -> bool:
    return (sys.stderr.encoding or "").lower().startswith("utf")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
