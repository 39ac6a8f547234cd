"""The revisions of a replica: brought in line with what is wanted, each new one beside those that answer.

Without `surge` there is room for one model alone: the one on its way takes the place of the one before, which comes
back when that fails; requests wait meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from raykqi.domain.endpoint import EndpointSpec
from raykqi.domain.rollout import ReportedRevision, Wanted, WantedRevision
from raykqi.errors import ServerUnavailable
from serve_api.inference.counting import Counter
from serve_api.inference.held import Held, Made, Surroundings
from serve_api.inference.traffic import Traffic

__all__ = ["Revisions"]

ORDER = ("loading", "canary", "live")  # which goes first where there is room for one


class Revisions:
    def __init__(self, name: str, around: Surroundings, changed: Callable[[], None]) -> None:
        self._name = name
        self._around = around
        self._changed = changed
        self._wanted: tuple[WantedRevision, ...] = ()
        self._spec: EndpointSpec | None = None
        self._reason = "the controller has not said yet what to serve"
        self._held: list[Held] = []
        self._ending: dict[Held, asyncio.Task[None]] = {}
        self._counters: dict[int, Counter] = {}
        self._traffic: Traffic[Held] = Traffic()
        self._moved = asyncio.Event()
        self._is_over = False

    def apply(self, wanted: Wanted) -> None:
        self._wanted, self._spec = wanted.revisions, wanted.spec
        self._reason = wanted.reason or "nothing is live"
        self._align()

    def next(self) -> Held | None:
        """Which is to be asked; each call moves the shares on."""
        return self._traffic.next()

    def numbered(self, number: int) -> Held | None:
        """That revision, if it is ready."""
        ready = (held for held in self._held if held.number == number and held.state == "ready")
        return next(ready, None)

    @property
    def ready(self) -> list[Held]:
        return sorted((held for held in self._held if held.state == "ready"), key=lambda held: held.number)

    def someone(self) -> Held | None:
        """One that is ready, for those who only want to know about it: the one with the largest share."""
        return max(self.ready, key=lambda held: held.wanted.share, default=None)

    async def wait(self, within: float) -> Held:
        """The next that is to be asked, if one is ready in that time. Raises why there is none."""
        end = asyncio.get_running_loop().time() + within
        while (held := self._traffic.next()) is None:
            may_come = any(each.is_loaded for each in self._held) or (self._ending and self._wanted)
            left = end - asyncio.get_running_loop().time()
            if self._is_over or not may_come or left <= 0:
                raise self.why_not()
            self._moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._moved.wait()
        return held

    def why_not(self) -> ServerUnavailable:
        """Why nothing can be asked."""
        if not self._wanted:
            return ServerUnavailable(
                f"the endpoint {self._name} serves nothing now: {self._reason}", hint="Try again later."
            )
        told = [f"revision {held.number} is {held.state}{': ' * bool(held.reason)}{held.reason}" for held in self._held]
        return ServerUnavailable(
            f"the endpoint {self._name} is not ready: {'; '.join(told) or 'a revision is about to be loaded'}",
            hint="Try again in a moment.",
        )

    @property
    def is_settled(self) -> bool:
        """Whether every revision that is wanted is ready or has failed."""
        states = {held.number: held.state for held in self._held}
        targets = self._targets()
        return bool(self._spec) and all(states.get(each.number, "loading") != "loading" for each in targets)

    async def until_settled(self, within: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not self.is_settled:
                    self._moved.clear()
                    await self._moved.wait()
        return self.is_settled

    def reported(self) -> tuple[ReportedRevision, ...]:
        """The newest process of each number."""
        return tuple({held.number: held.reported() for held in self._held}.values())

    async def close(self, patience: float) -> None:
        self._is_over = True
        for held in list(self._held):
            self._retire(held, patience)
        self._moved.set()
        if self._ending:
            await asyncio.wait(list(self._ending.values()))

    def _targets(self) -> list[WantedRevision]:
        """Those that shall have a process."""
        if self._spec is None:
            return []
        if self._spec.surge:
            return list(self._wanted)
        failed = {held.number for held in self._held if held.state == "failed" and self._is_same(held)}
        left = [each for each in self._wanted if each.number not in failed]
        return sorted(left, key=lambda each: (_rank(each), -each.number))[:1]

    def _is_same(self, held: Held) -> bool:
        """Whether a process that was begun now would be as this one."""
        wanted = next((each for each in self._wanted if each.number == held.number), None)
        assert self._spec is not None
        return wanted is not None and Made.of(wanted, self._spec) == held.made

    def _align(self) -> None:
        """Begin and end what has to. Called again whenever something has changed."""
        if self._is_over or self._spec is None:
            return
        by_number = {each.number: each for each in self._wanted}
        targets = {each.number: Made.of(each, self._spec) for each in self._targets()}
        for held in list(self._held):
            wanted = by_number.get(held.number)
            if wanted is None:
                self._retire(held)
                continue
            same = self._is_same(held)
            if held.state == "failed":
                if same:
                    held.wanted = wanted
                else:
                    self._retire(held)
            elif held.number not in targets:
                self._retire(held)
            elif same:
                held.wanted = wanted
            elif not self._spec.surge or held.state != "ready" or self._has_ready_successor(held):
                self._retire(held)
            else:
                held.wanted = wanted  # it answers until another process of this revision does
        is_full = not self._spec.surge and (
            any(held.is_loaded and not self._is_same(held) for held in self._held) or bool(self._ending)
        )
        for number, made in targets.items():
            if not is_full and not any(held.number == number and held.made == made for held in self._held):
                counter = self._counters.setdefault(number, Counter())
                new = Held(by_number[number], made, self._name, self._around, counter, self._on_change)
                self._held.append(new)
        self._spread()

    def _has_ready_successor(self, held: Held) -> bool:
        return any(
            each.number == held.number and each is not held and each.state == "ready" and self._is_same(each)
            for each in self._held
        )

    def _retire(self, held: Held, patience: float | None = None) -> None:
        assert self._spec is not None
        self._held.remove(held)
        patience = self._spec.limits.timeout if patience is None else patience
        task = self._ending[held] = asyncio.create_task(held.end(patience))
        task.add_done_callback(lambda _: self._ended(held))

    def _ended(self, held: Held) -> None:
        del self._ending[held]
        self._align()
        self._on_news()

    def _on_change(self) -> None:
        self._align()
        self._on_news()

    def _spread(self) -> None:
        newest = {held.number: held for held in self._held if held.state == "ready"}
        assert self._spec is not None
        if self._spec.surge:
            self._traffic.spread([(held, held.wanted.share) for held in newest.values()])
        else:
            self._traffic.spread([(held, 1.0) for held in newest.values()])
        self._moved.set()

    def _on_news(self) -> None:
        self._moved.set()
        self._changed()


def _rank(wanted: WantedRevision) -> int:
    return ORDER.index(wanted.status) if wanted.status in ORDER else len(ORDER)
