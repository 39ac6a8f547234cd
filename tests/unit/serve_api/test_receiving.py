"""A body on its way into a receiver: in bounded batches, in threads, and not for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from raykqi.errors import InvalidInput, TooManyRequests, TooSlow
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.receiving import Incoming, declared_length, receive
from serve_api.bytes.traffic import Place, Traffic

MIB = 1 << 20


class Kept:
    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self.is_finished = False

    def feed(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self.threads.add(threading.get_ident())

    def finish(self) -> None:
        self.is_finished = True


def incoming(body: AsyncIterator[bytes], *, patience: float = 60.0, traffic: Traffic | None = None) -> Incoming:
    limits = UploadLimits(patience=patience)
    traffic = traffic or Traffic(limits)
    return Incoming(body, limits, traffic, Place(traffic, limits))


async def body(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield bytes(size)


def test_a_body_is_taken_in_batches_by_threads() -> None:
    kept, traffic = Kept(), Traffic(UploadLimits())

    asyncio.run(receive(incoming(body(*[64 * 1024] * 40), traffic=traffic), kept))

    assert kept.sizes == [MIB, MIB, MIB // 2]
    assert kept.is_finished
    assert threading.get_ident() not in kept.threads
    assert traffic.values()["upload_bytes"] == 40 * 64 * 1024


def test_a_client_that_stops_sending_is_given_up() -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    with pytest.raises(TooSlow, match="16384 bytes"):
        asyncio.run(receive(incoming(stalled(), patience=0.05), Kept()))


def test_a_client_that_only_trickles_is_given_up() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.01)
            yield b"x"

    async def within() -> None:
        await asyncio.wait_for(receive(incoming(trickle(), patience=0.1), Kept()), 20)

    with pytest.raises(TooSlow):
        asyncio.run(within())


def test_an_error_of_the_receiver_ends_the_upload() -> None:
    class Refusing(Kept):
        def feed(self, data: bytes) -> None:
            raise InvalidInput("no")

    with pytest.raises(InvalidInput, match="no"):
        asyncio.run(receive(incoming(body(MIB, MIB)), Refusing()))


def test_uploads_beyond_the_places_are_refused_and_counted() -> None:
    traffic = Traffic(UploadLimits(at_once=1))

    with traffic.upload():
        with pytest.raises(TooManyRequests), traffic.upload():
            raise AssertionError("there was no place")
        assert traffic.values()["uploads_active"] == 1
    with pytest.raises(InvalidInput), traffic.upload():
        raise InvalidInput("broken")

    counts = traffic.values()
    assert (counts["uploads"], counts["uploads_failed"], counts["uploads_refused"]) == (1, 1, 1)
    assert counts["uploads_active"] == 0


def test_large_uploads_have_few_places_and_small_ones_go_on() -> None:
    limits = UploadLimits(at_once=9, large_at_once=1, small=100)
    traffic = Traffic(limits)

    with traffic.upload(101), traffic.upload() as small:
        small.has_come(60)
        with pytest.raises(TooManyRequests):
            small.has_come(60)
        with pytest.raises(TooManyRequests), traffic.upload(101):
            raise AssertionError("there was no place")
    with traffic.upload() as large:
        large.has_come(101)
        large.has_come(101)
        assert traffic.values()["uploads_large"] == 1
    assert traffic.values()["uploads_large"] == 0


def test_a_length_must_be_one() -> None:
    assert (declared_length(None), declared_length("12")) == (0, 12)
    for text in ("-1", "x", "1e3", "１"):
        with pytest.raises(InvalidInput):
            declared_length(text)
