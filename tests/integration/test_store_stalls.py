"""Servers that hold a request instead of failing it, and requests that only some servers refuse."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from raykqi.errors import StorageUnavailable
from tests.faultproxy import Answer, Exchange, Fault
from tests.servers import FaultProxy, S3Server

MIB = 1 << 20


@pytest.fixture
def proxy(moto: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(moto) as proxy:
        yield proxy


def refusal(code: str, status: int) -> Fault:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>ordered by a test</Message></Error>".encode()
    return lambda exchange: exchange.send(Answer(status, [("Content-Type", "application/xml")], body))


def never_read(exchange: Exchange) -> None:
    """The connection stays open and nobody takes the body from it."""
    exchange.closing.wait(60)
    exchange.hang_up()


def test_a_server_that_freezes_during_an_upload_is_named_in_time(own_rclone: S3Server) -> None:
    store = own_rclone.store("lab", storage_timeout=2.0)
    store.put("kept", b"kept")
    os.kill(own_rclone.process.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match=r"put_object .*the server took nothing more for 2 s"):
            store.put("big", bytes(30 * MIB))
        assert time.monotonic() - started < 15
    finally:
        os.kill(own_rclone.process.pid, signal.SIGCONT)
    assert store.get("kept") == b"kept"
    store.close()


def taken(exchange: Exchange) -> None:
    """Answered by the proxy, since what the server does with so many bytes would be timed as well."""
    exchange.body()
    exchange.send(Answer(200, [("ETag", '"taken"')], b""))


@pytest.mark.parametrize("size", [30 * MIB, 40 * MIB], ids=["in one request", "in parts"])
def test_an_upload_that_nobody_takes_is_sent_again(proxy: FaultProxy, size: int) -> None:
    store = proxy.front.store(storage_timeout=4.0)
    stalled, sent = ("/big", 1) if size == 30 * MIB else ("partNumber=2", 3)
    never = proxy.order(never_read, method="PUT", key=stalled)
    again = proxy.order(taken, method="PUT", key="/big", times=None)
    proxy.order(taken, method="POST", key="uploadId")

    store.put("big", bytes(size))

    assert (never.hits, again.hits) == (1, sent)
    store.close()


def test_an_upload_that_is_taken_slowly_is_left_alone(proxy: FaultProxy) -> None:
    seconds = []

    def take_slowly(exchange: Exchange) -> None:
        started = time.monotonic()
        for piece in exchange.pieces(2 * MIB):
            exchange.closing.wait(len(piece) / (5.5 * MIB))
        seconds.append(time.monotonic() - started)
        taken(exchange)

    store = proxy.front.store(storage_timeout=5.0)  # gives up when nothing is taken for 5 s
    proxy.order(take_slowly, method="PUT", key="/big", times=None)

    store.put("big", bytes(30 * MIB))

    assert len(seconds) == 1
    assert seconds[0] > 5
    store.close()


def test_a_conflict_that_passes_is_tried_again(proxy: FaultProxy) -> None:
    store = proxy.front.store()
    order = proxy.order(refusal("OperationAborted", 409), method="PUT", key="/a", times=2)

    store.put("a", b"x")

    assert (order.hits, store.get("a")) == (2, b"x")
    store.close()


def test_what_is_too_large_to_be_copied_at_once_is_touched_in_parts(proxy: FaultProxy) -> None:
    store = proxy.front.store()
    store.put("large", b"large")
    before = store.info("large").modified
    refused = proxy.order(refusal("InvalidRequest", 400), method="PUT", key="/large")

    assert store.touch("large")

    assert refused.hits == 1
    assert store.get("large") == b"large"
    assert store.info("large").modified >= before
    assert [line for line in proxy.requests if "partNumber=1" in line]
    store.close()


def test_unfinished_uploads_in_a_whole_bucket_are_left_to_their_owners(proxy: FaultProxy) -> None:
    store = proxy.front.store("")

    assert store.sweep_leftovers() == 0

    assert [line for line in proxy.requests if "uploads" in line] == []
    store.close()
