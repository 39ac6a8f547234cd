"""Storage that overwrites silently: the lease has one owner at a time, dead ones are replaced, late ones refused."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from time import sleep

import msgspec
import pytest

from raykqi.errors import Fenced, StorageUnavailable, WorkspaceOwned
from raykqi.journal.lease import Lease
from raykqi.journal.log import Journal
from raykqi.journal.ownership import Kind, Owner, this_owner
from raykqi.journal.processes import Process, boot_seconds, this_process
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_memory import MemoryStore
from tests.unit.journal.history import append, purged, reasons
from tests.unit.journal.stores import OverwritingStore

TTL, SETTLE = 1.2, 0.2  # seconds; LONG where nothing has to run out
LONG, PATIENT = 8.0, 60.0
ELSEWHERE = Process("gpu9", "another-boot pid:[1]", 77, "12345")


@pytest.fixture
def bucket() -> OverwritingStore:
    return OverwritingStore(uuid.uuid4().hex)


def lease(store: MemoryStore, kind: Kind = "embedded", url: str = "", *, ttl: float = TTL, idle: float = LONG) -> Lease:
    return Lease(this_owner(kind, url=url, user="sato"), store, ttl=ttl, settle=SETTLE, idle=idle)


def text(nonce: str, process: Process, *, counter: int = 0, kind: Kind = "embedded", url: str = "") -> bytes:
    owner = Owner(kind, url, "ops", datetime(2026, 11, 20, tzinfo=UTC), process)
    return msgspec.json.encode({"nonce": nonce, "counter": counter, "owner": owner})


def test_a_lease_is_taken_kept_and_given_back(bucket: OverwritingStore) -> None:
    mine, other = lease(bucket, ttl=LONG), lease(bucket, ttl=LONG)
    mine.acquire(PATIENT)
    mine.check()

    with pytest.raises(WorkspaceOwned, match="in use by another program of sato"):
        other.acquire(0)
    mine.close()
    other.acquire(PATIENT)

    other.check()
    with pytest.raises(Fenced, match="ran out or was lost"):
        mine.check()
    other.close()
    assert not bucket.exists("lease.json")


def test_a_heartbeat_keeps_the_lease_beyond_its_term(bucket: OverwritingStore) -> None:
    mine, other = lease(bucket), lease(bucket)
    mine.acquire(PATIENT)

    with pytest.raises(WorkspaceOwned):
        other.acquire(2 * TTL)

    mine.check()
    mine.close()


def test_batches_after_the_first_ask_nobody(bucket: OverwritingStore) -> None:
    mine = lease(bucket, ttl=LONG)
    with mine.held(PATIENT):
        pass
    bucket.requests.clear()

    for _ in range(100):
        with mine.held(0):
            mine.check()

    assert bucket.requests == []
    mine.close()


def test_a_dead_owner_of_this_machine_is_replaced_at_once(bucket: OverwritingStore) -> None:
    bucket.put("lease.json", text("dead", msgspec.structs.replace(this_process(), start="1")))
    mine = lease(bucket, ttl=3600)

    mine.acquire(0)

    assert mine.is_held
    mine.close()


def test_an_owner_elsewhere_is_replaced_when_it_was_still_for_a_term(bucket: OverwritingStore) -> None:
    bucket.put("lease.json", text("gone", ELSEWHERE))
    mine = lease(bucket)
    began = boot_seconds()

    mine.acquire(PATIENT)

    assert boot_seconds() - began >= TTL
    mine.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"[" * 100_000])
def test_an_unreadable_lease_is_watched_for_a_term_too(bucket: OverwritingStore, content: bytes) -> None:
    bucket.put("lease.json", content)

    with pytest.raises(WorkspaceOwned, match="in use by another program"):
        lease(bucket).acquire(0)


def test_a_server_that_moves_is_not_waited_for(bucket: OverwritingStore) -> None:
    server = lease(bucket, "server", "http://gpu1:8265")
    server.acquire(PATIENT)
    began = boot_seconds()

    with pytest.raises(WorkspaceOwned, match="the server at http://gpu1:8265"):
        lease(bucket).acquire(600)

    assert boot_seconds() - began < 60
    server.close()


class Hooked(OverwritingStore):
    """Does something just before or after this client's next write of the lease."""

    def __init__(self, name: str, objects: MemoryStore) -> None:
        super().__init__(name)
        self._objects = objects._objects
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def put(self, key: str, data: bytes) -> None:
        before, self.before = self.before, lambda: None
        after, self.after = self.after, lambda: None
        before()
        super().put(key, data)
        after()


