"""Commands in envelopes: what was answered once is not done again, and what has changed meanwhile is not changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from raykqi.catalog.facts import Answered, Facts
from raykqi.domain.events import Event, RequestAnswered
from raykqi.domain.ids import IdMaker
from raykqi.engine.commands import Command, Envelope, PlainCommand
from raykqi.engine.decide import decide
from raykqi.errors import Conflict, PreconditionFailed

__all__ = ["answered_before", "bare", "request_of"]

# What a request has made, by the names of the fields that hold the id.
_MADE = ("run", "plan", "token", "user", "project", "data", "endpoint", "job")


def bare(command: Command) -> PlainCommand:
    """What is in the envelope, or the command itself."""
    return command.command if isinstance(command, Envelope) else command


def request_of(command: Command) -> tuple[str, str] | None:
    """The user and the key by which an answer is found again."""
    return (bare(command).by, command.key) if isinstance(command, Envelope) and command.key else None


def answered_before(command: Command, facts: Facts) -> Answered | None:
    request = request_of(command)
    return facts.answered.get(request) if request else None


@decide.register
def _(command: Envelope, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    if earlier := answered_before(command, facts):
        if earlier.fingerprint != command.fingerprint:
            raise Conflict(
                f"the key {command.key!r} was used for another request", hint="Give each request a key of its own."
            )
        return []
    if command.expect and command.expect != facts.etag:
        raise PreconditionFailed(
            "it was changed since it was read", hint="Read it again, and repeat the change if it still makes sense."
        )
    events = decide(command.command, facts, now, ids)
    request = request_of(command)
    if not request or not events:
        return events
    subjects = tuple(dict.fromkeys(_made(events)))
    facts.answered[request] = Answered(command.fingerprint, subjects, facts.entry, events)
    project = getattr(command.command, "project", "")
    answered = RequestAnswered(now, *request, command.fingerprint, subjects, project, facts.entry, len(events))
    return [*events, answered]


def _made(events: Sequence[Event]) -> Iterable[str]:
    for event in events:
        yield from (getattr(event, name) for name in _MADE if isinstance(getattr(event, name, None), str))
        yield from (output.data for output in getattr(event, "outputs", ()) if hasattr(output, "data"))
