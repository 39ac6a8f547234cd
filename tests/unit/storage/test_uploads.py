"""Uploads in pieces: what came stays, gaps are told, bytes never change, and what expired is garbage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from raykqi.domain.transfer import Piece, ReceivedFile, UploadDraft, UploadSession
from raykqi.errors import Conflict, UnknownId, UploadGap
from raykqi.storage.filesystem_memory import MemoryStore
from raykqi.storage.uploads import PIECE_MAX, Uploads, expired_uploads, unreadable_uploads

BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)


class StoppedClock:
    def __init__(self) -> None:
        self.time = BEGAN

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("uploads")


@pytest.fixture
def uploads(store: MemoryStore, clock: StoppedClock) -> Uploads:
    return Uploads(store, clock, project="lab", user="mika")


def send(uploads: Uploads, session: UploadSession, path: str, offset: int, data: bytes, step: int = 1 << 20) -> None:
    arrival = uploads.arrival(session, path, offset)
    for at in range(0, len(data), step):
        arrival.feed(data[at : at + step])
    arrival.finish()


def test_pieces_become_the_file(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft(("type:x",), "紅葉", {"model": "0193"}))
    send(uploads, session, "写真/一枚目.png", 0, b"one ")
    send(uploads, session, "写真/一枚目.png", 4, b"two")
    send(uploads, session, "empty", 0, b"")

    state = uploads.state(uploads.get(session.id))

    assert state.files == (ReceivedFile("empty", 0), ReceivedFile("写真/一枚目.png", 7))
    assert (state.upload.tags, state.upload.name, state.upload.inputs) == (("type:x",), "紅葉", {"model": "0193"})
    assert b"".join(uploads.read(session, "写真/一枚目.png")) == b"one two"
    assert b"".join(uploads.read(session, "empty")) == b""


def test_a_long_body_becomes_several_pieces(uploads: Uploads, store: MemoryStore) -> None:
    session = uploads.begin(UploadDraft())
    data = bytes(range(256)) * (10 << 12)
    send(uploads, session, "a", 0, data)

    assert b"".join(uploads.read(session, "a")) == data
    assert max(info.size for info in store.list("uploads")) == PIECE_MAX


def test_what_is_sent_again_is_accepted_and_goes_on(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft())
    send(uploads, session, "a", 0, b"0123456789")
    send(uploads, session, "a", 0, b"0123456789")
    send(uploads, session, "a", 4, b"456789abc", step=2)

    assert uploads.received(session, "a") == ReceivedFile("a", 13)
    assert b"".join(uploads.read(session, "a")) == b"0123456789abc"


def test_other_bytes_for_the_same_place_are_refused(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft())
    send(uploads, session, "a", 0, b"0123456789")

    with pytest.raises(Conflict, match="other bytes"):
        send(uploads, session, "a", 4, b"x")
    assert b"".join(uploads.read(session, "a")) == b"0123456789"


def test_two_senders_at_one_place_cannot_mix_their_bytes(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft())
    one, other = uploads.arrival(session, "a", 0), uploads.arrival(session, "a", 0)
    one.feed(b"mine")
    other.feed(b"theirs")
    one.finish()

    with pytest.raises(Conflict, match="other bytes"):
        other.finish()


def test_what_was_stored_when_a_connection_broke_is_no_hindrance_to_going_on(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft())
    broken, again, longer = (uploads.arrival(session, "a", 0) for _ in range(3))
    broken.feed(b"0123")
    broken.finish()
    again.feed(b"0123456789")
    again.finish()
    longer.feed(b"01")
    longer.finish()

    assert uploads.received(session, "a") == ReceivedFile("a", 10)
    assert b"".join(uploads.read(session, "a")) == b"0123456789"


def test_a_gap_is_told_with_the_offset_to_go_on_from(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft())
    send(uploads, session, "a", 0, b"01234")

    with pytest.raises(UploadGap) as refused:
        uploads.arrival(session, "a", 6)
    assert refused.value.expected == 5


def test_several_pieces_may_be_sent_at_once(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft())
    for offset, data in ((6, b"6789"), (0, b"012"), (6, b"6789"), (3, b"345")):
        arrival = uploads.arrival(session, "a", offset, ahead=True)
        arrival.feed(data)
        arrival.finish()

    assert uploads.received(session, "a") == ReceivedFile("a", 10)
    assert b"".join(uploads.read(session, "a")) == b"0123456789"


def test_pieces_that_came_another_way_count_when_the_gap_is_closed(uploads: Uploads, store: MemoryStore) -> None:
    session = uploads.begin(UploadDraft())
    uploads.name_file(session, "a")
    store.put(uploads.piece_key(session, "a", 5), b"56789")
    before = uploads.received(session, "a")
    store.put(uploads.piece_key(session, "a", 0), b"01234")

    assert before == ReceivedFile("a", 0, (Piece(5, 5),))
    assert uploads.received(session, "a") == ReceivedFile("a", 10)
    assert b"".join(uploads.read(session, "a")) == b"0123456789"


def test_nobody_else_knows_of_an_upload(uploads: Uploads, store: MemoryStore, clock: StoppedClock) -> None:
    session = uploads.begin(UploadDraft())

    for project, user in (("lab", "ken"), ("other", "mika")):
        with pytest.raises(UnknownId):
            Uploads(store, clock, project=project, user=user).get(session.id)
    for id_ in ("../x", "", session.id[:8], "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"):
        with pytest.raises(UnknownId):
            uploads.get(id_)


def test_a_concluded_upload_tells_its_data_and_takes_no_more(uploads: Uploads, store: MemoryStore) -> None:
    session = uploads.begin(UploadDraft())
    send(uploads, session, "a", 0, b"x")
    uploads.conclude(session, "0193")

    done = uploads.get(session.id)
    assert done.data == "0193"
    assert [info.key.rpartition("/")[2] for info in store.list("uploads")] == ["data.json", "upload.json"]
    with pytest.raises(Conflict, match="became data 0193"):
        uploads.arrival(done, "a", 1)


def test_a_removed_upload_leaves_nothing(uploads: Uploads, store: MemoryStore) -> None:
    session = uploads.begin(UploadDraft())
    send(uploads, session, "a", 0, b"x")
    uploads.remove(session)

    assert list(store.list("")) == []
    with pytest.raises(UnknownId):
        uploads.get(session.id)


def test_what_expired_or_has_no_owner_is_garbage_and_the_rest_is_not(
    uploads: Uploads, store: MemoryStore, clock: StoppedClock
) -> None:
    old = uploads.begin(UploadDraft())
    send(uploads, old, "a", 0, b"x")
    clock.time += timedelta(hours=23)
    live = uploads.begin(UploadDraft())
    send(uploads, live, "a", 0, b"x")
    clock.time += timedelta(hours=2)
    store.put("uploads/strange/files/late", b"x")

    with pytest.raises(UnknownId):
        uploads.get(old.id)
    now = max(clock.time, datetime.now(UTC) + timedelta(seconds=1))
    found = expired_uploads(store, clock.time, grace_seconds=(clock.time - now).total_seconds())

    assert {info.key.split("/")[1] for info in found} == {old.id, "strange"}
    assert found[-1].key == f"uploads/{old.id}/upload.json"
    assert not expired_uploads(store, BEGAN, grace_seconds=10**9)


def test_a_description_that_cannot_be_read_is_told(uploads: Uploads, store: MemoryStore) -> None:
    uploads.begin(UploadDraft())
    store.put("uploads/0193/upload.json", b"{")

    [(key, why)] = unreadable_uploads(store)
    assert key == "uploads/0193/upload.json"
    assert "cannot be read" in why


def test_large_chunks_over_what_came_before_are_compared_whole_and_continued(uploads: Uploads) -> None:
    session = uploads.begin(UploadDraft())
    whole = bytes(range(256)) * (5 << 12)  # 5 MiB
    send(uploads, session, "a", 0, whole[: 3 << 20], step=3 << 20)

    send(uploads, session, "a", 0, whole, step=4 << 20)

    assert b"".join(uploads.read(session, "a")) == whole
