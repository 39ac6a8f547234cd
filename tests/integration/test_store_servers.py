"""S3 servers that die, that know neither bucket nor keys; and processes that use a store and end."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from raykqi.errors import ObjectMissing, StorageDenied, StorageError, StorageUnavailable
from raykqi.storage.filesystem import Store, open_store
from tests.faultproxy import Exchange, first, status
from tests.servers import FaultProxy, S3Server

Act = Callable[[], object]

MIB = 1 << 20
LARGE = random.Random(13).randbytes(MIB) * 34  # files and bytes beyond 32 MiB are sent in parts


@pytest.fixture
def proxy(own_rclone: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(own_rclone) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: FaultProxy) -> Iterator[Store]:
    store = proxy.front.store()
    yield store
    store.close()


def test_an_upload_of_a_file_outlives_its_server(
    proxy: FaultProxy, own_rclone: S3Server, store: Store, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    killed = proxy.order(first(own_rclone.process.restart), method="PUT", key="partNumber=2")

    store.put_file("large", source)

    assert killed.hits == 1
    assert b"".join(store.read("large")) == LARGE
    assert [(found.key, found.size) for found in store.list("")] == [("large", len(LARGE))]


def test_a_stream_that_the_server_forgot_is_not_half_there(
    proxy: FaultProxy, own_rclone: S3Server, store: Store
) -> None:
    proxy.order(first(own_rclone.process.restart), method="PUT", key="partNumber=2")

    with pytest.raises(StorageUnavailable, match="the server forgot this upload") as forgotten:
        store.put_stream("large", (LARGE[at : at + MIB] for at in range(0, len(LARGE), MIB)))

    assert forgotten.value.hint == "Repeat the transfer."
    assert not store.exists("large")


def test_a_stream_waits_for_a_server_that_takes_nothing(proxy: FaultProxy, store: Store) -> None:
    """At most 8 parts of 16 MiB are under way, with one waiting and one growing."""
    arrived, taking, exhausted = threading.Semaphore(0), threading.Event(), threading.Event()
    taken = 0

    def parts() -> Iterator[bytes]:
        nonlocal taken
        while taken < 13 * 16:
            taken += 1
            yield LARGE[:MIB]
            if taking.is_set():
                raise InterruptedError
        exhausted.set()

    def hold(exchange: Exchange) -> None:
        arrived.release()
        taking.wait(60)
        exchange.pass_on()

    proxy.order(hold, method="PUT", key="partNumber", times=None)
    with ThreadPoolExecutor() as pool:
        upload = pool.submit(store.put_stream, "large", parts())
        assert all(arrived.acquire(timeout=30) for _ in range(8))
        assert not exhausted.wait(1)
        assert taken <= 11 * 16
        taking.set()
        assert isinstance(upload.exception(), InterruptedError)

    assert not store.exists("large")


def test_a_reader_outlives_its_server(proxy: FaultProxy, own_rclone: S3Server, store: Store) -> None:
    store.put("large", LARGE)
    killed = proxy.order(first(own_rclone.process.restart), method="GET", key="large", skip=3)

    assert b"".join(store.read("large")) == LARGE
    assert killed.hits == 1


def test_a_server_that_is_away_for_a_while_is_waited_for(own_rclone: S3Server) -> None:
    store = own_rclone.store()
    store.put("small", b"x")
    assert not store.creates_exclusively

    own_rclone.process.kill()
    acts: list[Act] = [
        lambda: store.get("small"),
        lambda: [found.key for found in store.list("")],
        lambda: store.put("a/put", b"1"),
        lambda: store.create("a/created", b"2"),
        lambda: store.exists("small"),
    ]
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(act) for act in acts]
        own_rclone.process.start()
        found = [answer.result() for answer in answers]

    assert found[0] == b"x"
    assert "small" in str(found[1])
    assert found[2:] == [None, None, True]

    assert (store.get("a/put"), store.get("a/created")) == (b"1", b"2")
    store.close()


def test_a_server_that_is_gone_is_named(own_rclone: S3Server) -> None:
    own_rclone.process.kill()
    store = own_rclone.store(storage_timeout=1)

    with pytest.raises(StorageUnavailable, match=rf"put_object .* at {own_rclone.endpoint} failed: Could not connect"):
        store.put("a", b"x")
    store.close()


def test_wrong_keys_are_told_from_missing_ones(rclone: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = rclone.store()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")

    acts: list[Act] = [lambda: store.get("a"), lambda: store.put("a", b"x"), lambda: list(store.list(""))]
    for act in acts:
        with pytest.raises(StorageDenied, match=f"at {rclone.endpoint} was refused") as refused:
            act()
        assert "AWS_SECRET_ACCESS_KEY" in refused.value.hint
    store.close()

    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    store = rclone.store()
    with pytest.raises(StorageDenied, match="no usable credentials for get_object") as refused:
        store.get("a")
    assert "AWS_ACCESS_KEY_ID" in refused.value.hint
    store.close()


def test_missing_rights_are_named_at_once(moto: S3Server) -> None:
    with FaultProxy(moto) as proxy:
        store = proxy.front.store()
        order = proxy.order(status(403), times=None)

        acts: list[Act] = [
            lambda: store.get("a"),
            lambda: store.put("a", b"x"),
            lambda: store.create("a", b"x"),
            lambda: store.info("a"),
            lambda: list(store.list("")),
            lambda: store.delete(["a"]),
        ]
        for act in acts:
            with pytest.raises(StorageDenied, match="was refused") as refused:
                act()
            assert "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on 'bucket'" in refused.value.hint
        assert order.hits == 7  # one each, and the removal of the probe that `create` could not write
        store.close()


def test_a_bucket_that_is_not_there_is_named(s3: S3Server) -> None:
    store = open_store("s3://no-such-bucket/lab", s3.settings())

    acts: list[Act] = [
        lambda: store.get("a"),
        lambda: list(store.read("a")),
        lambda: store.put("a", b"x"),
        lambda: store.put_stream("a", [LARGE]),
        lambda: store.create("a", b"x"),
        lambda: store.info("a"),
        lambda: store.exists("a"),
        lambda: list(store.list("")),
        lambda: store.delete(["a"]),
    ]
    for act in acts:
        with pytest.raises(StorageError, match=f"there is no bucket 'no-such-bucket' at {s3.endpoint}") as missing:
            act()
        assert not isinstance(missing.value, (ObjectMissing, StorageUnavailable))
        assert missing.value.hint.startswith("Make it first (aws s3 mb s3://no-such-bucket)")
    store.close()


def test_closing_gives_back_connections(own_rclone: S3Server) -> None:
    store = own_rclone.store()
    store.put("a", b"x")
    assert connections_to(own_rclone) > 0

    store.close()

    assert connections_to(own_rclone) == 0


@pytest.mark.parametrize(
    "program",
    [
        "store.close(); use(store); store.close(); use(store); store.close(); store.close()",
        "use(store)",
        "use(store); store.put('a/large', bytes(18 << 20)); next(store.read('a/large')); del store",
        "use(store); pid = os.fork(); use(store); pid and os.waitpid(pid, 0); store.close()",
    ],
    ids=["closed and used again", "forgotten", "half read and dropped", "forked"],
)
def test_a_process_ends_without_a_warning(rclone: S3Server, program: str) -> None:
    script = f"""
import os
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

def use(store):
    store.put(f"a/{{os.getpid()}}", b"x")
    assert store.get(f"a/{{os.getpid()}}") == b"x"
    assert [found.size for found in store.list("a")][0] == 1

store = open_store({rclone.url(uuid.uuid4().hex)!r}, Settings.from_env())
{program}
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"PATH": "", "AWS_EC2_METADATA_DISABLED": "true", **rclone.env()},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_local_store_is_opened_without_what_remote_ones_need(tmp_path: Path) -> None:
    script = f"""
import sys
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

store = open_store({str(tmp_path / "store")!r}, Settings())
store.put("a", b"x")
store.close()
print(sorted({{"s3fs", "fsspec", "botocore", "aiohttp", "asyncio"}} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout == "[]\n"


def connections_to(server: S3Server) -> int:
    open_ones = psutil.Process().net_connections("tcp4")
    return len([each for each in open_ones if each.raddr and each.raddr.port == server.process.port])
