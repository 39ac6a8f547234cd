"""What endpoints that follow tags make of a batch of events, in the same transaction and journal entry.

Looks at the endpoints whose tags some data of the batch has or had, and at those that were deployed or follow
again; each takes up the newest match unless that is the one it acted upon last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from raykqi.catalog.endpoint_facts import EndpointFacts, read_endpoints
from raykqi.catalog.following_endpoints import newest_match
from raykqi.catalog.index import Connection
from raykqi.catalog.memory import Memory
from raykqi.domain.endpoint_events import EndpointChanged, EndpointDeployed
from raykqi.domain.events import (
    DataPurged,
    DataRemoved,
    Event,
    RunEnded,
    RunRecorded,
    RunRemoved,
    RunRetried,
    TagsChanged,
)
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag
from raykqi.engine.revisions import take_up

__all__ = ["follow_tags"]

_TAGGED = """
    SELECT d.id::VARCHAR, d.project, t.key, t.value FROM data d LEFT JOIN tag t ON t.data = d.number
    WHERE d.id IN (SELECT unnest(?::UUID[]))
"""


@dataclass
class _Touched:
    """Data of the batch: what happened to it last, and the tags that it has lost."""

    cause: Cause
    lost: set[Tag] = field(default_factory=set)


@dataclass
class _Concerned:
    """An endpoint that has to be looked at, and why; `at_once`: whatever it acted upon before."""

    causes: dict[str, Cause] = field(default_factory=dict)
    by: str = ""
    is_deployed: bool = False
    at_once: bool = False


def follow_tags(connection: Connection, memory: Memory, events: Sequence[Event], now: datetime) -> list[Event]:
    """The revisions that these events bring about; the transaction holds the events already."""
    followers = memory.following(connection)
    if not len(followers):
        return []
    concerned = _asked_anew(events)
    touched, tags = _touched(events)
    unknown = [data for data in touched if data not in tags]
    for data, project, key, value in connection.execute(_TAGGED, [unknown]).fetchall() if unknown else ():
        its = tags.setdefault(data, (project, set()))[1]
        its |= {Tag(key, value)} if key is not None else set()
    for data, (project, its) in tags.items():
        for id_ in followers.of(project, its | touched[data].lost):
            concerned.setdefault(id_, _Concerned()).causes[data] = touched[data].cause
    caused: list[Event] = []
    for id_, endpoint in sorted(read_endpoints(connection, concerned).items()):
        if endpoint.spec.binding.tags and not endpoint.is_pinned and not endpoint.is_removed:
            caused += _follow(connection, endpoint, concerned[id_], now)
    return caused


def _follow(connection: Connection, endpoint: EndpointFacts, why: _Concerned, now: datetime) -> Iterator[Event]:
    newest = newest_match(connection, endpoint.project, endpoint.spec.binding.tags)
    is_new = newest != endpoint.followed
    if not newest or not (is_new or why.at_once or (why.is_deployed and _is_to_be_loaded_anew(endpoint))):
        return
    cause = why.causes.get(newest) or next(iter(reversed(why.causes.values())), None)
    cause = cause or Cause("user", why.by, newest, endpoint.spec.binding.tags)
    if is_new:
        yield EndpointChanged(now, cause.by, endpoint.id, followed=newest)
    yield from take_up(endpoint, newest, cause.by, cause, now)


def _is_to_be_loaded_anew(endpoint: EndpointFacts) -> bool:
    """The way to load it has changed since the model was taken up."""
    current, loading = endpoint.coming or endpoint.live, endpoint.spec.loading
    return endpoint.of(endpoint.followed, loading) is None or (current is not None and current.loading != loading)


def _asked_anew(events: Iterable[Event]) -> dict[str, _Concerned]:
    found: dict[str, _Concerned] = {}
    for event in events:
        if isinstance(event, EndpointDeployed):
            found.setdefault(event.endpoint, _Concerned(by=event.by)).is_deployed = True
        elif isinstance(event, EndpointChanged) and (event.pinned is False or event.paused is False):
            concerned = found.setdefault(event.endpoint, _Concerned(by=event.by))
            concerned.at_once = concerned.at_once or event.pinned is False
    return found


def _touched(events: Iterable[Event]) -> tuple[dict[str, _Touched], dict[str, tuple[str, set[Tag]]]]:
    """What may have come to match or to match no longer; of what is new the project and the tags."""
    touched: dict[str, _Touched] = {}
    tags: dict[str, tuple[str, set[Tag]]] = {}
    for event in events:
        for data, cause in _causes(event):
            touched.setdefault(data, _Touched(cause)).cause = cause
        if isinstance(event, RunRecorded):
            tags |= {output.data: (event.project, set(output.tags)) for output in event.outputs}
        elif isinstance(event, TagsChanged):
            touched[event.data].lost |= {*event.removed, *event.added}
    return touched, tags


def _causes(event: Event) -> Iterable[tuple[str, Cause]]:
    if isinstance(event, RunRecorded):
        return [(each.data, Cause("data", event.by, each.data)) for each in event.outputs]
    if isinstance(event, RunEnded):
        made = event.stored if event.status == "done" else ()
        return [(each.data, Cause("data", event.by, each.data)) for each in made]
    if isinstance(event, TagsChanged):
        return [(event.data, Cause("tags", event.by, event.data, event.added or event.removed))]
    if isinstance(event, DataPurged | DataRemoved):
        return [(event.data, Cause("user", event.by, event.data))]
    if isinstance(event, RunRemoved | RunRetried):
        gone = event.outputs if isinstance(event, RunRemoved) else event.replaced
        return [(data, Cause("user", event.by, data)) for data in gone]
    return ()
