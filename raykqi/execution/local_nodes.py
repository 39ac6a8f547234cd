"""This machine as the only node, without Ray: each command in a thread of its own, functions in child processes.

Orders wait until what they need is free, and start in the order in which they came as far as they fit.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from raykqi.controller.nodes import ReportTo
from raykqi.domain.order import Attempt, Ended, Lost, NodeShape, Order, Report, Running
from raykqi.domain.resources import Resources
from raykqi.domain.run import Exit
from raykqi.errors import RaykqiError
from raykqi.execution.allotting import Allotment, meets
from raykqi.execution.ending import TIMED_OUT, explain_failure
from raykqi.execution.function_workers import FunctionWorkers, Worker, WorkerEnded
from raykqi.execution.stopping import Stopped, Stopping
from raykqi.execution.supervisor import Supervisor
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.storage.receipts import read_receipt

__all__ = ["LocalNodes"]

LEAVE = 10.0  # seconds to wait for what was killed
STOPPED = Exit(143, "stopped before it began")


class _Work(Protocol):
    """One attempt under way."""

    def run(self) -> Report: ...
    def stop(self, grace: float) -> None: ...
    def store_again(self) -> Report: ...
    def clear(self) -> None: ...


class LocalNodes:
    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        total: Resources,
        labels: Mapping[str, str] | None = None,
        gpus: Sequence[str] = (),
    ) -> None:
        """`folder` is where runs work; `gpus` are the ids that commands see, by default counted from 0."""
        self._settings = settings
        self._folder = folder
        self._node = socket.gethostname()
        self._shape = NodeShape(self._node, total, dict(labels or {}))
        self._executor = f"local-{self._node}-{os.getpid()}-{os.urandom(4).hex()}"
        self._free = Allotment(total, gpus)
        self._workers = FunctionWorkers(settings, folder)
        self._lock = threading.Lock()
        self._waiting: list[Order] = []
        self._works: dict[Attempt, _Work] = {}
        self._ended: dict[Attempt, Report] = {}
        self._threads: set[threading.Thread] = set()
        self._report: ReportTo = _unheard

    @property
    def executor(self) -> str:
        return self._executor

    def shapes(self) -> Sequence[NodeShape]:
        return (self._shape,)

    def open(
        self, report: ReportTo, changed: Callable[[], None], broken: Callable[[RaykqiError], None] | None = None
    ) -> None:
        self._report = report

    def start(self, orders: Sequence[Order]) -> None:
        with self._lock:
            self._waiting += orders
        self._pump()

    def stop(self, attempt: Attempt, *, grace: float) -> None:
        with self._lock:
            waits = [order for order in self._waiting if order.attempt == attempt]
            self._waiting = [order for order in self._waiting if order.attempt != attempt]
            work = self._works.get(attempt)
        if waits:
            self._tell(Ended(attempt, STOPPED, node=self._node, generation=waits[0].generation))
        elif work:
            work.stop(grace)

    def store_again(self, attempt: Attempt) -> None:
        with self._lock:
            work = self._works.get(attempt)
        if work is None:
            self._tell(Lost(attempt, "nothing of it is left on its node", blameless=True))
            return
        self._in_thread(lambda: self._tell(work.store_again()))

    def dismiss(self, attempt: Attempt) -> None:
        with self._lock:
            work = self._works.pop(attempt, None)
            self._ended.pop(attempt, None)
        if work:
            self._in_thread(work.clear)

    def adopt(self, attempts: Collection[Attempt]) -> None:
        with self._lock:
            ended = [self._ended[attempt] for attempt in attempts if attempt in self._ended]
            waiting = {order.attempt for order in self._waiting}
            strange = [attempt for attempt in attempts if attempt not in self._works and attempt not in waiting]
        for report in ended:
            self._tell(report)
        for attempt in strange:
            self._tell(self._receipt(attempt) or Lost(attempt, "the process that ran it is gone", blameless=True))

    def sweep(self, is_over: Callable[[Attempt], bool]) -> None:
        """What another controller had ended with it."""

    def close(self, *, leave_running: bool) -> None:
        self._report = _unheard
        with self._lock:
            self._waiting.clear()
            works, threads = list(self._works.values()), list(self._threads)
        if leave_running:
            return
        for work in works:
            work.stop(0.0)
        for thread in threads:
            thread.join(LEAVE)
        self._workers.close()

    def _pump(self) -> None:
        with self._lock:
            still_waiting = []
            for order in self._waiting:
                fits = meets(self._shape.labels, order.definition.on_node)
                gpus = self._free.take(order.resources) if fits else None
                if gpus is None:
                    still_waiting.append(order)
                else:
                    self._works[order.attempt] = work = self._work(order, gpus)
                    self._in_thread(partial(self._carry_out, order, work, gpus))
            self._waiting = still_waiting

    def _work(self, order: Order, gpus: tuple[str, ...]) -> _Work:
        if order.definition.function:
            return _FunctionWork(order, self._settings, self._workers, gpus, self._node, self._tell)
        return Supervisor(order, self._settings, folder=self._folder, report=self._tell, gpus=gpus, node=self._node)

    def _carry_out(self, order: Order, work: _Work, gpus: tuple[str, ...]) -> None:
        report = work.run()
        with self._lock:
            self._free.give_back(order.resources, gpus)
            if order.attempt in self._works:
                self._ended[order.attempt] = report
        self._tell(report)
        self._pump()

    def _receipt(self, attempt: Attempt) -> Ended | None:
        if not self._settings.workspace:
            return None
        with (
            contextlib.suppress(RaykqiError),
            contextlib.closing(open_store(self._settings.workspace, self._settings)) as store,
        ):
            return read_receipt(store, attempt)
        return None

    def _tell(self, report: Report) -> None:
        self._report(report)

    def _in_thread(self, act: Callable[[], None]) -> None:
        def acted() -> None:
            try:
                act()
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=acted, name="run", daemon=True)
        self._threads.add(thread)
        thread.start()


class _FunctionWork:
    def __init__(
        self,
        order: Order,
        settings: Settings,
        workers: FunctionWorkers,
        gpus: tuple[str, ...],
        node: str,
        report: ReportTo,
    ) -> None:
        self._order = order
        self._settings = settings
        self._workers = workers
        self._gpus = gpus
        self._node = node
        self._report = report
        self._stopping = Stopping()
        self._killer: threading.Timer | None = None

    def run(self) -> Report:
        try:
            worker = self._workers.take(self._order, self._stopping)
        except Stopped:
            return self._end(STOPPED)
        except Exception as error:
            return self._end(explain_failure(error))
        self._report(Running(self._order.attempt, self._node))
        is_usable = False
        try:
            with self._stopping.telling(lambda: self._interrupt(worker)):
                ended = worker.call(self._order, self._settings, self._gpus, self._node)
            is_usable = not self._stopping.is_wanted
        except WorkerEnded as error:
            if self._stopping.is_wanted:
                return self._end(Exit(137, "stopped; it had to be killed"))
            return Lost(self._order.attempt, str(error))
        except TimeoutError:
            return self._end(Exit(TIMED_OUT, f"timed out after {self._order.definition.timeout:g} s"))
        else:
            return ended
        finally:
            if self._killer:
                self._killer.cancel()
            if is_usable:
                self._workers.give_back(self._order, worker)
            else:
                worker.close()

    def stop(self, grace: float) -> None:
        self._stopping.request(grace)

    def store_again(self) -> Report:
        """What it left is not kept on the node, but it is quickly called again."""
        return Lost(self._order.attempt, "its outputs have to be made again", blameless=True)

    def clear(self) -> None:
        """Nothing is kept of it."""

    def _interrupt(self, worker: Worker) -> None:
        worker.interrupt()
        self._killer = threading.Timer(self._stopping.seconds_left or 0.0, worker.kill)
        self._killer.daemon = True
        self._killer.start()

    def _end(self, exit_: Exit) -> Ended:
        return Ended(self._order.attempt, exit_, node=self._node, generation=self._order.generation)


def _unheard(_report: Report) -> None:
    """Before `open` and after `close` nobody listens."""
