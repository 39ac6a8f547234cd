"""Who collects where only an object can say so: of several who find the turn of a dead process, one goes on."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from time import sleep

import msgspec
import pytest

from raykqi.errors import Conflict
from raykqi.journal.processes import Process, this_process
from raykqi.maintenance.turn import turn_to_collect
from raykqi.storage.filesystem import ObjectInfo
from raykqi.storage.filesystem_memory import MemoryStore
from tests.unit.journal.stores import OverwritingStore

SETTLE = 0.4


def turn(user: str, process: Process | None = None) -> bytes:
    return msgspec.json.encode({"nonce": user, "user": user, "process": process or this_process()})


def dead() -> Process:
    return msgspec.structs.replace(this_process(), start="1")


class _SeenByAll(MemoryStore):
    """The first four who look at the turn of another have all looked before one of them goes on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._looking, self._looks = threading.Barrier(4), iter(range(4))

    def info(self, key: str) -> ObjectInfo:
        found = super().info(key)
        if next(self._looks, None) is not None:
            self._looking.wait(60)
        return found


class _OverwritingSeenByAll(_SeenByAll, OverwritingStore):
    pass


@pytest.mark.parametrize("kind", [_SeenByAll, _OverwritingSeenByAll])
def test_of_several_who_overrule_a_dead_collector_one_goes_on(kind: type[_SeenByAll]) -> None:
    store = kind(uuid.uuid4().hex)
    store.put("gc.json", turn("ghost", dead()))
    ended = threading.Barrier(4)
    said: list[str] = []

    def one(user: str) -> None:
        try:
            with turn_to_collect(store, user):
                said.append("collects")
                ended.wait(60)
        except Conflict as error:
            said.append(f"refused: {'collects already' in error.message and bool(error.hint)}")
            ended.wait(60)

    threads = [threading.Thread(target=one, args=(f"user{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(said) == ["collects", "refused: True", "refused: True", "refused: True"]
    assert not store.exists("gc.json")


class Overwritten(OverwritingStore):
    """Another client, which had also looked before, writes this key just after its next write here."""

    after: Callable[[], None] | None = None
    before: Callable[[], None] | None = None

    def put(self, key: str, data: bytes) -> None:
        before, self.before = self.before, None
        after, self.after = self.after, None
        if before:
            before()
        super().put(key, data)
        if after:
            after()


def test_where_storage_overwrites_a_claim_that_another_one_replaced_is_not_ours() -> None:
    store = Overwritten(uuid.uuid4().hex)
    store.after = lambda: store.put("gc.json", turn("bob"))

    refused = pytest.raises(Conflict, match=r"bob collects already \(process \d+ on ")
    with refused, turn_to_collect(store, "alice", settle=SETTLE):
        pytest.fail("two collect at once")

    assert store.get("gc.json") == turn("bob")


def test_a_claim_that_took_so_long_that_another_one_may_have_begun_is_withdrawn() -> None:
    store = Overwritten(uuid.uuid4().hex)
    store.before = lambda: sleep(SETTLE)

    with pytest.raises(Conflict, match="too slow") as failure, turn_to_collect(store, "alice", settle=SETTLE):
        pytest.fail("nobody knows whether another one collects")

    assert failure.value.hint
    assert not store.exists("gc.json")
    with turn_to_collect(store, "alice", settle=SETTLE):
        assert store.exists("gc.json")


def test_where_creation_is_exclusive_a_turn_is_taken_without_waiting() -> None:
    store = MemoryStore(uuid.uuid4().hex)

    with turn_to_collect(store, "alice", settle=3600):
        assert store.exists("gc.json")
