"""Where in a description a value stands, so that every complaint can name file, line and key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

from raykqi.errors import InvalidInput

__all__ = ["Places", "Where", "nearest", "quote"]

Where = tuple[str | int, ...]  # ("inputs", 0, "path")


class Places:
    """`lines` are those of the keys and items that are known; others stand where what holds them does."""

    def __init__(self, source: str = "", lines: Mapping[Where, int] | None = None) -> None:
        self.source = source
        self._lines = lines or {}

    def show(self, where: Where) -> str:
        """`plan.yaml:7: inputs[0].path`."""
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
        return ": ".join(text for text in (self._show_line(where), key) if text)

    def refuse(self, where: Where, message: str, *, hint: str) -> NoReturn:
        place = self.show(where)
        raise InvalidInput(f"{place}: {message}" if place else message, hint=hint)

    @contextmanager
    def at(self, *where: str | int) -> Iterator[None]:
        """Say where it was, when a rule that knows nothing of places refuses a value."""
        try:
            yield
        except InvalidInput as error:
            place = self.show(where)
            raise type(error)(f"{place}: {error.message}" if place else error.message, hint=error.hint) from error

    def _show_line(self, where: Where) -> str:
        known = next((where[:end] for end in range(len(where), -1, -1) if where[:end] in self._lines), None)
        if known is None:
            return self.source
        return f"{self.source}:{self._lines[known]}" if self.source else f"line {self._lines[known]}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint: what was probably meant, or all there is."""
    by_fold = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {by_fold[close[0]]!r}?"
    return f"There is {', '.join(by_fold.values())}." if by_fold else "There is none."


def quote(value: object) -> str:
    """A value as a message shows it: short enough to be read."""
    shown = repr(str(value)) if isinstance(value, str) else repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "…" + shown[-1]