def test_a_lease_that_is_overwritten_while_settling_is_not_ours(bucket: OverwritingStore) -> None:
    mine = Hooked("b", bucket)
    mine.after = lambda: bucket.put("lease.json", text("theirs", ELSEWHERE))

    with pytest.raises(WorkspaceOwned, match="process 77 on gpu9"):
        lease(mine).acquire(0)

    assert b"theirs" in bucket.get("lease.json")


def test_a_write_that_arrives_while_settling_wins(bucket: OverwritingStore) -> None:
    mine = Hooked("b", bucket)
    theirs = threading.Timer(0.1, bucket.put, ("lease.json", text("theirs", ELSEWHERE)))
    mine.after = theirs.start
    slow = Lease(this_owner(), mine, ttl=LONG, settle=2.0)

    with pytest.raises(WorkspaceOwned, match="process 77 on gpu9"):
        slow.acquire(0)
    theirs.join()


def test_giving_back_leaves_the_lease_of_another(bucket: OverwritingStore) -> None:
    mine = lease(bucket, ttl=LONG)
    mine.acquire(PATIENT)
    bucket.put("lease.json", text("theirs", ELSEWHERE))

    mine.close()

    assert b"theirs" in bucket.get("lease.json")


def test_a_write_that_took_too_long_is_not_trusted_for_a_whole_term(bucket: OverwritingStore) -> None:
    mine = Hooked("b", bucket)
    mine.before = partial(sleep, SETTLE)
    slow = lease(mine)
    began = boot_seconds()

    slow.acquire(PATIENT)

    assert boot_seconds() - began >= TTL
    slow.close()


def test_an_owner_whose_lease_was_overwritten_stops_at_its_next_heartbeat(bucket: OverwritingStore) -> None:
    mine = lease(bucket)
    mine.acquire(PATIENT)
    bucket.put("lease.json", text("late", ELSEWHERE))
    heartbeat = mine._heartbeat
    assert heartbeat is not None
    heartbeat.join(10)

    with pytest.raises(Fenced):
        mine.check()
    mine.close()
    assert b"late" in bucket.get("lease.json")


class GoesAway(OverwritingStore):
    away = False

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if self.away:
            raise StorageUnavailable("connection refused")
        return super().get(key, start, end)


def test_an_owner_that_cannot_renew_stops_before_others_may_begin() -> None:
    bucket = GoesAway(uuid.uuid4().hex)
    mine = lease(bucket)
    mine.acquire(PATIENT)
    heartbeat = mine._heartbeat
    assert heartbeat is not None
    bucket.away = True

    heartbeat.join(10)

    with pytest.raises(Fenced):
        mine.check()
    mine.close()


def test_an_idle_program_gives_the_lease_back_and_takes_it_again_for_its_next_batch(bucket: OverwritingStore) -> None:
    mine, other = lease(bucket, ttl=3600, idle=0.2), lease(bucket, ttl=3600)
    with mine.held(PATIENT):
        pass

    other.acquire(PATIENT)

    assert not mine.is_held
    other.release()
    with mine.held(PATIENT):
        mine.check()
    mine.close()
    assert not bucket.exists("lease.json")


def test_a_long_batch_keeps_the_lease_however_idle_it_seems(bucket: OverwritingStore) -> None:
    mine, other = lease(bucket, idle=0.05), lease(bucket)
    with mine.held(PATIENT):
        pass

    with mine.held(PATIENT):
        with pytest.raises(WorkspaceOwned):
            other.acquire(2 * TTL)
        mine.check()
    mine.close()


