"""How events about data and objects change the index."""

from __future__ import annotations

from datetime import datetime

from raykqi.catalog.deeds import note_deed
from raykqi.catalog.folding import Fold, fold
from raykqi.catalog.ports import Candidate
from raykqi.catalog.rounds import Born
from raykqi.domain.events import (
    DataPurged,
    DataRemoved,
    ObjectsCollected,
    ObjectsCondemned,
    RunRecorded,
    TagsChanged,
)

__all__ = ["bury"]


def bury(data: str, kind: str, at: datetime, by: str, reason: str, state: Fold) -> None:
    """The data is gone, and a tombstone says why."""
    state.round.data_changes.note(data, status=kind)
    state.round.tombstones.rows.append((data, kind, at, by, reason))


@fold.register
def _(event: RunRecorded, state: Fold) -> None:
    into = state.round
    state.runs = run = state.runs + 1
    into.runs.rows.append((run, event.run, event.project, event.plan, "done", event.at, event.at, event.by, None))
    for given in event.inputs:
        into.inputs.rows.append((given.data, run, given.name))
    for output in event.outputs:
        state.data = number = state.data + 1
        tree = output.tree
        into.data.rows.append(
            (
                number,
                output.data,
                event.project,
                run,
                output.name,
                "done",
                event.at,
                event.at,
                event.by,
                tree.hash,
                tree.size,
                tree.files,
            )
        )
        into.first_tags.add(number, output.tags)
        if state.ports or state.endpoints:
            into.fresh[output.data] = Candidate(
                number, output.data, event.project, event.at.replace(tzinfo=None), frozenset(output.tags)
            )
        into.born[output.data] = Born(number, output.tags, event.at, event.by)
    state.last_id = max(state.last_id, event.run, *[output.data for output in event.outputs])


@fold.register
def _(event: TagsChanged, state: Fold) -> None:
    into = state.round
    for tag in event.removed:
        into.take_off(event.data, tag, event.at, event.by)
    into.tags_of.add(event.data)
    into.found.update(((event.data, tag), (event.at, event.by)) for tag in event.added)


@fold.register
def _(event: DataPurged, state: Fold) -> None:
    _bury(event, "purged", state)


@fold.register
def _(event: DataRemoved, state: Fold) -> None:
    _bury(event, "removed", state)


@fold.register
def _(event: ObjectsCondemned, state: Fold) -> None:
    state.round.condemned.rows += [(key, event.generation) for key in event.objects]
    state.generation = event.generation


@fold.register
def _(event: ObjectsCollected, state: Fold) -> None:
    state.round.collected.append(event.generation)
    state.generation += 1
    note_deed(event, state, "", f"collection {event.generation}", f"{event.bytes} bytes")


def _bury(event: DataPurged | DataRemoved, kind: str, state: Fold) -> None:
    bury(event.data, kind, event.at, event.by, event.reason, state)
