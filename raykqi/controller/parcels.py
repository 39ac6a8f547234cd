"""Commands and what came of them as bytes, for the way between a follower and the controller.

Nothing here is pickled: what is read can be nothing but the values of this library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from raykqi.domain.events import Event
from raykqi.domain.failure import Failure, error_of
from raykqi.engine.commands import Command, Envelope, PlainCommand
from raykqi.errors import RaykqiError, VersionMismatch

__all__ = ["Answer", "Answers", "pack", "pack_answers", "unpack", "unpack_answers"]

_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(PlainCommand)}
_ENCODER = msgspec.msgpack.Encoder()
_COMMANDS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    name: msgspec.msgpack.Decoder(kind) for name, kind in _KINDS.items()
}


class _Parcel(msgspec.Struct, array_like=True, frozen=True):
    kind: str
    command: msgspec.Raw
    key: str = ""
    fingerprint: str = ""
    expect: str = ""


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """The events that a command became, or why it became none."""

    events: list[Event] = []
    failure: Failure | None = None

    @property
    def error(self) -> RaykqiError | None:
        return error_of(self.failure) if self.failure else None


class Answers(msgspec.Struct, array_like=True, frozen=True):
    """In the order of the commands; with the journal's entry `seq` all of them can be read.

    `failure` says why none of the commands was taken.
    """

    seq: int
    each: list[Answer] = []
    failure: Failure | None = None


_PARCELS = msgspec.msgpack.Decoder(list[_Parcel])
_ANSWERS = msgspec.msgpack.Decoder(Answers)


def pack(commands: Sequence[Command]) -> bytes:
    return _ENCODER.encode([_parcel(command) for command in commands])


def unpack(data: bytes) -> list[Command]:
    try:
        return [_command(parcel) for parcel in _PARCELS.decode(data)]
    except (msgspec.DecodeError, KeyError) as error:
        raise VersionMismatch(
            f"a command cannot be read: {error}", hint="Bring the API and the controller to the same version."
        ) from error


def pack_answers(answers: Answers) -> bytes:
    return _ENCODER.encode(answers)


def unpack_answers(data: bytes) -> Answers:
    """Raises why none of the commands was taken, if so."""
    try:
        answers = _ANSWERS.decode(data)
    except msgspec.DecodeError as error:
        raise VersionMismatch(
            f"an answer cannot be read: {error}", hint="Bring the API and the controller to the same version."
        ) from error
    if answers.failure:
        raise error_of(answers.failure)
    return answers


def _parcel(command: Command) -> _Parcel:
    if isinstance(command, Envelope):
        inner, about = command.command, (command.key, command.fingerprint, command.expect)
    else:
        inner, about = command, ("", "", "")
    return _Parcel(type(inner).__name__, msgspec.Raw(_ENCODER.encode(inner)), *about)


def _command(parcel: _Parcel) -> Command:
    command: PlainCommand = _COMMANDS[parcel.kind].decode(parcel.command)
    if parcel.key or parcel.expect:
        return Envelope(command, parcel.key, parcel.fingerprint, parcel.expect)
    return command
