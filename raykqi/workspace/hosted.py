"""The one controller of a served workspace, as an actor of a cluster holds it.

Whoever finds none makes one: of many that try at once, one succeeds, and the others use it. It also brings
up the endpoints, whose replicas ask it what to serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from raykqi.catalog.endpoint_queries import get_job
from raykqi.controller.gauging import Gauging
from raykqi.controller.receiving import Receiver
from raykqi.controller.rollouts import Rollouts
from raykqi.domain.hooks import Hooks
from raykqi.domain.ids import SystemClock
from raykqi.domain.resources import Resources
from raykqi.errors import Unauthenticated, UnknownId
from raykqi.opening import Description, Parts, open_parts
from raykqi.server import Server
from raykqi.settings import Settings
from raykqi.storage.access_key import read_access_key
from raykqi.workspace.callers import Callers
from raykqi.workspace.vigil import Vigil

__all__ = ["Hosted", "controller_arguments", "controller_name", "host", "make_controller"]


class Hosted:
    """Commits for its followers and runs plans; what it carries out outlives it, unless it is told otherwise."""

    def __init__(
        self, url: str, settings: Settings, limit: Resources | None, hooks: Hooks | None, api_url: str = ""
    ) -> None:
        from raykqi.cluster.ray_nodes import RayNodes

        self._leave_running = True
        with ExitStack() as undo:
            parts = open_parts(url, settings)
            undo.callback(parts.store.close)
            undo.callback(parts.keeper.index.close)
            undo.callback(parts.controller.close)
            nodes = RayNodes(settings, workspace=parts.store.url)
            self._rollouts = self._make_rollouts(parts, settings)
            self._server = Server(
                parts, settings, nodes, limit=limit, hooks=hooks, api_url=api_url, rollouts=self._rollouts
            )
            undo.callback(lambda: self._server.close(leave_running=self._leave_running))
            self._callers = Callers(parts.keeper, cache(lambda: read_access_key(parts.store)))
            self._keeper = parts.keeper
            self._receiver = Receiver(parts.controller)
            undo.callback(self._receiver.close)
            self._undo = undo.pop_all()
        self._vigil = Vigil(lambda: self._server.drain(0), self._undo.close)

    def commit(self, commands: bytes) -> bytes:
        """See `Receiver`."""
        return self._receiver.commit(commands)

    def running(self) -> int:
        """How many attempts are under way."""
        return self._server.running

    # For replicas of endpoints

    def follow(self, report: bytes) -> bytes:
        """See `Rollouts`."""
        return self._rollouts.follow(report)

    def admit(self, token: str) -> bytes:
        """Who comes with it, as MessagePack. One that is not valid is told by an empty answer."""
        try:
            return msgspec.msgpack.encode(self._keeper.sound(lambda: self._callers.caller(token)))
        except Unauthenticated:
            return b""

    def job(self, id_: str) -> bytes:
        """As MessagePack, or empty when there is none."""
        try:
            return msgspec.msgpack.encode(self._keeper.sound(lambda: get_job(self._keeper.index, id_, project="")))
        except UnknownId:
            return b""

    def generation(self) -> int:
        """Which collection of unused objects was the last, for those who are about to store some."""
        return self._keeper.position.generation

    def endpoint_counts(self) -> bytes:
        """What the revisions of all endpoints have done, as MessagePack."""
        return msgspec.msgpack.encode(self._rollouts.counts())

    def endpoint_replicas(self, endpoint: str) -> bytes:
        """The last words of its replicas, as MessagePack."""
        return msgspec.msgpack.encode(self._rollouts.replicas(endpoint))

    def _make_rollouts(self, parts: Parts, settings: Settings) -> Rollouts:
        from raykqi.cluster.serve_apps import ServeApps
        from raykqi.server import committing

        arguments = {
            "workspace": parts.store.url,
            "controller": controller_name(parts.description),
            "user": settings.user,
        }
        gauging = Gauging(parts.keeper, parts.store, settings)
        return Rollouts(committing(parts.controller), gauging, ServeApps(arguments), clock=SystemClock())

    def close(self, leave_running: bool = True) -> None:
        self._leave_running = leave_running
        self._vigil.close()
        self._undo.close()


def host(
    url: str, user: str, limit: Resources | None = None, hooks: Hooks | str | None = None, api_url: str = ""
) -> Hosted:
    """The factory of the controller's actor. Its settings are those of its own machine, and so is a file of hooks."""
    if isinstance(hooks, str):
        from raykqi.importers.hooks_file import read_hooks

        hooks = read_hooks(Path(hooks))
    return Hosted(url, replace(Settings.from_env(), user=user), limit, hooks, api_url)


def controller_name(description: Description) -> str:
    """A cluster may serve several workspaces."""
    return f"raykqi-controller-{description.id}"


def controller_arguments(
    url: str, user: str, limit: Resources | None = None, hooks: Hooks | str | None = None, api_url: str = ""
) -> dict[str, Any]:
    """At `api_url` runs reach the API, if they do; they are given a token for it."""
    return {"url": url, "user": user, "limit": limit, "hooks": hooks, "api_url": api_url}


def make_controller(name: str, arguments: Mapping[str, Any], *, cpus: float = 0.0, wait: bool = True) -> Any:
    """The actor of this name on the cluster that this process is connected to."""
    from raykqi.cluster.controller_actor import start_controller

    return start_controller(f"{__name__}:{host.__name__}", arguments, name=name, cpus=cpus, wait=wait)
