"""Compaction keeps every entry readable at every moment, and late writers out of what it deleted."""

from __future__ import annotations

import uuid

import pytest

from raykqi.errors import Damaged, Fenced
from raykqi.journal.codec import encode, entry_key
from raykqi.journal.layout import Segment
from raykqi.journal.log import Journal
from raykqi.storage.filesystem import Store
from tests.unit.journal.history import NOON, append, fill, purged, reasons
from tests.unit.journal.stores import FarStore

ALL = 10**20 - 1


def keys(store: Store) -> list[str]:
    return [info.key.removeprefix("journal/") for info in store.list("journal")]


def compact(store: Store, until: int = ALL) -> Segment | None:
    return Journal(store).compact(until, min_age=0)


def test_entries_become_one_object_with_the_same_bytes(store: Store) -> None:
    written = fill(store, 6)
    bodies = [store.get(entry_key(seq)) for seq in range(1, 5)]

    segment = compact(store, until=4)

    assert segment is not None
    assert segment.key == "journal/segments/00000000000000000001-00000000000000000004.jsonl"
    assert store.get(segment.key) == b"".join(bodies)
    assert keys(store) == [
        "00000000000000000005.jsonl",
        "00000000000000000006.jsonl",
        "segments/00000000000000000001-00000000000000000004.jsonl",
    ]
    assert [entry.hash for entry in Journal(store).read()] == [entry.hash for entry in written]
    assert [entry.seq for entry in Journal(store).read(after=2, prev=written[1].hash)] == [3, 4, 5, 6]
    assert [entry.seq for entry in Journal(store).tail(2, written[1].hash)] == [3, 4, 5, 6]


def test_the_last_entry_and_young_ones_are_left_alone(store: Store) -> None:
    fill(store, 3)

    assert Journal(store).compact(ALL) is None
    assert compact(store) == Segment(1, 2, sum(len(data) for data in (store.get(compacted_key()),)))
    assert keys(store) == ["00000000000000000003.jsonl", "segments/00000000000000000001-00000000000000000002.jsonl"]
    assert compact(store) is None


def compacted_key() -> str:
    return "journal/segments/00000000000000000001-00000000000000000002.jsonl"


def test_an_empty_journal_has_nothing_to_compact(store: Store) -> None:
    assert compact(store) is None


def test_writing_goes_on_after_a_compaction(store: Store) -> None:
    last = fill(store, 5)[-1]
    compact(store)

    sixth = append(Journal(store), last, purged("six"))
    compact(store)
    append(Journal(store), sixth, purged("seven"))

    assert reasons(Journal(store).read())[-2:] == ["six", "seven"]


def test_segments_stay_few(store: Store) -> None:
    journal = Journal(store)
    last = None
    for _ in range(64):
        last = append(journal, last)
        compact(store)

    segments = [key for key in keys(store) if key.startswith("segments/")]
    assert len(segments) <= 7
    assert [entry.seq for entry in Journal(store).read()] == list(range(1, 65))


def test_a_crash_before_the_deletion_loses_nothing_and_is_tidied_next_time(store: Store) -> None:
    fill(store, 6)
    singles = {seq: store.get(entry_key(seq)) for seq in range(1, 6)}
    compact(store)
    for seq, data in singles.items():
        store.put(entry_key(seq), data)

    assert [entry.seq for entry in Journal(store).read()] == [1, 2, 3, 4, 5, 6]
    assert compact(store) is None
    assert keys(store) == ["00000000000000000006.jsonl", "segments/00000000000000000001-00000000000000000005.jsonl"]


def test_overlapping_segments_are_read_as_one_history(store: Store) -> None:
    written = fill(store, 9)
    data = [store.get(entry_key(seq)) for seq in range(1, 10)]
    for first, last in [(1, 3), (1, 5), (4, 6), (2, 7)]:
        store.put(Segment(first, last).key, b"".join(data[first - 1 : last]))
    store.delete([entry_key(seq) for seq in range(1, 8)])

    for after in range(9):
        read = [entry.hash for entry in Journal(store).read(after)]
        assert read == [entry.hash for entry in written[after:]]
    assert compact(store) is not None
    assert [entry.hash for entry in Journal(store).read()] == [entry.hash for entry in written]


def test_a_writer_that_slept_through_a_compaction_is_fenced(store: Store) -> None:
    written = fill(store, 2)
    sleeper = Journal(store, writer="host:9:sleeper")
    list(sleeper.read())
    third = append(Journal(store), written[-1], purged("three"))
    append(Journal(store), third, purged("four"))
    compact(store)

    with pytest.raises(Fenced, match=r"segments/0+1-0+3\.jsonl holds another entry with this number"):
        append(sleeper, written[-1], purged("too late"))

    assert reasons(Journal(store).read()) == ["reason 1", "reason 2", "three", "four"]


@pytest.mark.parametrize(("trusts_head_for", "listings"), [(60.0, 0), (-1.0, 1)])
def test_a_bucket_is_asked_about_segments_only_after_a_pause(trusts_head_for: float, listings: int) -> None:
    store = FarStore(uuid.uuid4().hex)
    last = fill(store, 2)[-1]
    journal = Journal(store, trusts_head_for=trusts_head_for)
    list(journal.read())
    store.requests.clear()

    append(journal, last)

    assert store.requests.count("list journal/segments") == listings


