"""What moves on a terminal: a line that is written over, and a page that is drawn anew."""

from __future__ import annotations

import shutil
import sys
from types import TracebackType

from cli.output import harmless
from cli.table import cut

__all__ = ["LiveLine", "bar"]

ERASE_LINE = "\r\x1b[K"


class LiveLine:
    """One line on stderr while something goes on; nothing where nobody watches."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._drawn = False

    def __enter__(self) -> LiveLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    @property
    def is_seen(self) -> bool:
        return self._shown

    def show(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(ERASE_LINE + cut(harmless(text), shutil.get_terminal_size().columns - 1))
            sys.stderr.flush()
            self._drawn = True

    def clear(self) -> None:
        """Before anything else is written."""
        if self._drawn:
            sys.stderr.write(ERASE_LINE)
            sys.stderr.flush()
            self._drawn = False


def bar(share: float, width: int, *, draws: bool) -> str:
    full = round(min(1.0, max(0.0, share)) * width)
    return "█" * full + "░" * (width - full) if draws else "#" * full + "-" * (width - full)
