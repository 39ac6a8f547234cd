"""A workspace whose plans run: a Ray that was started or joined, its nodes, and the server that uses them.

`open_serving` keeps that up in this process; `start_detached` leaves it on a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from raykqi.domain.hooks import Hooks
from raykqi.domain.resources import Resources
from raykqi.errors import Conflict
from raykqi.opening import Parts
from raykqi.server import Server, take_right
from raykqi.settings import Settings
from raykqi.workspace.hosted import controller_arguments, controller_name, make_controller

__all__ = ["Serving", "check_reachable", "open_serving", "start_detached", "stop_detached"]


@dataclass(frozen=True)
class Serving:
    """`dashboard` is the URL of Ray's own, or "", which asks for `token`; `is_own` says whose Ray it is."""

    server: Server
    address: str
    dashboard: str
    token: str = field(repr=False)
    is_own: bool

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return self.server.running

    def check(self) -> None:
        """Raises what made it stop to run plans, if anything did."""
        self.server.drain(0)

    def drain(
        self, timeout: float | None = None, *, tick: Callable[[], None] | None = None, every: float = 0.5
    ) -> bool:
        """Until nothing runs and nothing can start; False when the time is over before."""
        return self.server.drain(timeout, tick=tick, every=every)


@contextmanager
def open_serving(
    parts: Parts,
    settings: Settings,
    *,
    address: str | None = None,
    cpus: int | None = None,
    gpus: int | None = None,
    memory: int | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    dashboard: bool = False,
    limit: Resources | None = None,
    hooks: Hooks | None = None,
) -> Iterator[Serving]:
    """At the end, runs go on upon a Ray that was joined; those upon a Ray of our own end with it and wait again."""
    check_reachable(parts.store.url)
    take_right(parts.store, settings, 0).close()  # before a Ray is started in vain
    from raykqi.cluster.local_ray import start_or_join

    with start_or_join(
        address=address, cpus=cpus, gpus=gpus, memory=memory, resources=resources, labels=labels, dashboard=dashboard
    ) as ray:
        from raykqi.cluster.ray_nodes import RayNodes

        server = Server(parts, settings, RayNodes(settings, workspace=parts.store.url), limit=limit, hooks=hooks)
        try:
            yield Serving(server, ray.address, ray.dashboard, ray.token, ray.is_own)
        finally:
            server.close(leave_running=not ray.is_own)


def start_detached(
    parts: Parts, settings: Settings, *, address: str, limit: Resources | None = None, hooks: Hooks | None = None
) -> str:
    """A controller that stays on the cluster at `address`; its name there."""
    check_reachable(parts.store.url)
    take_right(parts.store, settings, 0).close()
    from raykqi.cluster.local_ray import start_or_join

    with start_or_join(address=address):
        name = controller_name(parts.description)
        make_controller(name, controller_arguments(parts.store.url, settings.user, limit, hooks))
        return name


def stop_detached(parts: Parts, *, address: str) -> str:
    """End that controller; what runs goes on, and a later one takes it over. The name that it had."""
    from raykqi.cluster.local_ray import start_or_join

    with start_or_join(address=address):
        from raykqi.cluster.controller_actor import stop_controller

        name = controller_name(parts.description)
        stop_controller(name=name)
        return name


def check_reachable(url: str) -> None:
    if url.startswith("memory:"):
        raise Conflict(
            f"the plans of {url} cannot be run: its bytes are in this process alone",
            hint="Use a workspace in a folder or at s3://, which the processes that run plans can read.",
        )
