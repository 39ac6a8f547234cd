"""Faults between a store and its S3 server: those that pass are survived, the others are named in time."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from raykqi.errors import ObjectExists, StorageDenied, StorageError, StorageUnavailable
from raykqi.storage.filesystem import Store
from tests.faultproxy import Answer, Fault, cut, lost_answer, no_connection, slow, status, truncated
from tests.servers import FaultProxy, S3Server

MIB = 1 << 20
LARGE = random.Random(11).randbytes(MIB) * 18  # a stream of this size is sent in two parts, and read in five requests


class Operation(NamedTuple):
    """What a store does, the request of it that gets a fault, and what comes of it."""

    act: Callable[[Store], object]
    method: str
    key: str
    result: object = None
    request: str = ""  # as messages call it


def stream() -> Iterator[bytes]:
    return (LARGE[at : at + MIB] for at in range(0, len(LARGE), MIB))


def upload(store: Store) -> int:
    return store.put_stream("new/large", stream())


OPERATIONS = {
    "get": Operation(lambda s: s.get("there/large"), "GET", "there/large", LARGE, "get_object"),
    "read": Operation(lambda s: b"".join(s.read("there/large")), "GET", "there/large", LARGE, "get_object"),
    "put": Operation(lambda s: s.put("new/put", b"x"), "PUT", "new/put", None, "put_object"),
    "create": Operation(lambda s: s.create("new/created", b"x"), "PUT", "new/created", None, "put_object"),
    "begin": Operation(upload, "POST", "new/large?uploads", len(LARGE), "create_multipart_upload"),
    "part": Operation(upload, "PUT", "partNumber=2", len(LARGE), "upload_part"),
    "complete": Operation(upload, "POST", "new/large?uploadId", len(LARGE), "complete_multipart_upload"),
    "info": Operation(lambda s: s.info("there/small").size, "HEAD", "there/small", 5, "head_object"),
    "exists": Operation(lambda s: s.exists("there/not"), "HEAD", "there/not", False, "head_object"),
    "list": Operation(
        lambda s: [found.key for found in s.list("there")],
        "GET",
        "list-type",
        ["there/large", "there/small", "there/touched"],
        "list_objects_v2",
    ),
    "delete": Operation(lambda s: s.delete(["new/never"]), "POST", "?delete", None, "delete_objects"),
    "touch": Operation(lambda s: s.touch("there/touched"), "PUT", "there/touched", True, "copy_object"),
}


@pytest.fixture
def proxy(moto: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(moto) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def filled(_moto: S3Server) -> Iterator[Store]:
    """Some objects, put there without the proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _moto.env().items():
            patch.setenv(name, value)
        store = _moto.store()
        store.put("there/large", LARGE)
        store.put("there/small", b"small")
        store.put("there/touched", b"t")
    yield store
    store.close()


@pytest.fixture
def open_store(proxy: FaultProxy, filled: Store) -> Iterator[Callable[[float], Store]]:
    """The same objects through the proxy, as patiently as the test wants it."""
    stores: list[Store] = []

    def make(patience: float) -> Store:
        stores.append(proxy.front.store(filled.url.removeprefix("s3://bucket/"), storage_timeout=patience))
        assert stores[-1].creates_exclusively
        return stores[-1]

    yield make
    proxy.clear()
    for store in stores:
        store.delete([found.key for found in filled.list("new")])
        store.close()


@pytest.fixture
def store(open_store: Callable[[float], Store]) -> Store:
    return open_store(10)


@pytest.mark.parametrize(
    "fault",
    [pytest.param(status(500), marks=pytest.mark.soak), status(503), no_connection, lost_answer, cut],
    ids=["500", "503", "no connection", "lost answer", "cut"],
)
def test_every_operation_survives_faults_that_pass(proxy: FaultProxy, store: Store, fault: Fault) -> None:
    orders = {
        name: proxy.order(fault, method=operation.method, key=operation.key, times=2)
        for name, operation in OPERATIONS.items()
        if name != "read"  # which makes the same requests as `get`
    }

    for name, operation in OPERATIONS.items():
        if name not in ("begin", "part"):  # which are the beginnings of `complete`
            assert operation.act(store) == operation.result, name

    assert [name for name, order in orders.items() if order.hits == 0] == []
    assert {found.key: found.size for found in store.list("new")} == {
        "new/created": 1,
        "new/large": 18 * MIB,
        "new/put": 1,
    }
    assert store.get("new/large") == LARGE


