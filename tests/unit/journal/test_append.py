"""Appending: one winner for each number, honest answers when storage does not answer, torn ends cleared."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from raykqi.errors import Damaged, Fenced, JournalBehind, StorageFull, StorageUnavailable
from raykqi.journal.codec import GENESIS, Entry, entry_key
from raykqi.journal.log import Journal, OutcomeUnknown
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_memory import MemoryStore
from tests.unit.journal.history import NOON, append, fill, purged, reasons
from tests.unit.journal.stores import FarStore, LosesAnswers, OverwritingStore


def test_an_entry_that_was_appended_is_read_as_it_was_returned(store: Store) -> None:
    first = append(Journal(store), None, purged("one"), purged("two"))
    second = append(Journal(store), first, purged("three"), epoch=4)

    read = list(Journal(store).read())

    assert [(entry.seq, entry.epoch, entry.time, entry.hash) for entry in read] == [
        (1, 1, NOON + timedelta(seconds=1), first.hash),
        (2, 4, NOON + timedelta(seconds=2), second.hash),
    ]
    assert reasons(iter(read)) == ["one", "two", "three"]
    assert read[1].prev == first.hash


def test_the_second_writer_of_a_number_is_fenced_and_told_by_whom(store: Store) -> None:
    last = fill(store, 1)[0]
    winner, loser = Journal(store, writer="gpu1:41:aa"), Journal(store, writer="gpu2:42:bb")
    append(winner, last, purged("winner"), epoch=3)

    with pytest.raises(Fenced) as error:
        append(loser, last, purged("loser"), epoch=2)

    assert error.value.message == (
        f"entry 2 of {store.url} is not this controller's: gpu1:41:aa wrote it "
        "(epoch 3, 2026-11-20T12:00:02.123456+00:00); nothing of this batch was stored"
    )
    assert error.value.hint == "Open the workspace again and repeat the command; another controller writes to it."
    assert reasons(Journal(store).read()) == ["reason 1", "winner"]


def race(count: int, run: Callable[[int], object]) -> list[object]:
    """What each of `count` threads, let go at once, returned or raised."""
    ready = threading.Barrier(count)
    results: list[object] = [None] * count

    def one(number: int) -> None:
        ready.wait()
        try:
            results[number] = run(number)
        except Exception as e:
            results[number] = e

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def append_as(journals: list[Journal], last: Entry | None, number: int) -> Entry:
    return append(journals[number], last, purged(f"by {number}"))


def test_of_many_threads_exactly_one_wins_each_entry(store: Store) -> None:
    last: Entry | None = None
    journals = [Journal(store, writer=f"host:{number}:x") for number in range(8)]
    for _ in range(20):
        results = race(8, partial(append_as, journals, last))

        entries = [result for result in results if isinstance(result, Entry)]
        assert len(entries) == 1
        assert sum(isinstance(result, Fenced) for result in results) == 7
        last = entries[0]
    assert [entry.seq for entry in Journal(store).read()] == list(range(1, 21))


def test_an_answer_that_was_lost_after_writing_counts_as_written() -> None:
    store = LosesAnswers(uuid.uuid4().hex, "done")

    entry = append(Journal(store), None, purged("stored"))

    assert [read.hash for read in Journal(store).read()] == [entry.hash]


def test_a_request_that_was_lost_is_sent_again() -> None:
    store = LosesAnswers(uuid.uuid4().hex, "lost")

    append(Journal(store), None, purged("stored"))

    assert reasons(Journal(store).read()) == ["stored"]


def test_a_request_that_arrives_late_counts_as_written() -> None:
    store = LosesAnswers(uuid.uuid4().hex, "late")

    append(Journal(store), None, purged("stored"))

    assert reasons(Journal(store).read()) == ["stored"]


def test_without_any_answer_nobody_claims_that_it_failed() -> None:
    store = LosesAnswers(uuid.uuid4().hex, "lost", "late")

    with pytest.raises(OutcomeUnknown) as error:
        append(Journal(store), None, purged("perhaps"))

    assert error.value.outcome_unknown
    assert isinstance(error.value, StorageUnavailable)
    assert "it is unknown whether journal/00000000000000000001.jsonl was written" in error.value.message
    assert reasons(Journal(store).read()) == ["perhaps"]


@pytest.mark.parametrize("step", ["done", "lost"])
def test_storage_that_goes_away_leaves_the_outcome_unknown(step: str) -> None:
    store = LosesAnswers(uuid.uuid4().hex, step)
    store.away = True

    with pytest.raises(OutcomeUnknown, match="no answer for 60 s"):
        append(Journal(store), None)


def test_a_lost_answer_is_settled_against_the_entry_of_another_writer() -> None:
    store = LosesAnswers(uuid.uuid4().hex, "lost")
    append(Journal(FarView(store), writer="gpu1:41:aa"), None, purged("winner"))

    with pytest.raises(Fenced, match="gpu1:41:aa wrote it"):
        append(Journal(store), None, purged("loser"))


class FarView(FarStore):
    """Another client of the same bucket, with a good connection."""

    def __init__(self, other: MemoryStore) -> None:
        super().__init__(other.url)
        self._objects = other._objects


class FullStore(FarStore):
    def create(self, key: str, data: bytes) -> None:
        raise StorageFull(f"no space left for {len(data)} bytes at {key}")


def test_a_refusal_of_the_storage_is_passed_on_and_nothing_was_stored() -> None:
    store = FullStore(uuid.uuid4().hex)

    with pytest.raises(StorageFull, match="no space left for"):
        append(Journal(store), None)

    assert list(Journal(store).read()) == []


def test_a_torn_end_is_kept_aside_and_its_number_used_again(store: Store) -> None:
    last = fill(store, 2)[-1]
    append(Journal(store), last, purged("unfinished"))
    torn = store.get(entry_key(3))[:-10]
    store.put(entry_key(3), torn)

    append(Journal(store), last, purged("whole"))

    assert reasons(Journal(store).read()) == ["reason 1", "reason 2", "whole"]
    kept = list(store.list("journal/torn"))
    assert [info.key.rpartition("-")[0] for info in kept] == ["journal/torn/00000000000000000003"]
    assert store.get(kept[0].key) == torn


def test_of_many_writers_in_a_bucket_one_clears_a_torn_end() -> None:
    store = FarStore(uuid.uuid4().hex)
    last = fill(store, 2)[-1]
    store.put(entry_key(3), b'{"seq":3,"epoch":')
    journals = [Journal(store, writer=f"host:{number}:x") for number in range(8)]

    results = race(8, partial(append_as, journals, last))

    assert sum(isinstance(result, Entry) for result in results) == 1
    assert sum(isinstance(result, Fenced) for result in results) == 7
    assert len(list(Journal(store).read())) == 3


class Interrupted(FarStore):
    """Lets something happen between this client's first look at an entry and its next request."""

    meanwhile: Callable[[], object] | None = None

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        data = super().get(key, start, end)
        if key == entry_key(3) and self.meanwhile:
            happen, self.meanwhile = self.meanwhile, None
            happen()
        return data


