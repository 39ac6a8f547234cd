"""One journal entry as bytes: a header line, then one event in JSON on each line.

The header says how long the body is and what it hashes to; its last field, `check`, is the hash of
the header line up to there, so a flipped bit anywhere is told apart from a write that stopped midway.
`prev` chains each entry to the whole bytes of the one before. Nothing here reads or writes storage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, get_args

import msgspec
from blake3 import blake3

from raykqi.domain.events import Event
from raykqi.errors import Damaged, WorkspaceTooNew

__all__ = [
    "GENESIS",
    "Entry",
    "Frame",
    "Header",
    "Torn",
    "decode",
    "encode",
    "entry_key",
    "next_time",
    "read_frame",
    "seq_of",
]

GENESIS = "0" * 64  # `prev` of the first entry

_HASH_CHARS = 64
_CHECK = b',"check":"'
_CHECK_CHARS = len(_CHECK) + _HASH_CHARS + len(b'"}')
_ENTRY_KEY = re.compile(r"journal/(\d{20})\.jsonl\Z")
_WHOLE_HEADER = re.compile(rb',"check":"[0-9a-f]{64}"\}')
_MALFORMED = (msgspec.DecodeError, ValueError, RecursionError)

Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry says of itself. `writer` is free text: host:pid:nonce."""

    seq: Count
    epoch: Count
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    prev: Hash
    writer: str
    events: Count
    bytes: Count
    body: Hash


class Entry(msgspec.Struct, frozen=True):
    """A journal entry; `hash` is that of its whole bytes, which the next entry names as `prev`."""

    seq: int
    epoch: int
    time: datetime
    prev: str
    writer: str
    events: Sequence[Event]
    hash: str


class Torn(Exception):
    """The bytes are a strict prefix of an entry: its writer was interrupted, nobody was told it stands."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Frame(NamedTuple):
    """An entry whose header and hashes are verified, and whose events are still JSON."""

    key: str
    header: Header
    lines: memoryview
    raw: memoryview
    hash: str

    def entry(self) -> Entry:
        head = self.header
        return Entry(head.seq, head.epoch, head.time, head.prev, head.writer, self._events(), self.hash)

    def _events(self) -> list[Event]:
        try:
            events = _EVENTS.decode_lines(self.lines)
        except _MALFORMED as e:
            _refuse_newer_events(self.key, self.lines)
            raise damaged(self.key, f"an event is malformed: {e}", self.header.seq) from e
        if len(events) != self.header.events:
            found = f"{len(events)} events stand where the header promises {self.header.events}"
            raise damaged(self.key, found, self.header.seq)
        return events


_ENCODER = msgspec.json.Encoder()
_EVENTS = msgspec.json.Decoder(Event)
_HEADER = msgspec.json.Decoder(Header)
_ACTIONS = frozenset(member.__struct_config__.tag for member in get_args(Event))


def entry_key(seq: int) -> str:
    return f"journal/{seq:020d}.jsonl"


def seq_of(key: str) -> int:
    """The number of an entry's own object; 0 for any other key."""
    name = _ENTRY_KEY.match(key)
    return int(name[1]) if name else 0


def next_time(last: datetime | None, now: datetime) -> datetime:
    """The time of the next entry: now, or the last entry's when the clock was set back."""
    return now if last is None else max(last, now)


def encode(*, seq: int, epoch: int, time: datetime, prev: str, writer: str, events: Sequence[Event]) -> bytes:
    body = _ENCODER.encode_lines(events)
    header = Header(seq, epoch, time, prev, writer, len(events), len(body), blake3(body).hexdigest())
    head = _ENCODER.encode(header)[:-1]
    return b'%b%b%b"}\n%b' % (head, _CHECK, blake3(head).hexdigest().encode(), body)


def decode(data: bytes, key: str) -> Entry:
    """The entry that `data` is. Raises `Damaged`, `WorkspaceTooNew`, or `Torn` and nothing else."""
    frame = read_frame(data, 0, key)
    if len(frame.raw) != len(data):
        raise damaged(key, f"{len(data) - len(frame.raw)} bytes follow its end", frame.header.seq)
    return frame.entry()


def read_frame(data: bytes, start: int, key: str) -> Frame:
    """The entry that begins at `start`, verified against its own hashes."""
    line_end = data.find(b"\n", start)
    if line_end < 0:
        raise _incomplete_header(data[start:], key)
    header = _read_header(data[start:line_end], key)
    if seq_of(key) not in (0, header.seq):
        raise damaged(key, f"it says that it is entry {header.seq}", header.seq)
    body, end = line_end + 1, line_end + 1 + header.bytes
    if len(data) < end:
        raise Torn(key)
    view = memoryview(data)
    if blake3(view[body:end]).hexdigest() != header.body:
        raise damaged(key, "its events do not match their hash", header.seq)
    return Frame(key, header, view[body:end], view[start:end], blake3(view[start:end]).hexdigest())


def damaged(key: str, what: str, seq: int | None = None) -> Damaged:
    where = "this object" if seq is None else f"entry {seq}"
    return Damaged(
        f"{key} is damaged: {what}",
        hint=f"Restore {key} from a backup of the bucket; every change from {where} on is affected.",
    )


def _read_header(line: bytes, key: str) -> Header:
    head, tail = line[:-_CHECK_CHARS], line[-_CHECK_CHARS:]
    check = b'%b%b"}' % (_CHECK, blake3(head).hexdigest().encode())
    if tail != check:
        raise damaged(key, "a header line does not match its check")
    try:
        return _HEADER.decode(head + b"}")
    except _MALFORMED as e:
        newer = _newer_fields(head + b"}")
        if newer:
            raise _too_new(key, f"the header field {newer[0]!r}") from e
        raise damaged(key, f"a header is malformed: {e}") from e


def _incomplete_header(rest: bytes, key: str) -> Exception:
    """Torn if an interrupted write of this entry could have left `rest`, else damaged."""
    start = b'{"seq":%d,"epoch":' % seq if (seq := seq_of(key)) else b'{"seq":'
    whole = _WHOLE_HEADER.search(rest)
    if not (rest.startswith(start) or start.startswith(rest)) or (whole and whole.end() < len(rest)):
        return damaged(key, "it does not begin with a header line")
    return Torn(key)


def _newer_fields(header: bytes) -> list[str]:
    try:
        fields = msgspec.json.decode(header, type=dict[str, Any])
    except _MALFORMED:
        return []
    return sorted(fields.keys() - set(Header.__struct_fields__))


def _refuse_newer_events(key: str, lines: memoryview) -> None:
    try:
        events = msgspec.json.Decoder(dict[str, Any]).decode_lines(lines)
    except _MALFORMED:
        return
    for action in (event.get("action") for event in events):
        if isinstance(action, str) and action not in _ACTIONS:
            raise _too_new(key, f"the event {action!r}")


def _too_new(key: str, what: str) -> WorkspaceTooNew:
    return WorkspaceTooNew(
        f"{key} holds {what}, which this program does not know",
        hint="A later version of raykqi wrote to this workspace: upgrade raykqi and try again.",
    )
