"""`Nodes` on Ray: the controller's orders become actors and tasks, and what happens to them becomes reports.

Ray is asked and heard on one event loop in a thread of its own, so that no call of the controller waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import ray

from raykqi.cluster.command_runs import CommandRuns
from raykqi.cluster.function_runs import FunctionRuns
from raykqi.cluster.reporting import Reporting
from raykqi.cluster.shapes import node_ids, node_shapes, slots
from raykqi.controller.nodes import ReportTo
from raykqi.domain.order import Attempt, Lost, NodeShape, Order
from raykqi.domain.resources import Resources
from raykqi.errors import Conflict, RaykqiError
from raykqi.settings import Settings

__all__ = ["RayNodes"]

LOOK_AROUND = 5.0  # seconds between two looks at the cluster: Ray tells nobody when nodes come and go
ANSWERING, UNANSWERED = 15.0, 3  # seconds for the head to say which nodes there are; how often it may fail to
CLOSING = 10.0


class RayNodes:
    """On the cluster that this process is connected to. `folder` is where runs work on the nodes."""

    def __init__(self, settings: Settings, *, folder: str = "", workspace: str = "") -> None:
        folder = folder or str(settings.cache_dir / "runs")
        self._executor: str = ray.get_runtime_context().get_session_name()
        self._shapes = node_shapes()
        self._reporting = Reporting(settings, workspace or settings.workspace or "")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="ray-nodes", daemon=True)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._commands = CommandRuns(settings, folder, self._reporting, spawn=self._spawn)
        self._functions = FunctionRuns(settings, folder, self._reporting, slots=self._slots, spawn=self._spawn)

    @property
    def executor(self) -> str:
        return self._executor

    def shapes(self) -> Sequence[NodeShape]:
        return self._shapes

    def open(
        self, report: ReportTo, changed: Callable[[], None], broken: Callable[[RaykqiError], None] | None = None
    ) -> None:
        self._reporting.open(report)
        self._thread.start()
        self._soon(lambda: self._spawn(self._look_around(changed, broken)))

    def start(self, orders: Sequence[Order]) -> None:
        self._soon(lambda: self._start(orders))

    def stop(self, attempt: Attempt, *, grace: float) -> None:
        self._soon(lambda: self._kind(attempt).stop(attempt, grace))

    def store_again(self, attempt: Attempt) -> None:
        self._soon(lambda: self._store_again(attempt))

    def dismiss(self, attempt: Attempt) -> None:
        self._soon(lambda: self._dismiss(attempt))

    def adopt(self, attempts: Collection[Attempt]) -> None:
        for attempt in attempts:
            self._loop.call_soon_threadsafe(self._commands.adopt, attempt)

    def sweep(self, is_over: Callable[[Attempt], bool]) -> None:
        self._soon(lambda: self._spawn(self._commands.sweep(is_over)))

    def close(self, *, leave_running: bool) -> None:
        if not self._thread.is_alive():
            return
        self._reporting.close()
        asyncio.run_coroutine_threadsafe(self._close(leave_running), self._loop).result(CLOSING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSING)

    def _start(self, orders: Sequence[Order]) -> None:
        self._functions.start([order for order in orders if order.definition.function])
        for order in orders:
            if not order.definition.function:
                self._commands.start(order)

    def _kind(self, attempt: Attempt) -> CommandRuns | FunctionRuns:
        return self._commands if attempt in self._commands else self._functions

    def _store_again(self, attempt: Attempt) -> None:
        if attempt in self._commands:
            self._commands.store_again(attempt)
        else:
            self._reporting.tell(Lost(attempt, "what the function made is no longer on the node", blameless=True))

    def _dismiss(self, attempt: Attempt) -> None:
        if attempt in self._commands:
            self._commands.dismiss(attempt)

    def _slots(self, wanted: Resources) -> int:
        return slots(self._shapes, wanted)

    async def _look_around(self, changed: Callable[[], None], broken: Callable[[RaykqiError], None] | None) -> None:
        own = ray.get_runtime_context().get_node_id()
        unanswered = 0
        while True:
            await asyncio.sleep(LOOK_AROUND)
            with suppress(Exception):  # the head is away
                try:
                    ids = await asyncio.wait_for(asyncio.to_thread(node_ids), ANSWERING)
                    unanswered = 0
                except TimeoutError:  # a question to a head that has died may hang for good, also when it is back
                    unanswered += 1
                    ids = [own] if unanswered < UNANSWERED else []
                if broken and own not in ids:
                    broken(_no_way_in())
                    return
            with suppress(Exception):  # the head is away: what was seen last still counts
                shapes = await asyncio.to_thread(node_shapes)
                if shapes != self._shapes:
                    self._shapes = shapes
                    changed()

    async def _close(self, leave_running: bool) -> None:
        if not leave_running:
            self._functions.kill_all()
            self._commands.kill_all()
        if self._commands.dismissing:
            await asyncio.wait(self._commands.dismissing, timeout=CLOSING / 2)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _soon(self, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(act)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


def _no_way_in() -> RaykqiError:
    """A process keeps the connection that it has made, and Ray makes it by way of a node."""
    return Conflict(
        "the Ray node by which this process was connected has died or does not answer: it can start nothing any more",
        hint="Start it again: it takes over what runs on the other nodes.",
    )
