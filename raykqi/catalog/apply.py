"""The fold: events into rows, set by set. Pure: the same events give the same rows, however they are batched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import duckdb
import msgspec

from raykqi.catalog import apply_access, apply_data, apply_endpoints, apply_runs  # noqa: F401  they register their folds
from raykqi.catalog.folding import ROUND_EVENTS, Fold
from raykqi.catalog.index import Position
from raykqi.catalog.matched import match_all
from raykqi.catalog.memory import Memory
from raykqi.catalog.ports import Candidate, Ports
from raykqi.domain.events import Event

__all__ = ["ROUND_EVENTS", "apply_events", "derive", "sort_postings"]

Cause = Callable[[Sequence[Candidate]], Sequence[Event]]


def apply_events(
    connection: duckdb.DuckDBPyConnection,
    position: Position,
    events: Iterable[Event],
    *,
    memory: Memory | None = None,
    derived: bool = True,
    cause: Cause | None = None,
) -> Position:
    """Write what the events say into the open transaction; the position with its numbers moved on.

    `memory` is that of the transaction, if it folds more than once. Without `derived` the caller makes
    postings and matches anew afterwards, which is quicker for many events. `cause` adds events that follow
    from the data that the others made, before anything is written; the events have to fit into one round.
    """
    if memory is None:
        memory = Memory(Ports.load(connection) if derived and position.ports else Ports())
    state = Fold(connection, position, memory, derived=derived)
    try:
        for event in events:
            state.take(event)
        if cause:
            for event in cause(tuple(state.round.fresh.values())):
                state.take(event)
        state.finish()
    finally:
        state.close()
    return msgspec.structs.replace(position, **state.numbers)


def derive(connection: duckdb.DuckDBPyConnection) -> None:
    """Make anew what follows from the other tables."""
    sort_postings(connection)
    match_all(connection)


def sort_postings(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the postings anew, each tag's in one stretch, so that `find` reads a few row groups."""
    connection.execute("DELETE FROM posting")
    connection.execute("INSERT INTO posting SELECT hash(key, value) AS hash, data FROM tag ORDER BY hash, data")
    connection.execute("UPDATE arrangement SET sorted = (SELECT count(*) FROM posting)")