def test_what_was_taken_outside_of_a_batch_is_kept_until_it_is_released(bucket: OverwritingStore) -> None:
    mine, other = lease(bucket, idle=0.05), lease(bucket)
    mine.acquire(PATIENT)
    with mine.held(0):
        pass

    with pytest.raises(WorkspaceOwned):
        other.acquire(2 * TTL)

    mine.check()
    mine.close()


def test_a_server_keeps_its_lease_between_batches(bucket: OverwritingStore) -> None:
    server, other = lease(bucket, "server", "http://gpu1:8265", idle=0.05), lease(bucket)
    with server.held(PATIENT):
        pass

    with pytest.raises(WorkspaceOwned, match="the server at http://gpu1:8265"):
        other.acquire(2 * TTL)

    server.check()
    server.close()


class SlowToDelete(OverwritingStore):
    """Waits before it deletes the lease, until it is told to go on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.is_deleting, self.may_go_on = threading.Event(), threading.Event()

    def delete(self, keys: Iterable[str]) -> None:
        self.is_deleting.set()
        self.may_go_on.wait(60)
        super().delete(keys)


def test_a_batch_that_begins_while_the_lease_is_given_back_takes_it_anew() -> None:
    bucket = SlowToDelete(uuid.uuid4().hex)
    mine = lease(bucket, ttl=LONG, idle=0.05)
    with mine.held(PATIENT):
        pass
    assert bucket.is_deleting.wait(60)
    before = bucket.get("lease.json")
    threading.Timer(0.2, bucket.may_go_on.set).start()

    with mine.held(PATIENT):
        mine.check()
        assert bucket.get("lease.json") != before
    mine.close()


def test_storage_that_is_away_when_an_idle_lease_is_given_back_costs_no_more_than_a_term() -> None:
    bucket = GoesAway(uuid.uuid4().hex)
    mine, other = lease(bucket, idle=0.05), lease(bucket)
    with mine.held(PATIENT):
        bucket.away = True
        heartbeat = mine._heartbeat
    assert heartbeat is not None
    heartbeat.join(10)
    bucket.away = False

    other.acquire(PATIENT)

    assert not mine.is_held
    other.close()
    mine.close()


def test_that_storage_overwrites_is_said_once_and_only_to_those_who_write(
    bucket: OverwritingStore, caplog: pytest.LogCaptureFixture
) -> None:
    mine, other = lease(bucket, ttl=LONG), lease(bucket, ttl=LONG)
    assert caplog.messages == []

    for one in (mine, other, mine):
        one.acquire(PATIENT)
        one.release()

    assert [message for message in caplog.messages if "overwrites objects silently" in message] == [
        f"{bucket.url} overwrites objects silently: only a lease keeps two writers apart there. "
        "Storage that honours If-None-Match is safer."
    ]


def test_many_who_begin_at_once_have_one_owner_at_a_time(bucket: OverwritingStore) -> None:
    """Each owner appends with no other fence than its lease, and gives it back."""
    failures: list[Exception] = []
    ready = threading.Barrier(5)

    def one(number: int) -> None:
        mine = lease(bucket, ttl=LONG)
        journal = Journal(bucket, writer=f"host:{number}:x", guard=mine.check)
        ready.wait()
        try:
            mine.acquire(60)
            for _ in range(5):
                last = list(journal.read())
                append(journal, last[-1] if last else None, purged(str(number)))
        except Exception as e:
            failures.append(e)
        mine.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    owners = reasons(Journal(bucket).read())
    assert len(owners) == 25
    assert sum(one != following for one, following in pairwise(owners)) == 4


def test_a_journal_without_its_lease_writes_nothing(bucket: OverwritingStore) -> None:
    mine = lease(bucket)

    with pytest.raises(Fenced, match="ran out or was lost"):
        append(Journal(bucket, guard=mine.check), None)

    assert stored(bucket) == []


def stored(store: Store) -> list[str]:
    return [info.key for info in store.list("journal")]
