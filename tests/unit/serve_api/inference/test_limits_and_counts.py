"""The rate of an endpoint, bodies that stop coming, and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from raykqi.domain.endpoint import RequestLimits
from raykqi.errors import InvalidInput, TooLarge, TooManyRequests, TooSlow
from serve_api.inference.counting import Counter
from serve_api.inference.limiting import Rate, Reading


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_rate_lets_so_many_through_a_second() -> None:
    clock = Hand()
    rate = Rate(clock)
    rate.set(2.0)

    assert sum(passes(rate) for clock.now in (100.0 + step / 10 for step in range(101))) == 22  # two, and two a second


def passes(rate: Rate) -> bool:
    try:
        rate.take()
    except TooManyRequests:
        return False
    return True


def test_less_than_one_a_second_still_lets_one_through() -> None:
    clock = Hand()
    rate = Rate(clock)
    rate.set(0.1)

    rate.take()
    with pytest.raises(TooManyRequests) as refused:
        rate.take()
    assert refused.value.retry_after == pytest.approx(10.0)
    clock.now += 10.1
    rate.take()


def receiving(messages: Iterator[dict[str, Any]]) -> Any:
    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def read(messages: list[dict[str, Any]], headers: dict[str, str] | None = None, **limits: Any) -> bytes:
    async def take() -> bytes:
        return await Reading(every=0.02).body(receiving(iter(messages)), headers or {}, RequestLimits(**limits))

    return asyncio.run(take())


def test_pieces_of_a_body_are_joined() -> None:
    assert read([piece(b"ab"), piece(b""), piece(b"c", more=False)]) == b"abc"


def test_a_body_is_refused_as_soon_as_it_is_too_large() -> None:
    with pytest.raises(TooLarge):
        read([piece(b"abc", more=False)], body=2)
    with pytest.raises(TooLarge):
        read([piece(b"ab"), piece(b"c")], body=2)  # the rest was not waited for
    with pytest.raises(TooLarge):
        read([], {"content-length": "3"}, body=2)


def test_a_body_that_stops_coming_is_given_up() -> None:
    with pytest.raises(TooSlow):
        read([piece(b"ab")], timeout=0.05)
    with pytest.raises(InvalidInput, match="ended before"):
        read([piece(b"ab"), {"type": "http.disconnect"}])


def test_whoever_goes_away_meanwhile_is_no_body_that_came_too_slowly() -> None:
    async def leave() -> None:
        reading = asyncio.ensure_future(Reading().body(receiving(iter([piece(b"a")])), {}, RequestLimits()))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(leave())


def test_answers_are_counted_by_status_and_time() -> None:
    counter = Counter()
    for status, seconds in ((200, 0.0005), (200, 0.001), (404, 0.0011), (503, 100.0)):
        counter.add(status, seconds)

    counts = counter.counts(batches=7)

    assert (counts.answers, counts.refused, counts.errors, counts.batches) == (4, 1, 1, 7)
    assert counts.latencies[:3] == (2, 1, 0)
    assert counts.latencies[-1] == 1
    assert sum(counts.latencies) == 4
