"""Arrays of who made what: they follow the index, and reach exactly what a recursive query reaches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raykqi.catalog.adjacency import Adjacency
from raykqi.catalog.index import Index
from raykqi.domain.events import Event
from tests.examples import examples
from tests.unit.catalog.history import fold, recorded

_UP = """
    WITH RECURSIVE above(data) AS (
        SELECT ? UNION SELECT i.data FROM above a JOIN data d ON d.number = a.data JOIN run_input i ON i.run = d.run
    ) SELECT data FROM above
"""
_DOWN = """
    WITH RECURSIVE below(data) AS (
        SELECT ? UNION SELECT d.number FROM below b JOIN run_input i ON i.data = b.data JOIN data d ON d.run = i.run
    ) SELECT data FROM below
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Index]:
    made = Index(None, "test")
    yield made
    made.close()


def reached(adjacency: Adjacency, start: int, direction: str, **limits: int) -> set[int]:
    return set(adjacency.walk(data=[start], direction=direction, **limits).data)  # type: ignore[arg-type]


def dag(shape: list[tuple[int, list[int]]]) -> list[Event]:
    """Each run makes so many data of some that were there before; data are numbered from 1."""
    events: list[Event] = []
    data = 0
    for run, (outputs, chosen) in enumerate(shape, 1):
        inputs = sorted({1 + place % data for place in chosen}) if data else []
        events.append(recorded(run, range(data + 1, data + 1 + outputs), inputs))
        data += outputs
    return events


shapes = st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 1 << 20), max_size=3)), min_size=1, max_size=14)


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.too_slow])
@given(shape=shapes, told_at=st.sets(st.integers(1, 13)))
def test_a_walk_reaches_what_a_recursive_query_reaches(
    shared: Index, shape: list[tuple[int, list[int]]], told_at: set[int]
) -> None:
    shared.start_over()
    adjacency = Adjacency(shared)
    events = dag(shape)
    pieces = sorted({0, *(cut for cut in told_at if cut < len(events)), len(events)})

    for start, end in pairwise(pieces):
        fold(shared, events[start:end])
        adjacency.follow()

    for number in range(1, shared.position().data + 1):
        assert reached(adjacency, number, "up") == {data for (data,) in shared.rows(_UP, [number])}
        assert reached(adjacency, number, "down") == {data for (data,) in shared.rows(_DOWN, [number])}


def test_what_comes_after_the_first_question_is_seen(index: Index) -> None:
    adjacency = Adjacency(index)
    adjacency.follow()
    fold(index, [recorded(1, [1, 2])])
    adjacency.follow()
    fold(index, [recorded(2, [3], [1]), recorded(3, [4], [2, 3])])
    adjacency.follow()
    fold(index, [recorded(4, [5], [4])])

    assert reached(adjacency, 1, "down") == {1, 3, 4}
    adjacency.follow()
    assert reached(adjacency, 1, "down") == {1, 3, 4, 5}
    assert reached(adjacency, 5, "up") == {1, 2, 3, 4, 5}
    assert (adjacency.maker(1), adjacency.maker(5)) == (1, 4)
    assert (list(adjacency.inputs(3)), list(adjacency.outputs(1))) == ([2, 3], [1, 2])


def test_very_many_additions_are_merged_and_stay_right(index: Index) -> None:
    adjacency = Adjacency(index)
    fold(index, [recorded(1, [1])])
    adjacency.follow()
    fold(index, [recorded(run, [run], [run // 2]) for run in range(2, 30_000)])
    adjacency.follow()
    fold(index, [recorded(30_000, [30_000], [29_999])])
    adjacency.follow()

    assert reached(adjacency, 30_000, "up") == {30_000, 29_999, *(29_999 >> shift for shift in range(1, 15))}
    assert reached(adjacency, 14_999, "down") == {14_999, 29_998, 29_999, 30_000}


def test_a_walk_stops_where_it_is_told_and_says_so(index: Index) -> None:
    fold(index, [recorded(1, [1]), *(recorded(run, [run], [run - 1]) for run in range(2, 7))])
    adjacency = Adjacency(index)
    adjacency.follow()

    two_down = adjacency.walk(data=[2], direction="down", depth=2)
    all_down = adjacency.walk(data=[2], direction="down", depth=4)
    one_up = adjacency.walk(data=[2], direction="up", depth=1)
    from_run = adjacency.walk(runs=[3], direction="down", depth=1)
    long_ago = adjacency.walk(data=[2], direction="down", last_data=4, last_run=4)

    assert two_down == (frozenset({2, 3, 4}), frozenset({3, 4}), frozenset({4}))
    assert all_down == (frozenset({2, 3, 4, 5, 6}), frozenset({3, 4, 5, 6}), frozenset())
    assert one_up == (frozenset({1, 2}), frozenset({2}), frozenset({1}))
    assert from_run == (frozenset({3}), frozenset({3}), frozenset({3}))
    assert long_ago == (frozenset({2, 3, 4}), frozenset({3, 4}), frozenset())


def test_an_index_that_was_made_anew_with_another_history_is_read_anew(index: Index) -> None:
    fold(index, [recorded(1, [1]), recorded(2, [2], [1]), recorded(3, [3])])
    adjacency = Adjacency(index)
    adjacency.follow()
    assert reached(adjacency, 1, "down") == {1, 2}

    index.start_over()
    fold(index, [recorded(1, [1]), recorded(2, [2]), recorded(3, [3], [1]), recorded(4, [4], [3])])
    adjacency.follow()

    assert reached(adjacency, 1, "down") == {1, 3, 4}
    assert reached(adjacency, 2, "up") == {2}
