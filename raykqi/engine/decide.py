"""From a command and the facts to events, or to the error that says why not. Nothing is applied here.

`decide` also moves the facts on, so that the next command of the same batch sees what this one did.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import singledispatch

from raykqi.catalog.facts import Consumer, DataFacts, Facts
from raykqi.catalog.quotas import StorageFacts
from raykqi.domain.events import (
    DataPurged,
    DataRemoved,
    Event,
    ObjectsCollected,
    ObjectsCondemned,
    RunOutput,
    RunRecorded,
    TagsChanged,
)
from raykqi.domain.ids import IdMaker
from raykqi.domain.quota import show_amount
from raykqi.engine.commands import ChangeTags, Collected, Condemn, Purge, RecordRun, Remove
from raykqi.errors import Conflict, InUse, QuotaExceeded, UnknownId, UploadStale

__all__ = ["consumers_needed", "data_needed", "decide", "keys_needed", "no_room", "refuse_served"]
__all__ += ["require_project"]

_ENDED = ("done", "failed", "invalidated")


@singledispatch
def data_needed(command: object) -> Iterable[str]:
    """The data ids on which the decision needs facts."""
    return ()


@singledispatch
def decide(command: object, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    raise TypeError(f"no decision for {type(command).__name__}")


def keys_needed(command: object) -> Iterable[str]:
    """The keys of tags on which the decision needs facts."""
    if not isinstance(command, ChangeTags):
        return ()
    return {*command.remove_keys, *(tag.key for tag in (*command.add, *command.remove))}


def require_project(name: str, facts: Facts) -> None:
    """Nothing new comes into a project that was removed meanwhile."""
    if name in facts.gone:
        raise UnknownId(f"there is no project {name}", hint="`raykqi project list` lists what there is.")


def consumers_needed(command: object) -> Iterable[str]:
    return command.data if isinstance(command, Purge | Remove) else ()


@data_needed.register
def _(command: RecordRun) -> Iterable[str]:
    return [given.data for given in command.inputs]


@data_needed.register(ChangeTags)
@data_needed.register(Purge)
@data_needed.register(Remove)
def _(command: ChangeTags | Purge | Remove) -> Iterable[str]:
    return command.data


@decide.register
def _(command: RecordRun, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    require_project(command.project, facts)
    if command.generation != facts.generation or not facts.condemned.isdisjoint(command.reused):
        raise UploadStale("unused objects were collected while this upload ran", hint="Push again; little is sent.")
    for given in command.inputs:
        status = _readable(given.data, facts, command).status
        if status not in ("done", "purged"):
            raise InUse(f"data {given.data} is {status}, so nothing can have been made of it", hint="Name other data.")
    _take_room(command, facts)
    run = ids.new()
    outputs = tuple(RunOutput(output.name, ids.new(), output.tree, output.tags) for output in command.outputs)
    consumer = Consumer(run, "done", frozenset(output.data for output in outputs), command.project)
    for given in command.inputs:
        facts.data[given.data].consumers.append(consumer)
    for output in outputs:
        facts.data[output.data] = DataFacts(command.project, "done", "done", set(output.tags))
    return [RunRecorded(now, command.by, run, command.plan, command.inputs, outputs, command.project)]


@decide.register
def _(command: ChangeTags, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    known = {id_: _there(id_, facts, command.project) for id_ in command.data}
    events: list[Event] = []
    for id_, data in known.items():
        unwanted = {tag for tag in data.tags if tag.key in command.remove_keys or tag in command.remove}
        removed, added = unwanted - set(command.add), set(command.add) - data.tags
        if removed or added:
            data.tags = (data.tags - removed) | added
            events.append(TagsChanged(now, command.by, id_, tuple(sorted(removed)), tuple(sorted(added))))
    return events


@decide.register
def _(command: Purge, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    known = {id_: _there(id_, facts, command.project) for id_ in command.data}
    for id_, data in known.items():
        _refuse_unfinished(id_, data, "purged")
        refuse_served(id_, facts, "purged")
    fresh = [id_ for id_, data in known.items() if data.status != "purged"]
    for id_ in fresh:
        known[id_].status = "purged"
    return [DataPurged(now, command.by, id_, command.reason) for id_ in fresh]


@decide.register
def _(command: Remove, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    known = {id_: _there(id_, facts, command.project) for id_ in command.data}
    for id_, data in known.items():
        _refuse_unfinished(id_, data, "removed")
        refuse_served(id_, facts, "removed")
        # What another project made of it sees a stub of it either way.
        for consumer in (each for each in data.consumers if each.project == data.project):
            gone = {other for other in consumer.outputs if other in facts.data and _is_removed(other, facts)}
            live = consumer.outputs - set(known) - gone
            if live:
                raise InUse(
                    f"data {id_} cannot be removed: {', '.join(sorted(live))} was made of it by run {consumer.run}",
                    hint="Remove those first, or name them in the same call; `purge` frees the bytes and keeps both.",
                )
    for data in known.values():
        data.status = "removed"
    return [DataRemoved(now, command.by, id_, command.reason) for id_ in known]


@decide.register
def _(command: Condemn, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    if facts.condemned:
        raise Conflict("an earlier collection has not ended", hint="`raykqi gc` ends it first.")
    facts.generation += 1
    facts.condemned = frozenset(command.objects)
    return [ObjectsCondemned(now, command.by, facts.generation, command.objects)]


@decide.register
def _(command: Collected, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    # An upload that began while these objects were being deleted may have seen them.
    facts.generation += 1
    facts.condemned = frozenset()
    return [ObjectsCollected(now, command.by, command.generation, command.bytes)]


def _take_room(command: RecordRun, facts: Facts) -> None:
    """Refused when the project would hold more than it may; what it has already takes no more room."""
    storage = facts.storage.get(command.project)
    if storage is None:
        return
    sizes = {output.tree.hash: output.tree.size for output in command.outputs if output.tree.hash not in storage.trees}
    more = sum(sizes.values())
    if more and storage.held + more > storage.limit:
        raise no_room(command.project, storage, f"there is no room for {show_amount(more)} more")
    storage.held += more
    storage.trees |= sizes.keys()


def no_room(project: str, storage: StorageFacts, said: str) -> QuotaExceeded:
    return QuotaExceeded(
        f"project {project} holds {show_amount(storage.held)} of at most {show_amount(storage.limit)}: {said}",
        hint="Purge or remove data, or ask an administrator of the workspace to raise the quota.",
    )


def _readable(id_: str, facts: Facts, command: RecordRun) -> DataFacts:
    """Of its own project, or of another that may be read."""
    data = _there(id_, facts)
    return data if command.readable is None or data.project in command.readable else _there(id_, facts, command.project)


def _there(id_: str, facts: Facts, project: str = "") -> DataFacts:
    data = facts.data.get(id_)
    if data is None or data.status == "removed" or project not in ("", data.project):
        raise UnknownId(f"there is no data {id_}", hint="`raykqi data find` lists what there is.")
    return data


def refuse_served(id_: str, facts: Facts, done: str) -> None:
    """What answers requests, or is about to, must stay."""
    if names := facts.served.get(id_):
        raise InUse(
            f"data {id_} cannot be {done}: it is the model of the endpoint {', '.join(names)}",
            hint=f"Serve another model first, or remove the endpoint: `raykqi serve rm {names[0]}`.",
        )


def _is_removed(id_: str, facts: Facts) -> bool:
    return facts.data[id_].status == "removed"


def _refuse_unfinished(id_: str, data: DataFacts, done: str) -> None:
    if data.run_status not in _ENDED:
        raise InUse(f"data {id_} cannot be {done}: the run that makes it is {data.run_status}", hint="Stop it first.")
    for consumer in data.consumers:
        if consumer.status not in _ENDED:
            run = f"run {consumer.run}" if consumer.project == data.project else "a run of another project"
            raise InUse(
                f"data {id_} cannot be {done}: {run} uses it and is {consumer.status}",
                hint="Wait for the run to end, or stop it.",
            )
