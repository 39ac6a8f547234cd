"""What every command is given: which workspace, how to print, how to show progress."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.output import Output
from cli.progress import Bar

if TYPE_CHECKING:
    from raykqi.workspace import Workspace

__all__ = ["DEFAULT_URL", "Session"]

DEFAULT_URL = "./.raykqi"


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

    def where_to_make(self, url: str | None = None) -> str:
        """Where a new workspace goes, if not at `url`."""
        from raykqi.settings import Settings

        return url or self.workspace or Settings.from_env().workspace or DEFAULT_URL

    def progress(self) -> AbstractContextManager[Bar]:
        return Bar()
