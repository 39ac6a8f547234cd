"""Function plans on Ray tasks: one order a task while they are few or long, many a task when they are many and short.

A task that loses its worker takes down only the order that killed it: the others run again, one by one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import ray
from ray.exceptions import OutOfMemoryError, TaskCancelledError, WorkerCrashedError

from raykqi.cluster.function_task import Begun, decode_ended, function_task, interrupt, last_begun, same_worker
from raykqi.cluster.losses import never_began, why_lost
from raykqi.cluster.reporting import Reporting
from raykqi.cluster.shapes import node_ids
from raykqi.domain.order import Attempt, Ended, Lost, Order, Report, Running
from raykqi.domain.resources import Resources
from raykqi.domain.run import Exit
from raykqi.settings import Settings

__all__ = ["FunctionRuns"]

MOST_IN_A_TASK = 32
TASK_SECONDS = 0.25  # as long as runs of one task should take together
FEWEST_TASKS = 4  # under way for each plan, even if no node seems to have room: the cluster may grow
TOO_SLOW = 1.0  # seconds of one run, so that others shall not wait for it
SMOOTHING = 0.3
FORGETTING = 0.95
DEATHS = (WorkerCrashedError, OutOfMemoryError, TaskCancelledError)
ASKING = 30.0  # seconds for a node to say what a dead worker was at


@dataclass
class Lane:
    """Orders of one plan, which wait here until there is a task for them."""

    task: Any
    wanted: Resources
    waiting: OrderedDict[Attempt, Order] = field(default_factory=OrderedDict)
    alone: OrderedDict[Attempt, Order] = field(default_factory=OrderedDict)  # were in a task that died
    tasks: int = 0
    seconds: float | None = None  # that an order takes, as seen so far
    slowest: float = 0.0  # that one of them took, less and less remembered

    def measured(self, seconds: float, slowest: float) -> None:
        self.seconds = seconds if self.seconds is None else self.seconds + SMOOTHING * (seconds - self.seconds)
        self.slowest = max(slowest, self.slowest * FORGETTING)

    def take(self, slots: int) -> list[Order]:
        """For the next task: no more than leaves every slot something to do, nor than is done in a moment.

        What shares a task waits for what is before it, so plans of which some runs are slow get a task for each.
        """
        if self.alone:
            return [self.alone.popitem(last=False)[1]]
        share = -(-len(self.waiting) // (2 * max(1, slots)))
        is_quick = self.seconds is not None and self.slowest <= TOO_SLOW
        quick = int(TASK_SECONDS / max(self.seconds or 0.0, 1e-4)) if is_quick else 1
        size = max(1, min(share, quick, MOST_IN_A_TASK))
        return [self.waiting.popitem(last=False)[1] for _ in range(min(size, len(self.waiting)))]


@dataclass
class Batch:
    """Orders in one task."""

    lane: Lane
    orders: list[Order]
    ref: Any = None
    begun: Begun | None = None
    stopping: set[Attempt] = field(default_factory=set)


class FunctionRuns:
    """All of it happens on one event loop."""

    def __init__(
        self,
        settings: Settings,
        folder: str,
        reporting: Reporting,
        *,
        slots: Callable[[Resources], int],
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._reporting = reporting
        self._slots = slots
        self._spawn = spawn
        self._lanes: dict[tuple[object, ...], Lane] = {}
        self._batches: dict[Attempt, Batch] = {}

    def start(self, orders: Sequence[Order]) -> None:
        touched = {}
        for order in orders:
            key = same_worker(order)
            lane = self._lanes.get(key) or self._open_lane(key, order)
            if lane is not None:
                lane.waiting[order.attempt] = order
                touched[key] = lane
        for lane in touched.values():
            self._pump(lane)

    def stop(self, attempt: Attempt, grace: float) -> None:
        if batch := self._batches.get(attempt):
            batch.stopping.add(attempt)
            self._spawn(self._stop(batch, attempt, grace))
            return
        for lane in self._lanes.values():
            if lane.waiting.pop(attempt, None) or lane.alone.pop(attempt, None):
                self._reporting.tell(Ended(attempt, Exit(253, "stopped before it began")))

    def kill_all(self) -> None:
        for lane in self._lanes.values():
            lane.waiting.clear()
            lane.alone.clear()
        for batch in {id(batch): batch for batch in self._batches.values()}.values():
            with suppress(Exception):
                ray.cancel(batch.ref, force=True)

    def _open_lane(self, key: tuple[object, ...], order: Order) -> Lane | None:
        try:
            task = function_task(order)
        except (ValueError, TypeError) as error:
            self._reporting.tell(Ended(order.attempt, Exit(255, never_began(error))))
            return None
        self._lanes[key] = Lane(task, order.resources)
        return self._lanes[key]

    def _pump(self, lane: Lane) -> None:
        slots = self._slots(lane.wanted)
        while (lane.waiting or lane.alone) and lane.tasks < max(FEWEST_TASKS, 2 * slots):
            batch = Batch(lane, lane.take(slots))
            lane.tasks += 1
            self._batches |= dict.fromkeys((order.attempt for order in batch.orders), batch)
            self._spawn(self._follow(batch))

    async def _follow(self, batch: Batch) -> None:
        try:
            ended = await self._ended(batch)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            await self._settle(batch, error)
        else:
            for one in ended:
                self._batches.pop(one.attempt, None)
                self._reporting.tell(one)
        finally:
            batch.lane.tasks -= 1
            self._pump(batch.lane)

    async def _ended(self, batch: Batch) -> list[Ended]:
        batch.ref = batch.lane.task.remote(msgspec.msgpack.encode(batch.orders), self._settings, self._folder)
        batch.begun = Begun(*await (await anext(batch.ref)))
        clock = asyncio.get_running_loop().time
        begun_at = clock()
        if len(batch.orders) == 1:
            self._reporting.tell(Running(batch.orders[0].attempt, batch.begun.node))
        ended = decode_ended(await (await anext(batch.ref)))
        batch.lane.measured((clock() - begun_at) / len(batch.orders), max(one.usage.wall for one in ended))
        return ended

    async def _settle(self, batch: Batch, failure: BaseException) -> None:
        """Nothing was heard of the task's orders: each is told to its end here, or runs again by itself."""
        reason = never_began(failure)
        killer = -1
        if len(batch.orders) > 1:
            killer = await self._last_begun(batch, failure)
        elif isinstance(failure, DEATHS):
            self._spawn(self._clear_after(batch))
        for at, order in enumerate(batch.orders):
            attempt = order.attempt
            self._batches.pop(attempt, None)
            if attempt in batch.stopping:
                await self._end(attempt, Ended(attempt, Exit(253, "stopped; it had to be killed")))
            elif reason:
                self._reporting.tell(Ended(attempt, Exit(255, reason)))
            elif len(batch.orders) == 1 or at == killer:
                await self._end(attempt, Lost(attempt, why_lost(failure)))
            else:
                batch.lane.alone[attempt] = order

    async def _last_begun(self, batch: Batch, failure: BaseException) -> int:
        """Whose call took the worker with it; -1 when nobody's did or nobody knows, and all run again."""
        last = await self._clear_after(batch)
        return last if isinstance(failure, WorkerCrashedError | OutOfMemoryError) else -1

    async def _clear_after(self, batch: Batch) -> int:
        """A worker may die before it could say on which node it is: then all are asked."""
        asked = [batch.begun.node_id] if batch.begun else await asyncio.to_thread(node_ids)
        answers = [asyncio.wait_for(last_begun(batch.orders, self._folder, node), ASKING) for node in asked]
        found = await asyncio.gather(*answers, return_exceptions=True)
        return max([answer for answer in found if isinstance(answer, int)], default=-1)

    async def _end(self, attempt: Attempt, otherwise: Report) -> None:
        self._reporting.tell(await self._reporting.end(attempt, otherwise))

    async def _stop(self, batch: Batch, attempt: Attempt, grace: float) -> None:
        """One that shares its task with others is soon done, or the task is ended for its sake after the grace."""
        with suppress(Exception):
            if batch.begun is None:
                ray.cancel(batch.ref)
            elif len(batch.orders) == 1:
                await interrupt(attempt, self._folder, batch.begun)
        await asyncio.sleep(grace)
        if self._batches.get(attempt) is batch:
            with suppress(Exception):
                ray.cancel(batch.ref, force=True)
