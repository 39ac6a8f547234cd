"""What takes commands, whoever carries them out, and keeps an index of its own in step with the journal.

`Controller` writes the journal itself; `FollowingController` hands commands to the one that does.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import Future
from datetime import datetime

from raykqi.controller.index_keeper import Advance, IndexKeeper
from raykqi.domain.endpoint_events import EndpointDeployed
from raykqi.domain.events import Event, PlanApplied
from raykqi.domain.ids import Clock, IdMaker
from raykqi.engine import (  # noqa: F401  their decisions
    decide_access,
    decide_endpoints,
    decide_envelope,
    decide_plans,
    decide_runs,
)
from raykqi.engine.commands import Command
from raykqi.engine.decide import decide
from raykqi.engine.needs import gather_facts
from raykqi.errors import Conflict

__all__ = ["Writer"]

STALE_POLL = 0.5  # another process may end the collection: nobody tells us
REACH_POLL = 0.02  # between looks for an entry that somebody has seen elsewhere


class Writer(ABC):
    """Safe to use from any thread. `freshness`: seconds for which the index counts as up to date."""

    def __init__(self, *, keeper: IndexKeeper, clock: Clock, freshness: float) -> None:
        self.keeper = keeper
        self._clock = clock
        self._ids = IdMaker(clock)
        self._freshness = freshness
        self._refreshed = float("-inf")
        self._is_current = False  # from the first catching up on
        self._process = os.getpid()
        self._changed = threading.Condition()

    @abstractmethod
    def submit_later(self, command: Command) -> Future[list[Event]]:
        """Do it, durably, without waiting: the events that it became. Several submitted at once share an entry."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was submitted, then stop."""

    def submit(self, command: Command) -> list[Event]:
        """The same, waiting for it."""
        return self.submit_later(command).result()

    def ask(self, method: str, *positional: object) -> bytes:  # noqa: ARG002
        """What the process knows that serves the workspace; empty when that is this one, or none."""
        return b""

    def preview(self, command: Command) -> list[Event]:
        """The events that the command would become now; nothing is changed."""
        self.refresh()
        with self.keeper.writing:
            return self.keeper.sound(lambda: self._preview(command))

    def refresh(self) -> None:
        """Bring the index up to what other processes have written, unless that was just done.

        A commit in progress does it itself, so nobody waits for one here.
        """
        self._require_own_process()
        if not self.keeper.writing.acquire(blocking=not self._is_current):
            return
        try:
            if time.monotonic() - self._refreshed >= self._freshness:
                self._catch_up()
        finally:
            self.keeper.writing.release()

    def catch_up(self) -> None:
        """The same, waiting for what is in progress: whatever was answered anywhere before is known then."""
        self._require_own_process()
        with self.keeper.writing:
            if time.monotonic() - self._refreshed >= self._freshness:
                self._catch_up()

    def reach(self, seq: int, timeout: float) -> bool:
        """Catch up until the index holds entry `seq`; whether it does in time."""
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while self.keeper.position.seq < seq:
            with self.keeper.writing:
                self._catch_up()
            if self.keeper.position.seq < seq:
                if time.monotonic() >= deadline:
                    return False
                pause.wait(REACH_POLL)
        return True

    def wait_for_change(self, generation: int) -> None:
        """Return when the collection that made an upload stale may have ended."""
        with self._changed:
            self._refreshed = float("-inf")
            self.refresh()
            if self.keeper.position.generation == generation:
                self._changed.wait(timeout=STALE_POLL)

    def _preview(self, command: Command) -> list[Event]:
        with self.keeper.trying() as advance:
            now = self._clock.now()
            events = decide(command, gather_facts(self.keeper.index, [command]), now, self._ids)
            return events + self._react(events, advance, now)

    def _react(self, events: list[Event], advance: Advance, now: datetime) -> list[Event]:
        """Apply the events, and then what they cause."""
        may_cause = advance.position.plans or advance.position.endpoints
        if not may_cause and not any(isinstance(event, PlanApplied | EndpointDeployed) for event in events):
            advance.fold(events)
            return []
        from raykqi.controller.following_tags import follow_tags
        from raykqi.controller.reactions import quick_reactions, reactions

        quick = quick_reactions(advance.connection, advance.memory, events, now, self._ids)
        if quick:
            advance.fold(events, quick.cause)
            if quick.is_enough:
                return quick.caused
        else:
            advance.fold(events)
        caused = reactions(advance.connection, advance.memory, events, now, self._ids)
        if advance.position.endpoints:
            caused += follow_tags(advance.connection, advance.memory, events, now)
        if caused:
            advance.fold(caused)
        return caused

    def _catch_up(self) -> None:
        self.keeper.catch_up()
        if not self._is_current:
            self.keeper.tidy()
        self._is_current = True
        self._refreshed = time.monotonic()

    def _require_own_process(self) -> None:
        """After a fork there is no thread that would commit, and DuckDB's own are gone as well."""
        if os.getpid() != self._process:
            raise Conflict("this workspace was opened in another process", hint="Open it again in this one.")
