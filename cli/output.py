"""What a command prints: results to stdout, everything said about them to stderr.

Colours only on a terminal, no cut text in a pipe, and no crash on characters that the encoding of the
terminal lacks. A reader that went away ends the program silently.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from cli.table import GAP, Column, lay_out
from raykqi.errors import StorageError
from raykqi.rendering.text import clean

__all__ = ["Output", "ReaderGone", "abandon_stdout", "finish", "harmless", "is_coloured", "prepare_streams"]

STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class ReaderGone(Exception):
    """Whoever read our stdout has closed it."""


class Output:
    def __init__(self) -> None:
        self._coloured = is_coloured(sys.stdout)

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty()

    @property
    def draws(self) -> bool:
        """Whether arrows and bars can be shown."""
        return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")

    def line(self, text: str = "") -> None:
        with _guarded():
            sys.stdout.write(f"{text}\n")

    def lines(self, texts: Iterable[str]) -> None:
        with _guarded():
            sys.stdout.writelines(f"{text}\n" for text in texts)

    def at_once(self, text: str) -> None:
        """A line that a reader may act on while we go on."""
        with _guarded():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def text(self, text: str) -> None:
        """Text that ends its own lines."""
        with _guarded():
            sys.stdout.write(text)

    def bytes(self, chunks: Iterable[bytes], *, at_once: bool = False) -> None:
        """Exactly these bytes; `at_once` where a reader waits for each piece."""
        with _guarded():
            sys.stdout.flush()
        for chunk in chunks:
            with _guarded():
                sys.stdout.buffer.write(chunk)
                if at_once:
                    sys.stdout.buffer.flush()
        with _guarded():
            sys.stdout.buffer.flush()

    def json_line(self, value: object) -> None:
        """One of many values that come bit by bit, on a line of its own."""
        self.at_once(json.dumps(value, ensure_ascii=not self.draws))

    def json(self, value: object) -> None:
        """A list gets one line an item, so that it can be read in pieces; anything else is indented."""
        with _guarded():
            sys.stdout.writelines(f"{piece}\n" for piece in self._json(value))

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        *,
        header: bool = True,
        exact: bool = False,
        end: str = "",
    ) -> None:
        """`exact` keeps every cell whole, as for paths; `end` is written after each line."""
        width = shutil.get_terminal_size().columns if self.is_terminal and not exact else None
        cleaned = [[harmless(cell) if exact else _one_line(cell) for cell in row] for row in rows]
        laid = lay_out(columns, cleaned, width)
        titles = next(laid)
        if header:
            self.line(GAP.join(self.styled(cell, "dim") for cell, _ in titles).rstrip() + end)
        self.lines(GAP.join(self.styled(cell, column.style) for cell, column in row).rstrip() + end for row in laid)

    def note(self, text: str) -> None:
        """Something a person wants to know and a script does not."""
        if sys.stderr.isatty():
            print(text, file=sys.stderr)

    def complain(self, text: str) -> None:
        """The answer is no: what a person should read although nothing failed."""
        print(text, file=sys.stderr)

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{CODES[style]}m{text}\x1b[0m" if style and self._coloured and text.strip() else text

    def _json(self, value: object) -> Iterator[str]:
        # A character that stdout cannot encode would be escaped in a way that JSON does not know.
        dump: dict[str, Any] = {"ensure_ascii": not self.draws}
        if not isinstance(value, list):
            yield json.dumps(value, indent=2, **dump)
        elif not value:
            yield "[]"
        else:
            *others, last = value
            yield "["
            yield from (f"  {json.dumps(item, **dump)}," for item in others)
            yield f"  {json.dumps(last, **dump)}"
            yield "]"


def is_coloured(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def prepare_streams() -> None:
    """Characters that an encoding lacks are written as escapes and never end the program.

    A stdout without a buffer (PYTHONUNBUFFERED) gets one: without it, a pipe that takes only part of
    a text would silently lose the rest.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=sys.stdout.encoding, line_buffering=sys.stdout.isatty()
        )
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def finish() -> None:
    """What is still buffered must be out before we can claim success."""
    with _guarded():
        sys.stdout.flush()


def abandon_stdout(*, unless_it_works: bool = False) -> None:
    """Nothing more can be written; the interpreter must not try again when it ends."""
    if unless_it_works:
        try:
            sys.stdout.flush()
        except OSError:
            pass
        else:
            return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    finally:
        os.close(nowhere)


@contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        raise StorageError(
            f"the output could not be written: {error.strerror}", hint="Check where stdout goes to."
        ) from error


def harmless(text: str) -> str:
    """The text with escapes in place of whatever steers a terminal."""
    return "".join(char if unicodedata.category(char) not in STEERING else ascii(char)[1:-1] for char in text)


def _one_line(text: str) -> str:
    """`clean` also takes away what steers a terminal; leading space is indentation here."""
    indent = len(text) - len(text.lstrip(" "))
    return " " * indent + clean(text)
