"""Steps in lanes: each lane in order, many lanes at once, what is held later again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from raykqi.controller.lanes import Held, Lanes, backoff

SOON = 20.0


@pytest.fixture
def emptied() -> threading.Event:
    return threading.Event()


@pytest.fixture
def lanes(emptied: threading.Event) -> Iterator[Lanes]:
    made = Lanes(most=3, first=0.01, longest=0.05, thread_name="lane", emptied=emptied.set)
    yield made
    made.close()


def test_the_steps_of_a_lane_are_made_in_order(lanes: Lanes, emptied: threading.Event) -> None:
    made: list[int] = []
    begin = threading.Event()
    lanes.add("a", lambda: made.append(begin.wait(SOON)))
    for number in range(20):
        lanes.add("a", lambda number=number: made.append(number))  # type: ignore[misc]
    begin.set()

    assert emptied.wait(SOON)
    assert made == [True, *range(20)]
    assert len(lanes) == 0


def test_a_held_step_comes_again_and_later_ones_wait_for_it(lanes: Lanes, emptied: threading.Event) -> None:
    made: list[str] = []

    def refuse_three_times() -> None:
        made.append("first")
        if made.count("first") < 4:
            raise Held

    lanes.add("a", refuse_three_times)
    lanes.add("a", lambda: made.append("second"))

    assert emptied.wait(SOON)
    assert made == ["first"] * 4 + ["second"]


def test_lanes_go_on_beside_others_that_are_held_or_take_their_time(lanes: Lanes, emptied: threading.Event) -> None:
    let_go, others = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        if not let_go.is_set():
            raise Held

    for number in range(10):
        lanes.add(f"held {number}", hold)
    for number in range(2):
        lanes.add(f"slow {number}", lambda: let_go.wait(SOON) and None)
    for number in range(10):
        lanes.add(f"other {number}", others.release)

    assert all(others.acquire(timeout=SOON) for _ in range(10))
    assert not emptied.is_set()
    let_go.set()
    assert emptied.wait(SOON)


def test_what_is_hurried_does_not_wait_for_its_time(emptied: threading.Event) -> None:
    lanes = Lanes(most=1, first=3600.0, longest=3600.0, thread_name="lane", emptied=emptied.set)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        if not let_go.is_set():
            raise Held

    lanes.add("a", hold)
    assert held.wait(SOON)
    let_go.set()
    lanes.hurry(["a", "nobody"])  # whether the step is still being made or waits already
    assert emptied.wait(SOON)
    lanes.close()


def test_a_step_with_an_error_is_tried_again(
    lanes: Lanes, emptied: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def fail_once() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("no luck")

    lanes.add("a", fail_once)

    assert emptied.wait(SOON)
    assert len(tries) == 2
    assert "no luck" in caplog.text


def test_pauses_double_up_to_the_longest() -> None:
    assert [backoff(failures, 1.0, 30.0) for failures in (0, 1, 2, 4, 5, 1000)] == [1.0, 2.0, 4.0, 16.0, 30.0, 30.0]
