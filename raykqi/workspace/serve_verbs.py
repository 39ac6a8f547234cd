"""Letting plans run: in this process, on a Ray that is started or joined, or left on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from raykqi.domain.resources import Resources
from raykqi.errors import WorkspaceOwned
from raykqi.workspace.inside import Inside

if TYPE_CHECKING:
    from raykqi.controller.nodes import Nodes
    from raykqi.domain.hooks import Hooks
    from raykqi.server import Server
    from raykqi.workspace.hosting import ApiPlace, Hosting
    from raykqi.workspace.serving import Serving

__all__ = ["ServeVerbs"]


class ServeVerbs(Inside):
    def serve(self, nodes: Nodes, *, limit: Resources | None = None, hooks: Hooks | Path | str | None = None) -> Server:
        """Run plans on these nodes until the server that is answered is closed. `hooks` may be a file."""
        from raykqi.server import Server

        server = Server(self._parts, self._settings, nodes, limit=limit, hooks=_hooks(hooks))
        self._servers.append(server)
        return server

    def serving(
        self,
        *,
        address: str | None = None,
        cpus: int | None = None,
        gpus: int | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
        dashboard: bool = False,
        limit: Resources | None = None,
        hooks: Hooks | Path | str | None = None,
    ) -> AbstractContextManager[Serving]:
        """Run plans within a `with` block, on a Ray of this machine with these resources or the one at `address`.

        `hooks`, or the file that tells them, are asked before each step of a run and told after it.
        A Ray of our own ends with the block, and what it ran waits again; on one that was joined, runs go on.
        """
        from raykqi.workspace.serving import open_serving

        return open_serving(
            self._parts,
            self._settings,
            address=address,
            cpus=cpus,
            gpus=gpus,
            memory=memory,
            resources=resources,
            labels=labels,
            dashboard=dashboard,
            limit=limit,
            hooks=_hooks(hooks),
        )

    def hosting(
        self,
        place: ApiPlace | None = None,
        *,
        address: str | None = None,
        cpus: int | None = None,
        gpus: int | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
        dashboard: bool = False,
        limit: Resources | None = None,
        hooks: Hooks | Path | str | None = None,
    ) -> AbstractContextManager[Hosting]:
        """As `serving`, with the HTTP API and endpoints at that place, or at one that is free on this machine.

        What runs plans is a process of the Ray, as on a cluster.
        """
        from raykqi.workspace.hosting import ApiPlace, open_hosting

        return open_hosting(
            self._parts,
            self._settings,
            place or ApiPlace(),
            address=address,
            cpus=cpus,
            gpus=gpus,
            memory=memory,
            resources=resources,
            labels=labels,
            dashboard=dashboard,
            limit=limit,
            hooks=_hooks(hooks),
        )

    def work(
        self,
        *,
        address: str | None = None,
        cpus: int | None = None,
        gpus: int | None = None,
        memory: int | None = None,
        hooks: Hooks | Path | str | None = None,
        timeout: float | None = None,
        tick: Callable[[], None] | None = None,
    ) -> bool:
        """Run what waits, and what comes of it, on a Ray of this machine or the one at `address`; then end it.

        True when nothing is left that could run.
        """
        with self.serving(address=address, cpus=cpus, gpus=gpus, memory=memory, hooks=hooks) as serving:
            return serving.drain(timeout, tick=tick)

    def serve_detached(
        self, *, address: str, limit: Resources | None = None, hooks: Hooks | Path | str | None = None
    ) -> str:
        """Run plans on the cluster at `address` from now on, without this process; the name of what does it."""
        from raykqi.workspace.serving import start_detached

        return start_detached(self._parts, self._settings, address=address, limit=limit, hooks=_hooks(hooks))

    def stop_detached(self, *, address: str) -> str:
        """End what `serve_detached` began; runs that are under way go on."""
        from raykqi.workspace.serving import stop_detached

        return stop_detached(self._parts, address=address)

    def is_served(self) -> bool:
        """Whether something runs the plans of this workspace now, so that what waits will not wait forever."""
        from raykqi.server import take_right

        try:
            take_right(self._store, self._settings, 0).close()
        except WorkspaceOwned:
            return True
        return False


def _hooks(hooks: Hooks | Path | str | None) -> Hooks | None:
    if not isinstance(hooks, Path | str):
        return hooks
    from raykqi.importers.hooks_file import read_hooks

    return read_hooks(hooks)
