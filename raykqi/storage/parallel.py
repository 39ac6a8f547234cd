"""Work in a few threads with bounded memory, in order, that ends at once when asked to.

Threads are daemons: a request that hangs on a dead server never holds up the end of the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import closing
from queue import SimpleQueue
from time import monotonic, perf_counter
from typing import Any, TypeVar

__all__ = ["Interrupted", "Stop", "in_order", "in_order_if_slow"]

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = 5.0  # seconds that threads get to notice that they should stop
# From here on a file is waited for (a network, a sleeping disk); below, threads only fight for the interpreter.
SLOW_FILE = 0.0005  # seconds


class Interrupted(Exception):
    """Raised inside of threads whose work is no longer wanted; never seen by callers."""


class Stop:
    """Shared by the threads of one transfer; long loops call `check` now and then."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        if self._event.is_set():
            raise Interrupted


def in_order(
    do: Callable[[Item], Result], items: Iterable[Item], *, threads: int, stop: Stop, ahead: int = 0
) -> Generator[Result, None, None]:
    """`do(item)` for each item, at most `threads + ahead` at once or waiting; results come in the order of the items.

    The first error, or the end of the consumer, stops everything. With 0 threads the caller's does the work.
    """
    if not threads:
        for item in items:
            yield do(item)
        return
    queue: SimpleQueue[tuple[Future[Any], Item] | None] = SimpleQueue()
    crew: list[threading.Thread] = []
    pending: deque[Future[Result]] = deque()

    def work() -> None:
        while (task := queue.get()) is not None:
            future, item = task
            try:
                stop.check()
                future.set_result(do(item))
            except BaseException as error:
                future.set_exception(error)
            del task, future, item

    try:
        for item in items:
            if len(crew) < threads:
                crew.append(threading.Thread(target=work, daemon=True))
                crew[-1].start()
            pending.append(Future())
            queue.put((pending[-1], item))
            del item
            while len(pending) >= threads + ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BaseException:
        stop.set()
        raise
    finally:
        for _ in crew:
            queue.put(None)
        end = monotonic() + PATIENCE
        for thread in crew:
            thread.join(max(0.0, end - monotonic()))


def in_order_if_slow(
    do: Callable[[Item], Result], items: Iterable[Item], *, files: Callable[[Item], int], threads: int, stop: Stop
) -> Generator[Result, None, None]:
    """Like `in_order`, but in the caller's thread unless the first item took long for its number of files."""
    rest = iter(items)
    for first in rest:
        began = perf_counter()
        result = do(first)
        slow = perf_counter() - began > SLOW_FILE * max(files(first), 1)
        yield result
        with closing(in_order(do, rest, threads=threads if slow else 0, stop=stop)) as results:
            yield from results
