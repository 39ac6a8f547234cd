"""An answer in pieces: what a user's class yields, as lines of JSON, text or bytes by what comes first."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from raykqi.errors import RaykqiError
from raykqi.serving.frames import Answered
from raykqi.serving.problems import problem, problem_of
from raykqi.serving.rendering import as_json

__all__ = ["Chunks"]

LINES = "application/x-ndjson"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


class Chunks:
    """`next` gives a piece, None at the end, or what went wrong."""

    def __init__(self, stream: Callable[[Any], Iterator[Any]], inputs: Any) -> None:
        self._stream = stream
        self._inputs = inputs
        self._pieces: Iterator[Any] | None = None
        self.headers = {"content-type": LINES}
        self.is_begun = False

    def next(self) -> bytes | Answered | None:
        try:
            if self._pieces is None:
                self._pieces = iter(self._stream(self._inputs))
            piece = next(self._pieces)
            if not self.is_begun:
                self.headers = {"content-type": _type_of(piece)}
            self.is_begun = True
            return self._encoded(piece)
        except StopIteration:
            return None
        except RaykqiError as error:
            return problem_of(error)
        except (Exception, SystemExit) as error:
            traceback.print_exception(error)
            return problem(500, f"the model failed on this request: {type(error).__name__}: {error}")

    def close(self) -> None:
        """The class may have begun something that it has to end."""
        with contextlib.suppress(Exception):
            if self._pieces is not None and hasattr(self._pieces, "close"):
                self._pieces.close()

    def _encoded(self, piece: Any) -> bytes:
        if self.headers["content-type"] == LINES:
            return as_json(piece) + b"\n"
        if isinstance(piece, str):
            return piece.encode()
        if isinstance(piece, bytes | bytearray | memoryview):
            return bytes(piece)
        raise msgspec.ValidationError(f"a {type(piece).__name__} was yielded after text or bytes")


def _type_of(piece: Any) -> str:
    if isinstance(piece, str):
        return TEXT
    return BYTES if isinstance(piece, bytes | bytearray | memoryview) else LINES