def test_truncated_answers_are_asked_for_again(proxy: FaultProxy, store: Store) -> None:
    for name in ["read", "list", "complete"]:
        operation = OPERATIONS[name]
        order = proxy.order(truncated, method=operation.method, key=operation.key, times=2)

        assert operation.act(store) == operation.result
        assert order.hits >= 1
        proxy.clear()


def test_faults_that_stay_are_named_in_time(proxy: FaultProxy, open_store: Callable[[float], Store]) -> None:
    store = open_store(4)
    for operation, fault in zip(OPERATIONS.values(), itertools.cycle([status(503), no_connection]), strict=False):
        proxy.order(fault, method=operation.method, key=operation.key, times=None)

    for name, answer in all_at_once(store, set(OPERATIONS) - {"part", "complete"}).items():
        assert isinstance(answer.error, StorageUnavailable), (name, answer)
        assert OPERATIONS[name].request in answer.error.message
        assert proxy.front.endpoint in answer.error.message
        assert "(gave up after " in answer.error.message
        assert "attempts in " in answer.error.message
        assert "is up and reachable, then repeat; RAYKQI_STORAGE_TIMEOUT" in answer.error.hint
        assert 2 < answer.seconds < 12
    proxy.clear()
    assert list(store.list("new")) == []


def test_a_server_that_never_answers_is_named_in_time(proxy: FaultProxy, open_store: Callable[[float], Store]) -> None:
    store = open_store(1)
    proxy.order(slow(60), times=None)

    for name, answer in all_at_once(store, set(OPERATIONS)).items():
        assert isinstance(answer.error, StorageUnavailable), (name, answer)
        assert "timeout" in answer.error.message.lower()
        assert answer.seconds < 10


def test_a_slow_answer_is_asked_for_again(proxy: FaultProxy, open_store: Callable[[float], Store]) -> None:
    store = open_store(2)  # waits a second for an answer
    for key in ["there/small", "new/put", "new/created"]:
        proxy.order(slow(1.5), key=key)

    assert store.get("there/small") == b"small"
    store.put("new/put", b"x")
    store.create("new/created", b"x")

    assert (store.get("new/put"), store.get("new/created")) == (b"x", b"x")


def test_a_broken_read_goes_on_where_it_broke(proxy: FaultProxy, store: Store) -> None:
    proxy.order(cut, method="GET", key="there/large", times=5)

    assert store.get("there/large") == LARGE
    assert len([request for request in proxy.requests if request.startswith("GET ")]) == 5 + 1


def test_a_lost_answer_of_create_is_a_success(proxy: FaultProxy, store: Store) -> None:
    order = proxy.order(lost_answer, method="PUT", key="new/1")

    store.create("new/1", b"mine")

    assert order.hits == 1
    with pytest.raises(ObjectExists):
        store.create("new/1", b"another's")


def test_a_lost_answer_of_a_refusal_is_a_refusal(proxy: FaultProxy, store: Store) -> None:
    store.put("new/1", b"another's")
    proxy.order(lost_answer, method="PUT", key="new/1")

    with pytest.raises(ObjectExists, match="new/1 already exists with other bytes"):
        store.create("new/1", b"mine")
    assert store.get("new/1") == b"another's"


def test_a_create_that_meets_another_one_is_tried_again(proxy: FaultProxy, store: Store) -> None:
    proxy.order(status(409), method="PUT", key="new/1", times=2)

    store.create("new/1", b"mine")

    assert store.get("new/1") == b"mine"


@pytest.mark.parametrize("fault", [lost_answer, no_connection, status(503)], ids=["lost", "no connection", "503"])
def test_of_many_creators_with_faults_one_wins(proxy: FaultProxy, store: Store, fault: Fault) -> None:
    proxy.order(fault, method="PUT", key="new/race", times=5, skip=1)

    def create(n: int) -> int | None:
        try:
            store.create("new/race", b"%d" % n)
        except ObjectExists:
            return None
        return n

    with ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(create, range(8)) if n is not None]

    assert [b"%d" % n for n in winners] == [store.get("new/race")]


@pytest.mark.parametrize("name", ["part", "complete"])
def test_an_upload_that_fails_is_aborted(proxy: FaultProxy, open_store: Callable[[float], Store], name: str) -> None:
    store = open_store(3)
    operation = OPERATIONS[name]
    proxy.order(status(503), method=operation.method, key=operation.key.removeprefix("new/large"), times=None)

    with pytest.raises(
        StorageUnavailable, match=rf"{operation.request} .*new/interrupted .*gave up after \d+ attempts in"
    ):
        store.put_stream("new/interrupted", stream())

    assert not store.exists("new/interrupted")
    assert unfinished_uploads(proxy, store) == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, RuntimeError])
