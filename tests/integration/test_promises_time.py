"""Clocks that are set back, jump about or stand still: ids and times still ascend, and the journal still rebuilds."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.lab import Lab, Opened, SteppedClock, check

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class JumpingClock:
    """Never says anything near what it said before."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self._chance.uniform(-5000, 5000))


class StoppedClock:
    def now(self) -> datetime:
        return NOON


def entry_times(opened: Opened) -> list[datetime]:
    return [entry.time for entry in opened.parts.keeper.journal.read()]


def event_times(opened: Opened) -> list[datetime]:
    return [event.at for entry in opened.parts.keeper.journal.read() for event in entry.events]


def test_p10_after_the_clock_was_set_back_ids_and_times_go_on_from_where_they_were(lab: Lab) -> None:
    source, clock = lab.files("photos", {"a.txt": b"alpha"}), SteppedClock(NOON)
    made = []
    for seconds in (0, -86_400, -1, 3, -3):
        clock.jump(seconds)
        opened = lab.open(clock=clock)
        made += [opened.ws.push(source, [f"step:{len(made)}"]) for _ in range(3)]
        lab.close()

    opened = lab.open(clock=clock)

    assert [data.id for data in opened.ws.find(oldest_first=True)] == [data.id for data in made]
    assert [data.id for data in made] == sorted({data.id for data in made})
    assert [data.created for data in made] == sorted(data.created for data in made)
    check(opened)


@pytest.mark.parametrize("seed", range(3))
def test_p10_two_controllers_with_clocks_that_jump_about_keep_ids_and_times_ascending(lab: Lab, seed: int) -> None:
    source = lab.files("photos", {"a.txt": b"alpha"})
    both = [lab.open(clock=JumpingClock(seed)), lab.open(clock=JumpingClock(seed + 100))]

    made = [both[number % 2].ws.push(source).id for number in range(12)]
    both[0].ws.tag(made, add=["type:dataset"])

    assert made == sorted(set(made))
    assert entry_times(both[1]) == sorted(entry_times(both[1]))
    assert event_times(both[1]) == sorted(event_times(both[1]))
    check(both[1])


def test_p10_ids_differ_and_ascend_while_the_clock_stands_still(lab: Lab) -> None:
    source = lab.files("photos", {"a.txt": b"alpha"})
    both = [lab.open(clock=StoppedClock()), lab.open(clock=StoppedClock())]

    made = [both[number % 2].ws.push(source).id for number in range(10)]

    assert made == sorted(set(made))
    assert [data.id for data in both[0].ws.find(oldest_first=True)] == made
    check(both[0])
