"""Buckets with exclusive creation: a server is respected while it lives, and overruled on request."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from raykqi.errors import Fenced, WorkspaceOwned
from raykqi.journal.filelock import FileLock
from raykqi.journal.lease import Lease
from raykqi.journal.memorylock import MemoryLock
from raykqi.journal.ownerobject import OwnerObject
from raykqi.journal.ownership import Owner, this_owner
from raykqi.journal.owning import open_ownership
from raykqi.journal.processes import Process, is_dead, this_process
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_memory import MemoryStore
from tests.unit.journal.stores import FarStore, OverwritingStore

ELSEWHERE = Process("gpu9", "another-boot pid:[1]", 77, "12345")


@pytest.fixture
def bucket() -> FarStore:
    return FarStore(uuid.uuid4().hex)


def server_at(url: str, process: Process) -> Owner:
    return Owner("server", url, "ops", datetime(2026, 11, 20, tzinfo=UTC), process)


def server(store: MemoryStore, url: str, *, takeover: bool = False) -> OwnerObject:
    return OwnerObject(this_owner("server", url=url), store, takeover=takeover)


def embedded(store: MemoryStore, *, takeover: bool = False) -> OwnerObject:
    return OwnerObject(this_owner(), store, takeover=takeover)


def ended_process() -> Process:
    """A process of this machine that is over."""
    show = "import msgspec, raykqi.journal.processes as p; print(msgspec.json.encode(p.this_process()).decode())"
    output = subprocess.run([sys.executable, "-c", show], check=True, capture_output=True).stdout
    return msgspec.json.decode(output, type=Process)


def test_an_embedded_controller_is_sent_to_the_server(bucket: FarStore) -> None:
    running = server(bucket, "http://gpu1:8265")
    running.acquire(0)

    with pytest.raises(WorkspaceOwned, match="the server at http://gpu1:8265") as error, embedded(bucket).held(0):
        pass
    running.close()

    assert error.value.hint == "Connect to http://gpu1:8265: while that server runs, it does the writing."
    with embedded(bucket).held(0):
        pass
    assert not bucket.exists("owner.json")


def test_a_second_server_is_refused_until_the_first_has_ended(bucket: FarStore) -> None:
    first, second = server(bucket, "http://gpu1:8265"), server(bucket, "http://gpu2:8265")
    first.acquire(0)

    with pytest.raises(WorkspaceOwned, match="http://gpu1:8265"):
        second.acquire(0)
    first.close()
    second.acquire(0)

    assert second.is_held
    second.close()


def test_a_server_of_another_machine_is_overruled_only_on_request(bucket: FarStore) -> None:
    text = msgspec.json.encode(server_at("http://gpu9:8265", ELSEWHERE))
    bucket.put("owner.json", text)

    for refused in (embedded(bucket), server(bucket, "http://gpu1:8265")):
        with pytest.raises(WorkspaceOwned, match=r"process 77 on gpu9, since 2026-11-20T00:00:00\+00:00"):
            refused.acquire(0)
    embedded(bucket, takeover=True).acquire(0)
    new = server(bucket, "http://gpu1:8265", takeover=True)
    new.acquire(0)

    with pytest.raises(WorkspaceOwned, match="http://gpu1:8265"):
        embedded(bucket).acquire(0)
    new.close()


def test_a_dead_server_of_this_machine_is_ignored(bucket: FarStore) -> None:
    bucket.put("owner.json", msgspec.json.encode(server_at("http://gpu1:8265", ended_process())))

    embedded(bucket).acquire(0)
    new = server(bucket, "http://gpu1:8266")
    new.acquire(0)

    assert new.is_held
    new.close()


def test_a_server_that_was_overruled_leaves_the_object_of_its_successor(bucket: FarStore) -> None:
    old, new = server(bucket, "http://gpu1:8265"), server(bucket, "http://gpu2:8265", takeover=True)
    old.acquire(0)
    new.acquire(0)

    old.close()

    assert bucket.exists("owner.json")
    new.close()


def test_an_unreadable_owner_object_stops_nobody(bucket: FarStore) -> None:
    bucket.put("owner.json", b"{")

    embedded(bucket).acquire(0)
    running = server(bucket, "http://gpu1:8265")
    running.acquire(0)

    assert running.is_held
    running.close()


def test_batches_do_not_ask_the_bucket_each_time(bucket: FarStore) -> None:
    mine = embedded(bucket)

    for _ in range(5):
        with mine.held(0):
            mine.check()

    assert bucket.requests == ["get owner.json"]


def test_a_controller_that_does_not_hold_it_may_not_write(bucket: FarStore) -> None:
    with pytest.raises(Fenced):
        embedded(bucket).check()


def test_a_process_is_dead_only_when_that_is_certain() -> None:
    me = this_process()

    assert not is_dead(me)
    assert is_dead(msgspec.structs.replace(me, start="1"))
    assert is_dead(ended_process())
    assert not is_dead(ELSEWHERE)
    assert not is_dead(msgspec.structs.replace(ended_process(), host="gpu9"))
    assert not is_dead(msgspec.structs.replace(ended_process(), realm=""))


def test_a_zombie_process_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = (f"/proc/{child.pid}/stat", 21)
    with open(start[0]) as stat:
        process = msgspec.structs.replace(this_process(), pid=child.pid, start=stat.read().split()[start[1]])
    assert not is_dead(process)

    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert is_dead(process)
    child.wait()


def test_each_kind_of_store_gets_the_ownership_it_needs(folder: Store, caplog: pytest.LogCaptureFixture) -> None:
    memory = MemoryStore(uuid.uuid4().hex)

    assert isinstance(open_ownership(folder), FileLock)
    assert isinstance(open_ownership(memory), MemoryLock)
    assert isinstance(open_ownership(FarStore("b")), OwnerObject)
    assert isinstance(open_ownership(OverwritingStore("b")), Lease)
    assert caplog.messages == []


def test_memory_has_one_writer_in_the_process() -> None:
    url = f"memory://{uuid.uuid4().hex}"
    first, second = MemoryLock(this_owner(user="tanaka"), url), MemoryLock(this_owner(user="sato"), url)

    with first.held(0):
        first.check()
        with pytest.raises(WorkspaceOwned, match=f"{url} is in use by another program of tanaka"):
            second.acquire(0.01)
    second.acquire(0)

    with pytest.raises(Fenced):
        first.check()
    second.close()
