"""How many orders of a plan share a task."""

from __future__ import annotations

from raykqi.cluster.function_runs import Lane
from raykqi.domain.order import Attempt, Order
from raykqi.domain.plan import Definition
from raykqi.domain.resources import Resources


def order(number: int) -> Order:
    return Order(Attempt(f"run-{number}", 1), "plan", "default", "url", Definition(inputs=()), Resources(), (), ())


def lane(waiting: int) -> Lane:
    made = Lane(task=None, wanted=Resources())
    for number in range(waiting):
        made.waiting[Attempt(f"run-{number}", 1)] = order(number)
    return made


def test_a_plan_of_which_nothing_is_known_gets_a_task_for_each_run() -> None:
    assert len(lane(1000).take(slots=2)) == 1


def test_many_short_ones_share_a_task() -> None:
    busy = lane(1000)
    busy.measured(0.002, slowest=0.01)
    assert len(busy.take(slots=2)) == 32


def test_few_are_spread_over_the_slots() -> None:
    quiet = lane(8)
    quiet.measured(0.002, slowest=0.01)
    assert [len(quiet.take(slots=2)) for _ in range(5)] == [2, 2, 1, 1, 1]


def test_a_task_takes_no_more_than_is_done_in_a_moment() -> None:
    busy = lane(1000)
    busy.measured(0.1, slowest=0.2)
    assert len(busy.take(slots=2)) == 2


def test_nothing_waits_behind_runs_that_may_be_slow_until_none_was_for_long() -> None:
    mixed = lane(5000)
    mixed.measured(0.002, slowest=3.0)
    assert len(mixed.take(slots=2)) == 1
    for _ in range(30):
        mixed.measured(0.002, slowest=0.002)
    assert len(mixed.take(slots=2)) == 32


def test_first_come_first_served_but_those_that_run_again_go_alone_and_first() -> None:
    busy = lane(100)
    busy.measured(0.002, slowest=0.01)
    again = order(1234)
    busy.alone[again.attempt] = again
    assert busy.take(slots=2) == [again]
    assert busy.take(slots=2)[0].attempt.run == "run-0"
