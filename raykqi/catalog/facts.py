"""What a decision needs to know about some data, read in a few statements for a whole batch of commands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec

from raykqi.catalog.access_facts import AccessFacts
from raykqi.catalog.endpoint_facts import EndpointFacts, JobFacts
from raykqi.catalog.index import Index
from raykqi.catalog.quotas import StorageFacts
from raykqi.catalog.run_facts import PlanFacts, RunFacts
from raykqi.domain.data import DataStatus
from raykqi.domain.events import Event
from raykqi.domain.run import RunStatus
from raykqi.domain.tags import Tag

__all__ = ["Answered", "Consumer", "DataFacts", "Facts", "is_collecting", "load_answered", "load_facts"]


@dataclass
class Consumer:
    """A run that took the data, and those of its outputs that are still there."""

    run: str
    status: RunStatus
    outputs: frozenset[str]
    project: str = "default"


@dataclass
class DataFacts:
    project: str
    status: DataStatus
    run_status: RunStatus
    tags: set[Tag] = field(default_factory=set)
    consumers: list[Consumer] = field(default_factory=list)


@dataclass
class Answered:
    """A request that was answered: what it came to stands in the journal's `entry`, or is here still."""

    fingerprint: str
    subjects: tuple[str, ...]
    entry: int
    events: list[Event] | None = None


@dataclass
class Facts:
    """Ids that are not in `data` do not exist. Of tags only those are here that the commands ask about.

    Decisions move these facts on as they are made.
    """

    data: dict[str, DataFacts]
    generation: int
    condemned: frozenset[str]
    runs: dict[str, RunFacts] = field(default_factory=dict)
    plans: dict[str, PlanFacts] = field(default_factory=dict)
    alike: dict[str, list[str]] = field(default_factory=dict)  # digest or name → plans that have it
    storage: dict[str, StorageFacts] = field(default_factory=dict)  # of projects that may not hold everything
    flows: frozenset[frozenset[Tag]] = frozenset()  # tags of all that could come of the plan that is applied
    access: AccessFacts = field(default_factory=AccessFacts)
    gone: frozenset[str] = frozenset()  # projects that were removed
    endpoints: dict[str, EndpointFacts] = field(default_factory=dict)
    endpoint_names: dict[str, str] = field(default_factory=dict)  # the ids of those that were not removed
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    served: dict[str, list[str]] = field(default_factory=dict)  # data → names of the endpoints whose model it is
    entry: int = 1  # the number of the next one in the journal
    answered: dict[tuple[str, str], Answered] = field(default_factory=dict)  # by user and key
    etag: str = ""  # of what a command changes that expects one; it comes alone


_DATA = """
    SELECT d.id::VARCHAR, d.number, d.project, d.status, r.status
    FROM data d JOIN run r ON r.number = d.run
    WHERE d.id IN (SELECT unnest(?::UUID[]))
"""
_TAGS = """
    SELECT data, key, value FROM tag
    WHERE data IN (SELECT unnest(?::BIGINT[])) AND key IN (SELECT unnest(?::VARCHAR[]))
"""
_CONSUMERS = """
    SELECT i.data, r.id::VARCHAR, r.status, r.project, list(o.id::VARCHAR) FILTER (o.status <> 'removed')
    FROM run_input i JOIN run r ON r.number = i.run LEFT JOIN data o ON o.run = r.number
    WHERE i.data IN (SELECT unnest(?::BIGINT[]))
    GROUP BY ALL
"""

_ANSWERED = """
    SELECT author, key, fingerprint, subjects, entry FROM answered
    WHERE author IN (SELECT unnest(?::VARCHAR[])) AND key IN (SELECT unnest(?::VARCHAR[])) AND moment >= ?
    ORDER BY moment
"""


def load_facts(index: Index, *, data: Collection[str], keys: Collection[str], consumers: Collection[str]) -> Facts:
    """Facts on `data`: of their tags those with one of the `keys`, and consumers only for the ids named there."""
    position = index.position()
    found: dict[str, DataFacts] = {}
    numbers: dict[int, str] = {}
    for id_, number, project, status, run_status in index.rows(_DATA, [list(data)]) if data else ():
        found[id_] = DataFacts(project, status, run_status)
        numbers[number] = id_
    for number, key, value in index.rows(_TAGS, [list(numbers), list(keys)]) if keys else ():
        found[numbers[number]].tags.add(Tag(key, value))
    with_consumers = [number for number, id_ in numbers.items() if id_ in consumers]
    for number, run, status, project, outputs in index.rows(_CONSUMERS, [with_consumers]) if with_consumers else ():
        found[numbers[number]].consumers.append(Consumer(run, status, frozenset(outputs or ()), project))
    condemned = frozenset(key for (key,) in index.rows("SELECT object FROM condemned"))
    return Facts(found, position.generation, condemned, entry=position.seq + 1)


def load_answered(index: Index, requests: Collection[tuple[str, str]]) -> dict[tuple[str, str], Answered]:
    """Which of these were answered, by user and key, and still count."""
    from raykqi.catalog.apply_access import ANSWER_COUNTS

    users, keys = [user for user, _ in requests], [key for _, key in requests]
    since = (index.position().time - ANSWER_COUNTS).replace(tzinfo=None)
    return {
        (user, key): Answered(fingerprint, tuple(msgspec.json.decode(subjects, type=list[str])), entry)
        for user, key, fingerprint, subjects, entry in index.rows(_ANSWERED, [users, keys, since])
        if (user, key) in requests
    }


def is_collecting(index: Index) -> bool:
    """Whether a collection has announced objects and has not said that they are gone."""
    return bool(index.rows("SELECT 1 FROM condemned LIMIT 1"))
