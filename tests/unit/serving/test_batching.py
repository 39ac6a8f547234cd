"""Which waiting requests run together."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.endpoint import Batching
from raykqi.serving.batching import Batcher


class Waiting(NamedTuple):
    joins: str | None
    rows: int = 1


def test_those_that_fit_the_first_go_with_it_in_their_order() -> None:
    a, b, c, d = Waiting("x"), Waiting("y"), Waiting("x", 3), Waiting(None)

    chosen = Batcher(Batching()).choose([a, b, c, d])

    assert chosen == [a, c]


def test_one_that_joins_nothing_goes_alone() -> None:
    assert Batcher(Batching()).choose([Waiting(None), Waiting(None)]) == [Waiting(None)]


def test_nothing_is_chosen_of_nothing() -> None:
    assert Batcher(Batching()).choose([]) == []


def test_no_more_than_the_most_go_together() -> None:
    assert len(Batcher(Batching(most=5)).choose([Waiting("x")] * 12)) == 5


def test_a_request_of_many_rows_runs_also_when_it_takes_longer_than_the_budget() -> None:
    batcher = Batcher(Batching(latency_ms=10))
    batcher.learn(64, 2.0)

    assert batcher.choose([Waiting("x", 500), Waiting("x")]) == [Waiting("x", 500)]


def test_a_batch_grows_to_what_the_budget_allows() -> None:
    batcher = Batcher(Batching(most=64, latency_ms=50))
    sizes = []
    for _ in range(40):
        size = len(batcher.choose([Waiting("x")] * 64))
        batcher.learn(size, size * 0.005)
        sizes.append(size)

    assert sizes[0] == 64
    assert 8 <= sizes[-1] <= 10


def test_what_costs_no_more_together_goes_together() -> None:
    batcher = Batcher(Batching(most=64, latency_ms=50))
    batcher.learn(1, 0.010)
    sizes = []
    for _ in range(8):
        size = len(batcher.choose([Waiting("x")] * 64))
        batcher.learn(size, 0.010 + size * 0.0001)
        sizes.append(size)

    assert sizes[-1] == 64


def test_one_stall_does_not_keep_batches_small() -> None:
    batcher = Batcher(Batching(most=64, latency_ms=50))
    batcher.learn(64, 3.0)
    sizes = []
    for _ in range(1000):
        size = len(batcher.choose([Waiting("x")] * 64))
        batcher.learn(size, 0.001 * size / 64 + 0.001)
        sizes.append(size)

    assert sizes[0] < 64
    assert sizes[-1] == 64


@given(
    st.lists(st.builds(Waiting, joins=st.sampled_from(["x", "y", None]), rows=st.integers(1, 9)), min_size=1),
    st.lists(st.tuples(st.integers(1, 500), st.floats(0, 10)), max_size=8),
    st.integers(1, 8),
)
def test_the_first_is_always_among_those_chosen_and_all_fit(
    waiting: list[Waiting], learned: list[tuple[int, float]], most: int
) -> None:
    batcher = Batcher(Batching(most=most))
    for rows, seconds in learned:
        batcher.learn(rows, seconds)

    chosen = batcher.choose(waiting)

    assert chosen[0] is waiting[0]
    assert len(chosen) <= most
    assert len(chosen) == 1 or {each.joins for each in chosen} == {waiting[0].joins}
