"""Steps that may have to be tried again: each lane in its order, many lanes at once, by a bounded number of threads."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

__all__ = ["Held", "Lanes", "backoff"]

log = logging.getLogger(__name__)

LEAVE = 1.0  # seconds to wait for the threads at the end


class Held(Exception):
    """The step cannot be made now: try it again later."""


@dataclass
class _Lane:
    steps: deque[Callable[[], None]] = field(default_factory=deque)
    failures: int = 0
    turn: int = -1  # its place in the queue; -1 while a step is being made
    is_hurried: bool = False  # while the step was being made


class Lanes:
    def __init__(
        self, *, most: int, first: float, longest: float, thread_name: str, emptied: Callable[[], None]
    ) -> None:
        """`most` threads; a held step is tried again after `first` seconds, then twice as many, up to `longest`.

        `emptied` is called when there is nothing left to do.
        """
        self._most, self._first, self._longest = most, first, longest
        self._name = thread_name
        self._emptied = emptied
        self._changed = threading.Condition()
        self._lanes: dict[Hashable, _Lane] = {}
        self._queue: list[tuple[float, int, Hashable]] = []
        self._turns = itertools.count()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._lanes)

    def add(self, key: Hashable, step: Callable[[], None]) -> None:
        """Make the step when all earlier ones of its lane are made."""
        with self._changed:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = _Lane()
                lane.steps.append(step)
                self._enqueue(key, lane, 0.0)
            else:
                lane.steps.append(step)

    def hurry(self, keys: Iterable[Hashable]) -> None:
        """Try these lanes again at once, where they wait."""
        with self._changed:
            for key in keys:
                lane = self._lanes.get(key)
                if lane and lane.turn >= 0:
                    self._enqueue(key, lane, 0.0)
                elif lane:
                    lane.is_hurried = True

    def close(self) -> None:
        """Make no more steps. One that is being made may still go on for as long as its server takes."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        deadline = time.monotonic() + LEAVE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _enqueue(self, key: Hashable, lane: _Lane, after: float) -> None:
        lane.turn = next(self._turns)
        heapq.heappush(self._queue, (time.monotonic() + after, lane.turn, key))
        self._watch()
        self._changed.notify()

    def _watch(self) -> None:
        """Somebody has to look at the queue."""
        if not self._idle and len(self._threads) < self._most and not self._is_closed:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            self._idle += 1
            thread.start()

    def _work(self) -> None:
        while taken := self._take():
            key, lane = taken
            try:
                lane.steps[0]()
                is_held = False
            except Held:
                is_held = True
            except Exception:
                log.exception("a step is tried again")
                is_held = True
            self._put_back(key, lane, is_held=is_held)

    def _take(self) -> tuple[Hashable, _Lane] | None:
        with self._changed:
            while not self._is_closed:
                pause = None
                while self._queue:
                    due, turn, key = self._queue[0]
                    lane = self._lanes.get(key)
                    if lane is None or lane.turn != turn:
                        heapq.heappop(self._queue)
                        continue
                    pause = due - time.monotonic()
                    if pause > 0:
                        break
                    heapq.heappop(self._queue)
                    lane.turn, lane.is_hurried = -1, False
                    self._idle -= 1
                    if self._queue:
                        self._watch()
                        self._changed.notify()
                    return key, lane
                self._changed.wait(pause)
            return None

    def _put_back(self, key: Hashable, lane: _Lane, *, is_held: bool) -> None:
        with self._changed:
            self._idle += 1
            if is_held:
                pause = 0.0 if lane.is_hurried else backoff(lane.failures, self._first, self._longest)
                self._enqueue(key, lane, pause)
                lane.failures += 1
                return
            lane.failures = 0
            lane.steps.popleft()
            if lane.steps:
                self._enqueue(key, lane, 0.0)
                return
            del self._lanes[key]
            is_empty = not self._lanes
        if is_empty:
            self._emptied()


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failures before this one."""
    return min(longest, first * 2.0 ** min(failures, 60))
