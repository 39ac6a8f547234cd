"""Reading verifies every step: torn ends pass, everything else that is wrong is refused by name."""

from __future__ import annotations

import itertools
import logging
import random
from datetime import timedelta

import pytest

from raykqi.errors import Damaged, JournalBehind
from raykqi.journal.codec import GENESIS, Entry, encode, entry_key
from raykqi.journal.log import Journal
from raykqi.storage.filesystem import Store
from tests.unit.journal.history import NOON, append, fill, purged, reasons
from tests.unit.journal.stores import CountingStore


def put_entry(store: Store, seq: int, prev: str, *, epoch: int = 1, seconds: int = 0) -> None:
    time = NOON + timedelta(seconds=seconds or seq)
    store.put(
        entry_key(seq), encode(seq=seq, epoch=epoch, time=time, prev=prev, writer="host:2:x", events=[purged("odd")])
    )


def test_an_empty_journal_has_no_entries(store: Store) -> None:
    assert list(Journal(store).read()) == []
    assert list(Journal(store).tail()) == []


def test_entries_are_read_in_order_from_any_point(store: Store) -> None:
    fill(store, 50)

    assert [entry.seq for entry in Journal(store).read()] == list(range(1, 51))
    assert reasons(Journal(store).read(after=47)) == ["reason 48", "reason 49", "reason 50"]
    assert list(Journal(store).read(after=50)) == []


def test_tail_gives_what_is_new(store: Store) -> None:
    written = fill(store, 3)
    journal = Journal(store)

    assert reasons(journal.tail(1, written[0].hash)) == ["reason 2", "reason 3"]
    assert list(journal.tail(3, written[2].hash)) == []
    append(Journal(store), written[2], purged("newest"))
    assert reasons(journal.tail(3, written[2].hash)) == ["newest"]


def test_a_reader_that_applied_another_history_is_told(store: Store) -> None:
    fill(store, 3)

    for entries in (Journal(store).read(1, "f" * 64), Journal(store).tail(1, "f" * 64)):
        with pytest.raises(Damaged, match="entry 2 follows an entry"):
            list(entries)


def test_a_journal_that_ends_before_the_reader_is_refused(store: Store) -> None:
    fill(store, 3)

    with pytest.raises(JournalBehind, match="ends at entry 3, but entry 5 was seen in it"):
        list(Journal(store).read(after=5))


def test_a_last_entry_torn_at_any_length_does_not_count(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    fill(store, 3)
    whole = store.get(entry_key(3))

    for length in range(len(whole)):
        store.put(entry_key(3), whole[:length])
        with caplog.at_level(logging.WARNING):
            assert reasons(Journal(store).read()) == ["reason 1", "reason 2"]
            assert reasons(Journal(store).tail()) == ["reason 1", "reason 2"]
            assert list(Journal(store).tail(2)) == []
    assert caplog.messages[0] == "journal/00000000000000000003.jsonl was not finished by its writer and does not count"


def test_a_torn_entry_with_entries_behind_it_is_damage(store: Store) -> None:
    fill(store, 3)
    store.put(entry_key(2), store.get(entry_key(2))[:-5])

    for entries in (Journal(store).read(), Journal(store).tail()):
        with pytest.raises(
            Damaged, match=r"00002\.jsonl is damaged: it ends early, though the journal goes on to entry 3"
        ) as error:
            list(entries)
    assert error.value.hint == (
        "Restore journal/00000000000000000002.jsonl from a backup of the bucket; "
        "every change from entry 2 on is affected."
    )


def test_a_missing_entry_is_damage(store: Store) -> None:
    fill(store, 5)
    store.delete([entry_key(3)])

    read = Journal(store).read()

    assert [entry.seq for entry in itertools.islice(read, 2)] == [1, 2]
    with pytest.raises(Damaged, match=r"00003\.jsonl is damaged: it is missing, though the journal goes on to entry 5"):
        next(read)


def test_a_flipped_bit_anywhere_is_found_and_its_object_named(folder: Store) -> None:
    fill(folder, 4)
    chance = random.Random(20261120)

    for _ in range(200):
        seq = chance.randint(1, 4)
        right = folder.get(entry_key(seq))
        wrong = bytearray(right)
        wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
        folder.put(entry_key(seq), bytes(wrong))
        with pytest.raises(Damaged, match=entry_key(seq)):
            list(Journal(folder).read())
        with pytest.raises(Damaged, match=entry_key(seq)):
            list(Journal(folder).tail())
        folder.put(entry_key(seq), right)


def test_an_entry_of_another_history_breaks_the_chain(store: Store) -> None:
    fill(store, 3)
    put_entry(store, 3, prev="d" * 64)

    with pytest.raises(Damaged, match=r"00003\.jsonl is damaged: entry 3 follows an entry dddddddddddd…"):
        list(Journal(store).read())


def test_a_first_entry_that_follows_another_is_refused(store: Store) -> None:
    put_entry(store, 1, prev="d" * 64)

    with pytest.raises(Damaged, match="entry 1 follows an entry dddddddddddd…, but entry 0 is 000000000000…"):
        list(Journal(store).read())


@pytest.mark.parametrize(
    ("epoch", "seconds", "complaint"),
    [
        (1, 9, "epoch 1 follows epoch 2"),
        (2, 1, r"its time 2026-11-20T12:00:01.123456\+00:00 lies before 2026-11-20T12:00:02.123456\+00:00"),
    ],
)
def test_epochs_and_times_never_go_back(store: Store, epoch: int, seconds: int, complaint: str) -> None:
    journal = Journal(store)
    first = append(journal, None, epoch=1)
    second = append(journal, first, epoch=2)
    put_entry(store, 3, prev=second.hash, epoch=epoch, seconds=seconds)

    with pytest.raises(Damaged, match=complaint):
        list(Journal(store).read())


def test_entries_of_one_instant_and_one_epoch_follow_each_other(store: Store) -> None:
    last: Entry | None = None
    for seq in (1, 2, 3):
        prev = last.hash if last else GENESIS
        last = Journal(store).append(seq=seq, epoch=1, time=NOON, prev=prev, events=[purged("same")])

    assert reasons(Journal(store).read()) == ["same", "same", "same"]


def test_a_reader_may_stop_early(store: Store) -> None:
    fill(store, 40)

    read = Journal(store).read()

    assert next(read).seq == 1
    read.close()  # type: ignore[attr-defined]


def test_other_objects_in_the_folder_are_not_entries(store: Store) -> None:
    fill(store, 2)
    for key in ("journal/notes.txt", "journal/3.jsonl", "journal/torn/00000000000000000003-ab", "journal/segments/x"):
        store.put(key, b"?")

    assert reasons(Journal(store).read()) == ["reason 1", "reason 2"]


def test_looking_for_news_is_two_questions_and_one_listing() -> None:
    store = CountingStore("counting")
    last = fill(store, 3)[-1]
    journal = Journal(store)
    assert list(journal.tail(3, last.hash)) == []
    store.requests.clear()

    assert list(journal.tail(3, last.hash)) == []

    assert store.requests == [
        "get journal/00000000000000000004.jsonl",
        "list journal/segments",
        "info journal/00000000000000000003.jsonl",
    ]
