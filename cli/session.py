"""What every command is given: which workspace, how to print, how to show progress."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import Output
from cli.progress import Bar
from raykqi.errors import Conflict, WorkspaceMissing

if TYPE_CHECKING:
    from raykqi.client import RemoteWorkspace
    from raykqi.client.target import Target
    from raykqi.workspace import Workspace

    AnyWorkspace = Workspace | RemoteWorkspace

__all__ = ["DEFAULT_URL", "AnyWorkspace", "Session", "is_server"]

DEFAULT_URL = "./.raykqi"


@dataclass(frozen=True)
class Session:
    workspace: str | None = None
    json: bool = False
    profile: str | None = None
    project: str | None = None
    out: Output = field(default_factory=Output)

    def open(self, *, for_repair: bool = False) -> AnyWorkspace:
        """The workspace that was named, or the one that is meant when none is: here, else at a server.

        `for_repair` opens it with a damaged journal too, for commands that examine or save it.
        """
        import raykqi

        named = self._named()
        if is_server(named):
            return raykqi.connect(named, project=self.project)
        if named is not None or self._is_nearby():
            return raykqi.open(named, project=self.project, for_repair=for_repair)
        try:
            return raykqi.connect(profile=self.profile, project=self.project)
        except WorkspaceMissing as missing:
            raise WorkspaceMissing(
                f"no workspace was named, neither {Path.cwd()} nor a folder above it has a .raykqi, "
                "and no server is known",
                hint="`raykqi init` makes one here, `raykqi login URL` remembers a server; --workspace names either.",
            ) from missing

    def open_here(self) -> Workspace:
        """The same, where it has to be opened by this very process."""
        import raykqi

        named = self._named()
        if is_server(named) or self.profile:
            raise Conflict(
                f"{_shown(named) if named else f'profile {self.profile}'} is a server, and this needs the store itself",
                hint="Do it on a machine that reaches the store: --workspace FOLDER or s3://bucket/prefix.",
            )
        return raykqi.open(named, project=self.project)

    def server(self) -> Target:
        """The server of the workspace that is meant: for what only a server answers."""
        from raykqi.client.target import find_target, server_of, target_at
        from raykqi.settings import ServerSettings

        settings, named = ServerSettings.from_env(), self._named()
        if named is not None and is_server(named):
            return target_at(named, settings)
        if named is None and not self._is_nearby():
            return find_target(settings, profile=self.profile)
        with self.open() as workspace:
            id_, url = workspace.id, workspace.url
        return server_of(id_, url, settings)

    def where_to_make(self, url: str | None = None) -> str:
        """Where a new workspace goes, if not at `url`."""
        from raykqi.settings import Settings

        where = url or self.workspace or Settings.from_env().workspace or DEFAULT_URL
        if is_server(where):
            raise Conflict(
                f"no workspace can be made at {_shown(where)}: a server serves one that is there",
                hint="Make it where its store is: raykqi init FOLDER, or raykqi init s3://bucket/prefix.",
            )
        return where

    def progress(self) -> AbstractContextManager[Bar]:
        return Bar()

    def _named(self) -> str | None:
        from raykqi.settings import Settings

        return self.workspace or (None if self.profile else Settings.from_env().workspace)

    def _is_nearby(self) -> bool:
        from raykqi.settings import nearest_workspace

        return not self.profile and nearest_workspace(Path.cwd()) is not None


def is_server(text: str | None) -> bool:
    return text is not None and text.lower().startswith(("http://", "https://"))


def _shown(url: str) -> str:
    """Without the token that it may bring along."""
    return url.partition("?")[0]
