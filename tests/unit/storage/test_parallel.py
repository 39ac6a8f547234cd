"""Threads: results come in order, memory stays bounded, and an error or interrupt ends everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from raykqi.storage.parallel import Interrupted, Stop, in_order, in_order_if_slow


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    assert list(in_order(lambda item: item * item, range(20), threads=threads, stop=Stop())) == [
        item * item for item in range(20)
    ]


def test_no_more_items_are_taken_than_may_be_in_flight() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    with closing(in_order(lambda item: item, items(), threads=2, ahead=1, stop=Stop())) as results:
        assert next(results) == 0

    assert taken == [0, 1, 2]


def test_an_error_stops_the_others_and_is_raised() -> None:
    stop = Stop()

    def fail(item: int) -> int:
        if item == 3:
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match="3"):
        list(in_order(fail, range(10), threads=2, stop=stop))
    with pytest.raises(Interrupted):
        stop.check()


def test_threads_end_when_the_consumer_turns_away() -> None:
    before = threading.active_count()
    stop = Stop()
    begun = threading.Event()

    def wait(item: int) -> int:
        begun.set()
        while item:
            stop.check()
        return item

    results = in_order(wait, range(3), threads=2, stop=stop)
    with closing(results):
        assert next(results) == 0
        begun.wait()

    assert threading.active_count() == before


def test_quick_work_stays_in_the_callers_thread_and_slow_work_does_not() -> None:
    def who(_: int) -> int:
        return threading.get_ident()

    def slowly(_: int) -> int:
        threading.Event().wait(0.01)
        return threading.get_ident()

    here = threading.get_ident()
    quick = set(in_order_if_slow(who, range(5), files=lambda _: 10**9, threads=2, stop=Stop()))
    slow = set(in_order_if_slow(slowly, range(5), files=lambda _: 1, threads=2, stop=Stop()))

    assert quick == {here}
    assert slow - {here}