def test_an_upload_that_is_interrupted_is_aborted(
    proxy: FaultProxy, store: Store, interrupt: type[BaseException]
) -> None:
    def parts() -> Iterator[bytes]:
        yield from stream()
        yield from stream()
        assert unfinished_uploads(proxy, store) != []
        raise interrupt

    with pytest.raises(interrupt):
        store.put_stream("new/interrupted", parts())

    assert not store.exists("new/interrupted")
    assert unfinished_uploads(proxy, store) == []


def test_a_server_that_ignores_ranges_is_refused(proxy: FaultProxy, store: Store) -> None:
    whole = Answer(200, [("ETag", '"1"'), ("Content-Length", "10")], b"0123456789")
    proxy.order(lambda exchange: exchange.send(whole), method="GET", key="there/small", times=None)

    for start, end in [(0, 5), (3, 5), (3, None)]:
        with pytest.raises(StorageError, match="the server answered with bytes 0 to 9") as refused:
            store.get("there/small", start, end)
        assert refused.value.hint == "Use a server that supports ranged reads."


def test_an_object_that_is_replaced_while_it_is_read_is_never_mixed(s3: S3Server) -> None:
    store = s3.store()
    store.put("large", LARGE)
    chunks = store.read("large", chunk=MIB)
    next(chunks)

    store.put("large", b"other" + LARGE[5:])

    with pytest.raises(StorageError, match="large was replaced while it was read"):
        list(chunks)
    store.delete(["large"])
    store.close()


def test_only_the_keys_that_failed_are_deleted_again(proxy: FaultProxy, store: Store) -> None:
    store.put("new/1", b"x")
    full = store.url.removeprefix("s3://bucket/") + "/new/1"
    order = proxy.order(lambda exchange: exchange.send(not_deleted(full, "InternalError")), key="?delete")

    store.delete(["new/0", "new/1", "new/2"])

    assert order.hits == 1
    assert not store.exists("new/1")


def test_keys_that_cannot_be_deleted_are_named(proxy: FaultProxy, open_store: Callable[[float], Store]) -> None:
    store = open_store(1)
    proxy.order(lambda exchange: exchange.send(not_deleted("new/1", "AccessDenied")), key="?delete")
    proxy.order(lambda exchange: exchange.send(not_deleted("new/1", "InternalError")), key="?delete", times=None)

    with pytest.raises(StorageDenied, match=r"delete_objects s3://bucket/new/1 .*AccessDenied"):
        store.delete(["new/1"])
    with pytest.raises(StorageUnavailable, match=r"delete_objects s3://bucket/new/1 .*InternalError.*gave up after"):
        store.delete(["new/1"])


def test_a_server_without_conditions_is_found_out(moto: S3Server) -> None:
    with FaultProxy(moto) as proxy:
        proxy.order(status(501), method="PUT", key="tmp/probe")
        store = proxy.front.store()

        assert not store.creates_exclusively
        store.create("a", b"first")
        with pytest.raises(ObjectExists):
            store.create("a", b"second")
        store.close()


def test_asking_for_the_bucket_is_patient_too(moto: S3Server) -> None:
    with FaultProxy(moto) as proxy:
        store = proxy.front.store()
        order = proxy.order(status(503), method="HEAD", times=2, skip=1)

        assert not store.exists("a")
        assert order.hits == 2
        store.close()


class Outcome(NamedTuple):
    error: BaseException | None
    seconds: float


def all_at_once(store: Store, names: set[str]) -> dict[str, Outcome]:
    def attempt(name: str) -> Outcome:
        started = time.monotonic()
        try:
            OPERATIONS[name].act(store)
        except StorageError as error:
            return Outcome(error, time.monotonic() - started)
        return Outcome(None, time.monotonic() - started)

    with ThreadPoolExecutor(len(OPERATIONS)) as pool:
        return dict(zip(names, pool.map(attempt, names), strict=True))


def unfinished_uploads(proxy: FaultProxy, store: Store) -> list[str]:
    """Of `interrupted`: an upload whose beginning was never answered stays until it is swept."""
    key = store.url.removeprefix("s3://bucket/") + "/new/interrupted"
    client = proxy.front.client()
    found = client.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    client.close()
    return [each["Key"] for each in found if each["Key"] == key]


def not_deleted(key: str, code: str) -> Answer:
    text = f"<DeleteResult><Error><Key>{key}</Key><Code>{code}</Code><Message>no</Message></Error></DeleteResult>"
    return Answer(200, [("Content-Type", "application/xml")], text.encode())
