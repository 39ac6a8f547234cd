"""How long transfers tell whoever watches what they have done."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "SilentProgress"]


class Progress(Protocol):
    """Called from many threads at once; `files` and `size` are totals in `start`, increments in `advance`."""

    def start(self, label: str, files: int, size: int) -> None: ...

    def advance(self, files: int, size: int) -> None: ...

    def finish(self) -> None: ...


class SilentProgress:
    def start(self, label: str, files: int, size: int) -> None:
        pass

    def advance(self, files: int, size: int) -> None:
        pass

    def finish(self) -> None:
        pass
