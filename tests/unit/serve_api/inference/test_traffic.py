"""Requests are spread by shares, evenly and always the same."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from serve_api.inference.traffic import Traffic


def taken(shares: list[float], count: int) -> list[int]:
    traffic: Traffic[int] = Traffic()
    traffic.spread(enumerate(shares))
    found = [traffic.next() for _ in range(count)]
    assert None not in found
    return [each for each in found if each is not None]


def test_a_tenth_is_exactly_every_tenth() -> None:
    found = taken([0.9, 0.1], 1_000)

    assert all(found[at : at + 10].count(1) == 1 for at in range(0, 1_000, 10))


def test_shares_count_relative_to_each_other() -> None:
    assert Counter(taken([0.5, 0.25], 300)) == {0: 200, 1: 100}


def test_whoever_has_no_share_is_never_asked() -> None:
    traffic: Traffic[str] = Traffic()
    traffic.spread([("old", 0.0), ("new", 1.0)])
    assert {traffic.next() for _ in range(10)} == {"new"}
    traffic.spread([("old", 0.0)])
    assert traffic.next() is None


def test_the_same_shares_again_change_nothing() -> None:
    traffic: Traffic[str] = Traffic()
    found = []
    for _ in range(100):
        traffic.spread([("live", 0.9), ("canary", 0.1)])
        found.append(traffic.next())

    assert found.count("canary") == 10


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6), st.integers(1, 500))
def test_nobody_is_ever_off_by_more_than_their_turn(parts: list[int], count: int) -> None:
    shares = [part / sum(parts) for part in parts]
    found = Counter(taken(shares, count))

    assert all(abs(found[at] - share * count) < len(parts) for at, share in enumerate(shares))
