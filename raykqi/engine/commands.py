"""What one may ask the controller to do. Ids are whole; prefixes are resolved before.

What a `project` is named for belongs to it, or is not there; "" is for the system itself, which acts in all of them.
"""

from __future__ import annotations

import msgspec

from raykqi.domain.data import TreeRef
from raykqi.domain.events import RunInput
from raykqi.domain.tags import Tag
from raykqi.engine.access_commands import AccessCommand
from raykqi.engine.endpoint_commands import EndpointCommand
from raykqi.engine.run_commands import RunCommand

__all__ = [
    "ChangeTags",
    "Collected",
    "Command",
    "Condemn",
    "Envelope",
    "NewOutput",
    "PlainCommand",
    "Purge",
    "RecordRun",
    "Remove",
]


class NewOutput(msgspec.Struct, frozen=True):
    name: str
    tree: TreeRef
    tags: tuple[Tag, ...] = ()


class RecordRun(msgspec.Struct, frozen=True):
    """Write down a run that has ended: an upload, an import.

    `reused` are objects that it relies on and that a collection may be deleting: refused if announced.
    Its inputs may be of the `readable` projects too; None: of all.
    """

    by: str
    plan: str
    outputs: tuple[NewOutput, ...]
    inputs: tuple[RunInput, ...] = ()
    reused: frozenset[str] = frozenset()
    generation: int = 0
    project: str = "default"
    readable: frozenset[str] | None = frozenset()


class ChangeTags(msgspec.Struct, frozen=True):
    """On each data: take off keys and tags first, then add."""

    by: str
    data: tuple[str, ...]
    add: tuple[Tag, ...] = ()
    remove: tuple[Tag, ...] = ()
    remove_keys: tuple[str, ...] = ()
    project: str = ""


class Purge(msgspec.Struct, frozen=True):
    by: str
    data: tuple[str, ...]
    reason: str
    project: str = ""


class Remove(msgspec.Struct, frozen=True):
    by: str
    data: tuple[str, ...]
    reason: str
    project: str = ""


class Condemn(msgspec.Struct, frozen=True):
    """Announce the deletion of objects: from then on nothing that relies on one of them is recorded."""

    by: str
    objects: tuple[str, ...]


class Collected(msgspec.Struct, frozen=True):
    by: str
    generation: int
    bytes: int


class Envelope(msgspec.Struct, frozen=True):
    """A command that is carried out once for its `key`, and only while what it changes has the ETag `expect`.

    The same key of the same user with another `fingerprint` is refused; "" asks for none of it.
    """

    command: PlainCommand
    key: str = ""
    fingerprint: str = ""
    expect: str = ""


PlainCommand = (
    RecordRun | ChangeTags | Purge | Remove | Condemn | Collected | RunCommand | AccessCommand | EndpointCommand
)
Command = PlainCommand | Envelope
