"""What a listener hears: each commit once and in order, whatever was read before, and an end when it is too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from serve_api.news import MOST_BYTES, MOST_WAITING, Listener, follow


async def earlier(*numbers: int) -> AsyncIterator[tuple[int, bytes]]:
    for number in numbers:
        yield number, b"%d" % number


def heard(listener: Listener, *before: int, count: int) -> list[bytes | None]:
    async def take() -> list[bytes | None]:
        seen: list[bytes | None] = []
        async for message in follow(listener, earlier(*before), heartbeat=5.0):
            seen.append(message)
            if len(seen) == count:
                break
        return seen

    return asyncio.run(take())


def test_what_was_read_before_is_not_told_again() -> None:
    listener = Listener(project="default")
    for number in (2, 3, 4):
        listener.tell(number, b"%d" % number)

    assert heard(listener, 1, 2, 3, count=4) == [b"1", b"2", b"3", b"4"]


def test_what_a_listener_has_seen_before_it_came_is_not_told_again() -> None:
    listener = Listener(project="default")
    listener.tell(7, b"7")
    listener.tell(8, b"8")

    async def first() -> bytes | None:
        async for message in follow(listener, earlier(), heartbeat=5.0, after=7):
            return message
        raise AssertionError

    assert asyncio.run(first()) == b"8"


def test_silence_is_broken_by_signs_of_life() -> None:
    async def first() -> bytes | None:
        async for message in follow(Listener(project="default"), earlier(), heartbeat=0.01):
            return message
        raise AssertionError

    assert asyncio.run(first()) is None


def test_a_listener_that_is_too_far_behind_is_let_go() -> None:
    many, large = Listener(project="default"), Listener(project="default")
    for number in range(MOST_WAITING + 1):
        many.tell(number, b"x")
    large.tell(1, b"x" * (MOST_BYTES + 1))

    assert many.is_late
    assert large.is_late
    assert heard(many, 1, count=9) == [b"1"]
