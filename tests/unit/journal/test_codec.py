"""Entries as bytes: what is written is what is read, and nothing else passes for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from blake3 import blake3
from hypothesis import example, given
from hypothesis import strategies as st

from raykqi.domain.events import Event
from raykqi.domain.tags import Tag
from raykqi.errors import Damaged, WorkspaceTooNew
from raykqi.journal.codec import GENESIS, Torn, decode, encode, entry_key, next_time
from tests.unit.journal.history import NOON, RECORDED, TAGGED, purged

KEY = "journal/00000000000000000007.jsonl"


def encoded(*events: Event) -> bytes:
    return encode(seq=7, epoch=2, time=NOON, prev="b" * 64, writer="host:1:abc", events=events)


def signed(header: dict[str, object], body: bytes) -> bytes:
    """An entry with any header, whose hashes are right."""
    head = json.dumps(header, separators=(",", ":")).encode()[:-1]
    return head + b',"check":"' + blake3(head).hexdigest().encode() + b'"}\n' + body


def header(content: bytes, /, **fields: object) -> dict[str, object]:
    return {
        "seq": 7,
        "epoch": 2,
        "time": "2026-11-20T12:00:00Z",
        "prev": GENESIS,
        "writer": "host:1:abc",
        "events": content.count(b"\n"),
        "bytes": len(content),
        "body": blake3(content).hexdigest(),
        **fields,
    }


def test_an_entry_is_a_header_line_and_a_line_for_each_event() -> None:
    first, *lines = encoded(RECORDED, TAGGED).decode().splitlines()

    assert list(json.loads(first)) == ["seq", "epoch", "time", "prev", "writer", "events", "bytes", "body", "check"]
    assert json.loads(first)["time"] == "2026-11-20T12:00:00.123456Z"
    assert json.loads(first)["events"] == 2
    assert json.loads(first)["bytes"] == len("\n".join(lines).encode()) + 1
    assert [json.loads(line)["action"] for line in lines] == ["run.recorded", "tags.changed"]
    assert json.loads(lines[0])["by"] == "田中"


def test_what_was_encoded_is_decoded() -> None:
    data = encoded(RECORDED, TAGGED)

    entry = decode(data, KEY)

    assert (entry.seq, entry.epoch, entry.time) == (7, 2, NOON)
    assert (entry.prev, entry.writer) == ("b" * 64, "host:1:abc")
    assert list(entry.events) == [RECORDED, TAGGED]
    assert entry.hash == blake3(data).hexdigest()


texts = st.text(st.characters(exclude_categories=["Cs"]))
tags = st.lists(st.builds(Tag, texts, texts), max_size=3).map(tuple)
moments = st.datetimes(timezones=st.just(UTC))
events = st.one_of(
    st.builds(type(TAGGED), at=moments, by=texts, data=texts, removed=tags, added=tags),
    st.builds(type(purged("")), at=moments, by=texts, data=texts, reason=texts),
)


@given(st.lists(events, max_size=5), texts, moments, st.integers(1, 10**20 - 1))
def test_any_events_survive_the_round_trip(given_events: list[Event], writer: str, time: datetime, seq: int) -> None:
    data = encode(seq=seq, epoch=0, time=time, prev=GENESIS, writer=writer, events=given_events)

    entry = decode(data, entry_key(seq))

    assert (list(entry.events), entry.writer, entry.time) == (given_events, writer, time)


@pytest.mark.parametrize("given_events", [(), (TAGGED,), (RECORDED, TAGGED)])
def test_every_strict_prefix_is_torn_and_says_whose(given_events: tuple[Event, ...]) -> None:
    data = encoded(*given_events)

    for length in range(len(data)):
        with pytest.raises(Torn) as torn:
            decode(data[:length], KEY)
        assert torn.value.key == KEY


@pytest.mark.parametrize("given_events", [(), (TAGGED,)])
def test_every_flipped_bit_is_damage_and_never_a_torn_end(given_events: tuple[Event, ...]) -> None:
    data = encoded(*given_events)

    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(Damaged, match=KEY):
                decode(bytes(flipped), KEY)


@given(st.binary())
@example(b"\n")
@example(b"{}\n")
@example(b'{"seq":7,"epoch":')
def test_arbitrary_bytes_are_torn_or_damaged(data: bytes) -> None:
    with pytest.raises((Torn, Damaged)):
        decode(data, KEY)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["seq", "epoch", "time", "prev", "writer", "events", "bytes", "body"]), json_values)
def test_a_header_with_right_hashes_and_odd_values_is_refused_or_read(field: str, value: object) -> None:
    data = signed(header(b"", **{field: value}), b"")

    try:
        entry = decode(data, KEY)
    except (Torn, Damaged):
        return
    assert entry.seq == 7


@given(json_values)
@example({"action": "tags.changed"})
@example({"action": 5})
@example({"action": "tags.changed", "at": "yesterday", "by": "x", "data": "y"})
def test_an_event_line_with_right_hashes_and_odd_values_is_refused(value: object) -> None:
    body = json.dumps(value).encode() + b"\n"

    with pytest.raises((Damaged, WorkspaceTooNew)):
        decode(signed(header(body), body), KEY)


@pytest.mark.parametrize(
    "body",
    [b'{"action":"data.purged","x":' + b"[" * 100_000 + b"\n", b"\xff\n", b'{"action":"data.purged","by":"\xff"}\n'],
    ids=["too deep", "not Unicode", "not Unicode inside"],
)
def test_lines_that_break_parsers_are_damage(body: bytes) -> None:
    with pytest.raises(Damaged, match="an event is malformed"):
        decode(signed(header(body), body), KEY)


def test_bytes_behind_the_end_are_damage() -> None:
    with pytest.raises(Damaged, match="1 bytes follow its end"):
        decode(encoded(TAGGED) + b"\n", KEY)


def test_a_wrong_count_of_events_is_damage() -> None:
    body = encoded(TAGGED, TAGGED).split(b"\n", 1)[1]

    with pytest.raises(Damaged, match="2 events stand where the header promises 3"):
        decode(signed(header(body, events=3), body), KEY)


def test_an_entry_under_another_number_is_damage() -> None:
    with pytest.raises(Damaged, match=r"00000000000000000008\.jsonl is damaged: it says that it is entry 7"):
        decode(encoded(TAGGED), "journal/00000000000000000008.jsonl")


def test_an_unknown_action_asks_for_an_upgrade() -> None:
    body = b'{"action":"data.teleported","at":"2026-11-20T12:00:00Z"}\n'

    with pytest.raises(WorkspaceTooNew, match=r"00007\.jsonl holds the event 'data\.teleported'") as error:
        decode(signed(header(body), body), KEY)
    assert "upgrade raykqi" in error.value.hint


def test_an_unknown_header_field_asks_for_an_upgrade() -> None:
    with pytest.raises(WorkspaceTooNew, match="holds the header field 'signature'"):
        decode(signed(header(b"", signature="x"), b""), KEY)


def test_time_stands_still_while_the_clock_is_behind() -> None:
    earlier = NOON - timedelta(hours=1)

    assert next_time(NOON, earlier) == NOON
    assert next_time(earlier, NOON) == NOON
    assert next_time(None, earlier) == earlier
    assert next_time(NOON, earlier.astimezone(timezone(timedelta(hours=9)))) == NOON
