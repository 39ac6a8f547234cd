"""The process on a node that looks after one attempt of a command plan, and outlives the controller.

It holds the run's resources until the controller has written the end into the journal and dismisses it.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import ray

from raykqi.cluster.placement import placement
from raykqi.cluster.shapes import accelerators, this_node
from raykqi.domain.ids import is_id
from raykqi.domain.order import Attempt, Lost, Order, Report
from raykqi.execution.supervisor import Supervisor
from raykqi.settings import Settings

__all__ = ["NAMESPACE", "RunActor", "actor_name", "create_run_actor", "find_run_actor", "run_actors"]
__all__ += ["gpus_here", "settings_here"]

NAMESPACE = "raykqi"
_NAME = re.compile(r"raykqi-run-(.+)-([0-9]+)")


class RunActor:
    """Asynchronous, so that any number of callers may wait for news while the command runs in a thread of its own."""

    def __init__(self, order: bytes, settings: Settings, folder: str) -> None:
        self._order = msgspec.msgpack.decode(order, type=Order)
        self._settings = settings_here(settings)
        self._folder = folder
        self._supervisor: Supervisor | None = None
        self._reports: list[Report] = []
        self._news = asyncio.Condition()

    async def begin(self) -> str:
        """Run the command, unless that was begun before. Gives the name of the node."""
        if self._supervisor is None:
            self._loop = asyncio.get_running_loop()
            self._node = this_node()
            self._supervisor = Supervisor(
                self._order,
                self._settings,
                folder=self._folder,
                report=self._report,
                gpus=gpus_here(),
                node=self._node,
            )
            self._in_thread(self._supervisor.run)
        return self._node

    async def reports(self, known: int) -> bytes:
        """Everything after the first `known` reports, as soon as there is anything."""
        async with self._news:
            await self._news.wait_for(lambda: len(self._reports) > known)
            return msgspec.msgpack.encode(self._reports[known:])

    async def stop(self, grace: float) -> None:
        if self._supervisor is not None:
            await asyncio.to_thread(self._supervisor.stop, grace)

    async def store_again(self) -> None:
        if self._supervisor is not None:
            self._in_thread(self._supervisor.store_again)

    async def clear(self) -> None:
        if self._supervisor is not None:
            await asyncio.to_thread(self._supervisor.clear)

    def _in_thread(self, work: Callable[[], Report]) -> None:
        # The thread that starts a command must live as long as it: a parent's death is told by thread.
        threading.Thread(target=self._carry_out, args=(work,), name="run", daemon=True).start()

    def _carry_out(self, work: Callable[[], Report]) -> None:
        try:
            self._report(work())
        except BaseException as error:
            self._report(Lost(self._order.attempt, f"looking after it failed: {type(error).__name__}: {error}"))

    def _report(self, report: Report) -> None:
        asyncio.run_coroutine_threadsafe(self._tell(report), self._loop)

    async def _tell(self, report: Report) -> None:
        async with self._news:
            self._reports.append(report)
            self._news.notify_all()


def actor_name(attempt: Attempt) -> str:
    return f"raykqi-run-{attempt.run}-{attempt.number}"


def create_run_actor(order: Order, settings: Settings, folder: str) -> Any:
    """One for each attempt, however often it is asked for."""
    options = placement(order.resources, order.definition.on_node, accelerators)
    return (
        _remote_class()
        .options(
            name=actor_name(order.attempt),
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=0,
            max_task_retries=0,
            **options,
        )
        .remote(msgspec.msgpack.encode(order), settings, folder)
    )


def find_run_actor(attempt: Attempt) -> Any | None:
    try:
        return ray.get_actor(actor_name(attempt), namespace=NAMESPACE)
    except ValueError:
        return None


def run_actors() -> list[Attempt]:
    """The attempts, of any workspace, that have an actor on the cluster."""
    found = []
    for actor in ray.util.list_named_actors(all_namespaces=True):
        match = _NAME.fullmatch(actor["name"])
        if match and actor["namespace"] == NAMESPACE and is_id(match[1]):
            found.append(Attempt(match[1], int(match[2])))
    return found


@cache
def _remote_class() -> Any:
    """Ray sends a class to the cluster once for each of these."""
    return ray.remote(RunActor)


def settings_here(settings: Settings) -> Settings:
    """The controller's, with PATH and the like of this node."""
    return replace(settings, node_env=Settings.from_env().node_env)


def gpus_here() -> tuple[str, ...]:
    ids = ray.get_runtime_context().get_accelerator_ids()
    return tuple(str(number) for number in ids.get("GPU", ()))
