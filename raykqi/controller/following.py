"""Reads from an index of its own, and has its commands carried out by the controller, wherever that runs.

Commands that arrive together travel together, several batches at a time. A command is answered when the
index here holds what it became, so that who has written reads what was written. While the controller is
away, commands wait for it and are sent again: whatever could be done twice carries a key of its own, by which
the controller knows it again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import msgspec

from raykqi.controller.index_keeper import IndexKeeper
from raykqi.controller.lanes import backoff
from raykqi.controller.parcels import Answer, Answers, pack, unpack_answers
from raykqi.controller.writer import Writer
from raykqi.domain.events import Event
from raykqi.domain.failure import Failure
from raykqi.domain.ids import Clock
from raykqi.engine.commands import ChangeTags, Command, Envelope, Purge
from raykqi.engine.run_commands import ChangePlan, HoldPlan, HoldRun, StopRuns
from raykqi.errors import Conflict, RaykqiError, ServerUnavailable

__all__ = ["FollowingController", "RemoteEnd"]

log = logging.getLogger(__name__)

BATCH = 256  # commands that travel together at most
AT_ONCE = 2  # batches under way
GATHER = 0.04  # seconds between two batches while several commands come at a time
PATIENCE = 30.0  # seconds for which a command waits for the controller
MOST_WAITING = 10_000
LOOK = 0.5  # seconds between looks whether the time of a command is over
CATCHING_UP = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
# Doing them twice comes to the same as once.
REPEATABLE = (ChangeTags, Purge, StopRuns, ChangePlan, HoldPlan, HoldRun)
_OTHERS = Failure("VersionMismatch", "the controller answered what was not asked", "Start it and the API again.")


class RemoteEnd(Protocol):
    """How the controller is reached."""

    def send(self, commands: bytes) -> Future[bytes]:
        """What `Receiver.commit` answers. `ServerUnavailable` says that nobody knows whether it was carried out."""

    def ask(self, method: str, *positional: object) -> bytes:
        """What the process says that commits; `ServerUnavailable` when it does not answer."""
        ...

    def close(self) -> None: ...


@dataclass(eq=False)
class _Waiting:
    command: Command
    deadline: float
    answer: Future[list[Event]] = field(default_factory=Future)
    was_sent: bool = False


_Batch = list[_Waiting]


class FollowingController(Writer):
    def __init__(
        self,
        *,
        keeper: IndexKeeper,
        remote: RemoteEnd,
        clock: Clock,
        freshness: float,
        patience: float = PATIENCE,
        most: int = MOST_WAITING,
    ) -> None:
        super().__init__(keeper=keeper, clock=clock, freshness=freshness)
        self._remote = remote
        self._patience, self._most = patience, most
        self._turn = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._under_way: dict[int, _Batch] = {}
        self._number = self._failures = 0
        self._not_before = self._sent = float("-inf")
        self._are_many = False  # commands that came together last
        self._is_closed = False
        self._answers: queue.SimpleQueue[tuple[int, Future[bytes]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit_later(self, command: Command) -> Future[list[Event]]:
        self._require_own_process()
        waiting = _Waiting(self._repeatable(command), time.monotonic() + self._patience)
        waiting.answer.set_running_or_notify_cancel()
        with self._turn:
            if self._is_closed:
                raise Conflict("the workspace is closed", hint="Open it again.")
            if len(self._waiting) + sum(map(len, self._under_way.values())) >= self._most:
                raise ServerUnavailable(
                    f"{self._most:,} commands wait for the controller already", hint="Try again in a second."
                )
            self._begin()
            self._waiting.append(waiting)
            self._turn.notify_all()
        return waiting.answer

    def ask(self, method: str, *positional: object) -> bytes:
        return self._remote.ask(method, *positional)

    def close(self) -> None:
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()
        for thread in self._threads:
            thread.join()
        self._remote.close()

    def _repeatable(self, command: Command) -> Command:
        """With a key, by which the controller knows again what it has done already."""
        if isinstance(command, Envelope):
            return command if command.key else msgspec.structs.replace(command, key=self._ids.new())
        return command if isinstance(command, REPEATABLE) else Envelope(command, self._ids.new())

    def _begin(self) -> None:
        if not self._threads:
            for work, name in ((self._send, "raykqi-follower"), (self._take_answers, "raykqi-answers")):
                thread = threading.Thread(target=work, name=name, daemon=True)
                thread.start()
                self._threads.append(thread)

    # The thread that sends

    def _send(self) -> None:
        while number := self._next_batch():
            batch = self._under_way.get(number, [])
            try:
                sent = self._remote.send(pack([waiting.command for waiting in batch]))
            except Exception as error:
                sent = Future()
                sent.set_exception(error)
            sent.add_done_callback(partial(self._arrive, number))
        self._answers.put(None)

    def _arrive(self, number: int, answer: Future[bytes]) -> None:
        self._answers.put((number, answer))

    def _next_batch(self) -> int:
        """The number of a batch that is to be sent; 0 at the end."""
        with self._turn:
            while True:
                now = time.monotonic()
                self._expire(now)
                # An entry costs every process that follows as much as several commands do. Alone, one goes at once.
                is_busy = self._are_many or self._under_way
                due = max(self._not_before, self._sent + GATHER) if is_busy else self._not_before
                if self._waiting and len(self._under_way) < AT_ONCE and now >= due:
                    self._sent = now
                    return self._take_batch()
                if self._is_closed and not self._waiting and not self._under_way:
                    return 0
                is_idle = not self._waiting and not self._under_way
                may_send = self._waiting and len(self._under_way) < AT_ONCE
                self._turn.wait(None if is_idle else min(LOOK, max(0.001, due - now) if may_send else LOOK))

    def _take_batch(self) -> int:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        for waiting in batch:
            waiting.was_sent = True
        self._number += 1
        self._are_many = len(batch) > 1
        self._under_way[self._number] = batch
        return self._number

    def _expire(self, now: float) -> None:
        late = [waiting for waiting in self._waiting if waiting.deadline <= now]
        for waiting in late:
            self._waiting.remove(waiting)
        for number, batch in list(self._under_way.items()):
            late += (expired := [waiting for waiting in batch if waiting.deadline <= now])
            if len(expired) == len(batch):
                del self._under_way[number]  # an answer that still comes is nobody's
        for waiting in late:
            if not waiting.answer.done():
                waiting.answer.set_exception(self._gave_up(waiting))

    def _gave_up(self, waiting: _Waiting) -> ServerUnavailable:
        is_known = (
            "It may have been carried out or not: look before you" if waiting.was_sent else "Nothing was changed:"
        )
        return ServerUnavailable(
            f"the controller did not answer within {self._patience:g} s", hint=f"{is_known} try again."
        )

    # The thread that takes answers

    def _take_answers(self) -> None:
        while (first := self._answers.get()) is not None:
            arrived = [first]
            while not self._answers.empty():
                following = self._answers.get()
                if following is None:
                    self._answers.put(None)
                    break
                arrived.append(following)
            answered = [(number, self._open(number, answer)) for number, answer in arrived]
            self._follow(max((answers.seq for _, answers in answered if answers), default=0))
            with self._turn:
                for number, answers in answered:
                    if answers:
                        self._settle(number, answers)
                self._turn.notify_all()

    def _open(self, number: int, answer: Future[bytes]) -> Answers | None:
        """What was answered; None when there is nothing more to do with the batch."""
        try:
            answers = unpack_answers(answer.result())
        except ServerUnavailable as error:
            log.info("the controller is away: %s", error.message)
            with self._turn:
                self._again(self._under_way.pop(number, []))
                self._turn.notify_all()
        except Exception as error:
            with self._turn:
                for waiting in self._under_way.pop(number, []):
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
                self._turn.notify_all()
        else:
            return answers
        return None

    def _follow(self, seq: int) -> None:
        """What was answered stands in the journal, whether it can be read at this moment or not."""
        try:
            if not self.reach(seq, CATCHING_UP):
                log.warning("the index has not come to entry %d in time", seq)
        except (RaykqiError, OSError) as error:
            log.warning("the index could not follow to entry %d: %s", seq, error)

    def _settle(self, number: int, answers: Answers) -> None:
        batch = self._under_way.pop(number, [])
        self._failures = 0
        again: list[_Waiting] = []
        each = answers.each if len(answers.each) == len(batch) else [Answer(failure=_OTHERS)] * len(batch)
        for waiting, answer in zip(batch, each, strict=True):
            if isinstance(answer.error, ServerUnavailable):
                again.append(waiting)
            elif not waiting.answer.done():
                _tell(waiting.answer, answer)
        if again:
            self._again(again)

    def _again(self, batch: Iterable[_Waiting]) -> None:
        self._waiting.extendleft(reversed([waiting for waiting in batch if not waiting.answer.done()]))
        self._not_before = time.monotonic() + backoff(self._failures, FIRST_PAUSE, LONGEST_PAUSE)
        self._failures += 1


def _tell(future: Future[list[Event]], answer: Answer) -> None:
    if error := answer.error:
        future.set_exception(error)
    else:
        future.set_result(answer.events)
