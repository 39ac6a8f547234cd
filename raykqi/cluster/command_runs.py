"""Command plans on detached actors: created, followed, stopped, adopted and dismissed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import ray
from ray.exceptions import ActorUnavailableError

from raykqi.cluster.losses import never_began, why_lost
from raykqi.cluster.reporting import Reporting
from raykqi.cluster.run_actor import create_run_actor, find_run_actor, run_actors
from raykqi.domain.order import Attempt, Ended, Lost, Order, Report
from raykqi.domain.run import Exit
from raykqi.settings import Settings

__all__ = ["CommandRuns"]

LAST_RESORT = 30.0  # seconds after the grace in which a supervisor has to have ended its command
UNAVAILABLE = 2.0  # seconds until a node that does not answer is asked again; Ray decides when it is dead
CLEARING = 60.0
ANSWERING = 10.0  # seconds for an adopted actor to say that it has begun, before it is taken for one that waits
_reports = msgspec.msgpack.Decoder(list[Report])


@dataclass
class Followed:
    """One actor. `ended` once its end was told; it stays until it is dismissed."""

    handle: Any = None
    adopted: bool = False
    stopping: bool = False
    grace: float = 0.0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class CommandRuns:
    """All of it happens on one event loop; what waits for the cluster is done in threads."""

    def __init__(
        self,
        settings: Settings,
        folder: str,
        reporting: Reporting,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self.dismissing: set[asyncio.Task[None]] = set()
        self._settings = settings
        self._folder = folder
        self._reporting = reporting
        self._spawn = spawn
        self._followed: dict[Attempt, Followed] = {}

    def __contains__(self, attempt: Attempt) -> bool:
        return attempt in self._followed

    def start(self, order: Order) -> None:
        followed = self._followed[order.attempt] = Followed()
        self._spawn(self._create(order, followed))

    def adopt(self, attempt: Attempt) -> None:
        if attempt not in self._followed:
            followed = self._followed[attempt] = Followed(adopted=True)
            self._spawn(self._find(attempt, followed))

    def stop(self, attempt: Attempt, grace: float) -> None:
        self._spawn(self._stop(attempt, self._followed[attempt], grace))

    def store_again(self, attempt: Attempt) -> None:
        followed = self._followed[attempt]
        followed.ended.clear()
        self._spawn(self._store_again(attempt, followed))

    def dismiss(self, attempt: Attempt) -> None:
        task = self._spawn(self._dismiss(self._followed.pop(attempt)))
        self.dismissing.add(task)
        task.add_done_callback(self.dismissing.discard)

    async def sweep(self, is_over: Callable[[Attempt], bool]) -> None:
        """Dismiss actors whose attempts are over, and of which the controller that knew them was killed."""
        for attempt in await asyncio.to_thread(run_actors):
            if attempt in self._followed or not await asyncio.to_thread(is_over, attempt):
                continue
            if handle := await asyncio.to_thread(find_run_actor, attempt):
                await self._dismiss(Followed(handle))

    def kill_all(self) -> None:
        for followed in self._followed.values():
            _kill(followed)
        self._followed.clear()

    async def _create(self, order: Order, followed: Followed) -> None:
        try:
            followed.handle = await asyncio.to_thread(create_run_actor, order, self._settings, self._folder)
        except Exception as error:
            await self._lose(order.attempt, followed, error)
            return
        if followed.stopping:
            _kill(followed)
        await self._follow(order.attempt, followed)

    async def _find(self, attempt: Attempt, followed: Followed) -> None:
        while self._followed.get(attempt) is followed:
            try:
                followed.handle = await asyncio.to_thread(find_run_actor, attempt)
                break
            except Exception:  # the head is away; only when it is back can it say who is not there
                await asyncio.sleep(UNAVAILABLE)
        if followed.handle is not None:
            if followed.stopping:  # was asked for while nobody could be told
                self._spawn(self._stop(attempt, followed, followed.grace))
            await self._follow(attempt, followed)
            return
        lost = Lost(attempt, "nothing of it was on the cluster when the controller came back", blameless=True)
        end = await self._reporting.end(attempt, lost)
        if self._followed.pop(attempt, None) is followed:
            self._reporting.tell(end)

    async def _follow(self, attempt: Attempt, followed: Followed) -> None:
        known = 0
        while self._followed.get(attempt) is followed:
            try:
                if not followed.begun.is_set():
                    await followed.handle.begin.remote()
                    followed.begun.set()
                news = _reports.decode(await followed.handle.reports.remote(known))
            except ActorUnavailableError:
                await asyncio.sleep(UNAVAILABLE)
                continue
            except Exception as error:
                await self._lose(attempt, followed, error)
                return
            for report in news:
                known += 1
                self._tell(attempt, followed, report)

    def _tell(self, attempt: Attempt, followed: Followed, report: Report) -> None:
        if isinstance(report, Ended | Lost):
            followed.ended.set()
        if isinstance(report, Lost):  # nobody will ask for it again
            del self._followed[attempt]
            _kill(followed)
        self._reporting.tell(report)

    async def _lose(self, attempt: Attempt, followed: Followed, error: BaseException) -> None:
        """Nothing more can be heard of it."""
        if followed.ended.is_set() or self._followed.get(attempt) is not followed:
            return
        followed.ended.set()
        reason = never_began(error)
        otherwise: Report = Ended(attempt, Exit(255, reason)) if reason else Lost(attempt, why_lost(error))
        if followed.stopping:
            otherwise = Ended(attempt, Exit(253, "stopped; what looked after it had to be killed"))
        end = await self._reporting.end(attempt, otherwise)
        if self._followed.get(attempt) is followed:
            self._tell(attempt, followed, end)

    async def _stop(self, attempt: Attempt, followed: Followed, grace: float) -> None:
        followed.stopping, followed.grace = True, grace
        if followed.adopted:  # it may have begun long ago, and made something that is to be kept
            with suppress(TimeoutError):
                await asyncio.wait_for(followed.begun.wait(), ANSWERING)
        if followed.handle is None and followed.adopted:
            return  # who finds it stops it
        if not followed.begun.is_set():
            _kill(followed)
            return
        with suppress(Exception):
            await asyncio.wait_for(followed.handle.stop.remote(grace), grace + LAST_RESORT)
        with suppress(TimeoutError):
            await asyncio.wait_for(followed.ended.wait(), grace + LAST_RESORT)
        if self._followed.get(attempt) is followed and not followed.ended.is_set():
            _kill(followed)

    async def _store_again(self, attempt: Attempt, followed: Followed) -> None:
        try:
            await followed.handle.store_again.remote()
        except Exception as error:
            await self._lose(attempt, followed, error)

    async def _dismiss(self, followed: Followed) -> None:
        with suppress(Exception):
            await asyncio.wait_for(followed.handle.clear.remote(), CLEARING)
        _kill(followed)


def _kill(followed: Followed) -> None:
    if followed.handle is not None:
        with suppress(Exception):
            ray.kill(followed.handle, no_restart=True)