def test_who_saw_a_torn_end_late_does_not_delete_what_replaced_it() -> None:
    store = Interrupted(uuid.uuid4().hex)
    last = fill(store, 2)[-1]
    store.put(entry_key(3), b'{"seq":3,"epoch":')
    store.meanwhile = lambda: append(Journal(FarView(store)), last, purged("quicker"))

    with pytest.raises(Fenced, match="another controller is clearing away an unfinished entry"):
        append(Journal(store), last, purged("slower"))

    assert reasons(Journal(store).read()) == ["reason 1", "reason 2", "quicker"]


def test_a_torn_entry_in_the_middle_is_never_cleared(store: Store) -> None:
    first, *_ = fill(store, 3)
    store.put(entry_key(2), store.get(entry_key(2))[:-1])

    with pytest.raises(Damaged, match=r"00002\.jsonl is damaged: it ends early, though entry 3 is there"):
        append(Journal(store), first)


def test_a_damaged_entry_is_not_overwritten(store: Store) -> None:
    last = fill(store, 1)[0]
    store.put(entry_key(2), b"garbage\n")

    with pytest.raises(Damaged, match=r"00002\.jsonl is damaged"):
        append(Journal(store), last)


def test_a_controller_with_another_history_does_not_break_the_chain(store: Store) -> None:
    fill(store, 2)

    with pytest.raises(Damaged, match=r"00002\.jsonl is not the entry that this controller has applied as 2") as error:
        Journal(store).append(seq=3, epoch=1, time=NOON, prev="f" * 64, events=[purged("x")])
    with pytest.raises(Damaged, match="has applied as 0"):
        Journal(store).append(seq=1, epoch=1, time=NOON, prev="f" * 64, events=[purged("x")])
    with pytest.raises(JournalBehind, match="ends at entry 2, but entry 6 was seen in it"):
        Journal(store).append(seq=7, epoch=1, time=NOON, prev=GENESIS, events=[purged("x")])

    assert "rebuild" in error.value.hint
    assert reasons(Journal(store).read()) == ["reason 1", "reason 2"]


def test_the_guard_is_asked_before_anything_is_written(store: Store) -> None:
    def refuse() -> None:
        raise Fenced("the lease ran out")

    with pytest.raises(Fenced, match="the lease ran out"):
        append(Journal(store, guard=refuse), None)

    assert list(store.list("journal")) == []


def test_a_lease_that_ends_during_the_write_leaves_the_outcome_unknown() -> None:
    store = OverwritingStore(uuid.uuid4().hex)
    answers = iter([None, Fenced("the lease ran out")])

    def guard() -> None:
        if answer := next(answers):
            raise answer

    with pytest.raises(OutcomeUnknown, match="the lease ran out"):
        append(Journal(store, guard=guard), None)
