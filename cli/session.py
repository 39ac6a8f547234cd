"""What every command is given: which workspace, how to print, how to show progress."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.output import Output
from cli.progress import Bar

if TYPE_CHECKING:
    from raykqi.workspace import Workspace

__all__ = ["Session"]


@dataclass(frozen=True)
class Session:
    workspace: str | None = None
    json: bool = False
    out: Output = field(default_factory=Output)

    def open(self, *, for_repair: bool = False) -> Workspace:
        """The workspace that was named, or the one that is meant when none is.

        `for_repair` opens it with a damaged journal too, for commands that examine or save it.
        """
        import raykqi

        return raykqi.open(self.workspace, for_repair=for_repair)

    def progress(self) -> AbstractContextManager[Bar]:
        return Bar()