def test_a_writer_that_slept_is_fenced_in_a_bucket_too() -> None:
    store = FarStore(uuid.uuid4().hex)
    written = fill(store, 2)
    sleeper = Journal(store, trusts_head_for=-1.0)
    list(sleeper.read())
    append(Journal(store), append(Journal(store), written[-1], purged("three")), purged("four"))
    compact(store)

    with pytest.raises(Fenced, match=r"segments/0+1-0+3\.jsonl holds another entry with this number"):
        append(sleeper, written[-1], purged("too late"))


def test_a_recreated_entry_that_a_segment_holds_is_ignored(store: Store) -> None:
    written = fill(store, 5)
    compact(store)
    store.put(
        entry_key(2),
        encode(seq=2, epoch=1, time=NOON, prev=written[0].hash, writer="host:9:z", events=[purged("zombie")]),
    )

    for entries in (Journal(store).read(), Journal(store).tail()):
        assert reasons(entries) == ["reason 1", "reason 2", "reason 3", "reason 4", "reason 5"]
    assert reasons(Journal(store).tail(1, written[0].hash))[0] == "reason 2"


def test_an_entry_that_was_compacted_while_its_writer_waited_counts_as_written() -> None:
    store = FarStore(uuid.uuid4().hex)
    last = fill(store, 2)[-1]
    slow = Journal(store, writer="host:9:slow", trusts_head_for=-1.0)
    entry = append(slow, last, purged("mine"))
    append(Journal(store), entry, purged("next"))
    compact(store)

    again = append(slow, last, purged("mine"))

    assert again.hash == entry.hash
    assert reasons(Journal(store).read()) == ["reason 1", "reason 2", "mine", "next"]


def test_a_reader_goes_on_while_entries_move_into_a_segment(store: Store) -> None:
    fill(store, 60)
    read = Journal(store).read()
    seen = [next(read).seq for _ in range(3)]

    compact(store, until=30)
    seen += [next(read).seq for _ in range(20)]
    compact(store)
    seen += [entry.seq for entry in read]

    assert seen == list(range(1, 61))


def test_a_reader_that_meets_a_recreated_entry_turns_to_the_segment(store: Store) -> None:
    written = fill(store, 40)
    read = Journal(store).read()
    seen = [next(read).seq for _ in range(3)]

    compact(store)
    for seq in range(4, 40):
        store.put(
            entry_key(seq),
            encode(seq=seq, epoch=1, time=NOON, prev="e" * 64, writer="host:9:z", events=[purged("zombie")]),
        )
    rest = list(read)

    assert seen + [entry.seq for entry in rest] == list(range(1, 41))
    assert [entry.hash for entry in rest] == [entry.hash for entry in written[3:]]


def test_of_overlapping_segments_the_one_that_reaches_furthest_is_read() -> None:
    store = FarStore(uuid.uuid4().hex)
    fill(store, 6)
    data = [store.get(entry_key(seq)) for seq in range(1, 7)]
    for last in (3, 5, 4):
        store.put(Segment(1, last).key, b"".join(data[:last]))
    store.requests.clear()

    assert len(list(Journal(store).read())) == 6

    assert [request for request in store.requests if request.startswith("get journal/segments")] == [
        f"get {Segment(1, 5).key}"
    ]


def test_damage_in_a_segment_is_found_and_named(store: Store) -> None:
    fill(store, 5)
    segment = compact(store)
    assert segment is not None
    right = store.get(segment.key)

    for position in range(0, len(right), 37):
        wrong = bytearray(right)
        wrong[position] ^= 4
        store.put(segment.key, bytes(wrong))
        with pytest.raises(Damaged, match=segment.key):
            list(Journal(store).read())
    for length in range(0, len(right), 41):
        store.put(segment.key, right[:length])
        with pytest.raises(Damaged, match=segment.key):
            list(Journal(store).read())


def test_entries_are_kept_when_their_segment_is_damaged(store: Store) -> None:
    fill(store, 5)
    singles = {seq: store.get(entry_key(seq)) for seq in range(1, 5)}
    segment = compact(store)
    assert segment is not None
    store.put(segment.key, store.get(segment.key)[:-3] + b"x}\n")
    for seq, data in singles.items():
        store.put(entry_key(seq), data)

    with pytest.raises(Damaged, match=segment.key):
        compact(store)

    assert {seq: store.get(entry_key(seq)) for seq in singles} == singles


def test_a_segment_that_begins_later_than_its_name_says_is_damage(store: Store) -> None:
    fill(store, 5)
    store.put(Segment(2, 4).key, store.get(entry_key(3)) + store.get(entry_key(4)))

    with pytest.raises(Damaged, match=r"segments/0+2-0+4\.jsonl is damaged: entry 3 stands where 2 belongs"):
        list(Journal(store).read(after=1))


def test_a_lost_segment_is_a_gap(store: Store) -> None:
    fill(store, 5)
    segment = compact(store)
    assert segment is not None
    store.delete([segment.key])

    with pytest.raises(Damaged, match=r"0001\.jsonl is damaged: it is missing, though the journal goes on to entry 5"):
        list(Journal(store).read())
