"""What events about endpoints, revisions and jobs leave in the index, whole, in pieces and from a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raykqi.catalog.audit import find_deeds
from raykqi.catalog.compare import differing_tables
from raykqi.catalog.endpoint_queries import find_jobs, get_endpoint, served_endpoints
from raykqi.catalog.index import Index
from raykqi.catalog.snapshot import load_snapshot, save_snapshot
from raykqi.domain.access import DeedQuery
from raykqi.domain.endpoint import Binding, EndpointSpec, Job, Loading, Move, RevisionStatus, Scale
from raykqi.domain.endpoint_events import (
    EndpointChanged,
    EndpointDeployed,
    EndpointHeld,
    EndpointRemoved,
    JobEnded,
    JobTaken,
    RevisionMade,
    RevisionMoved,
)
from raykqi.domain.events import Event, TokenIssued
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag
from raykqi.errors import UnknownId
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from tests.unit.catalog.history import data_id, fold, minute, recorded

DIGITS, OTHER = data_id(900), data_id(901)
SPEC = EndpointSpec(Binding(tags=(Tag("type", "model"),)))
CAUSE = Cause("data", "hana", data_id(1))


@pytest.fixture
def other() -> Iterator[Index]:
    made = Index(None, "test")
    yield made
    made.close()


def deployed(at: float, spec: EndpointSpec = SPEC, id_: str = DIGITS, name: str = "digits") -> EndpointDeployed:
    return EndpointDeployed(minute(at), "hana", id_, name, spec)


def made(at: float, number: int = 1, data: int = 1, status: RevisionStatus = "loading") -> RevisionMade:
    return RevisionMade(minute(at), "hana", DIGITS, number, data_id(data), Loading(), status, CAUSE)


def moved(at: float, number: int, status: RevisionStatus, reason: str = "", by: str = "raykqi") -> RevisionMoved:
    return RevisionMoved(minute(at), by, DIGITS, number, status, reason)


def job(at: float, number: int = 1, request: int = 1) -> JobTaken:
    return JobTaken(minute(at), "taro", data_id(700 + number), DIGITS, data_id(request), "predict", "application/json")


def test_an_endpoint_that_is_deployed_again_keeps_its_beginning_and_revisions(index: Index) -> None:
    fold(index, [recorded(1, [1]), deployed(1), made(1)])
    again = EndpointSpec(Binding(tags=(Tag("type", "model"),)), scale=Scale(most=3))
    fold(index, [deployed(5, again)])

    found = get_endpoint(index, "digits")
    assert (found.created, found.updated, found.spec) == (minute(1), minute(5), again)
    assert index.rows("SELECT count(*) FROM endpoint") == [(1,)]
    assert [(each.number, each.data, each.tree) for each in found.revisions] == [(1, data_id(1), f"{1:064x}")]


def test_a_revision_tells_what_it_was_when_and_why(index: Index) -> None:
    fold(index, [recorded(1, [1]), deployed(1), made(1), moved(2, 1, "live")])
    fold(index, [moved(3, 1, "withdrawn", "too many errors"), moved(3, 1, "loading", "once more", by="taro")])

    (revision,) = get_endpoint(index, "digits").revisions
    assert (revision.status, revision.reason, revision.cause) == ("loading", "once more", CAUSE)
    assert revision.history == (
        Move(minute(1), "hana", "loading"),
        Move(minute(2), "raykqi", "live"),
        Move(minute(3), "raykqi", "withdrawn", "too many errors"),
        Move(minute(3), "taro", "loading", "once more"),
    )


def test_what_is_not_said_in_a_change_stays(index: Index) -> None:
    fold(index, [deployed(1), EndpointChanged(minute(2), "hana", DIGITS, paused=True, reason="bad data")])
    fold(index, [EndpointChanged(minute(3), "hana", DIGITS, pinned=True, followed=data_id(1), reason="rolled back")])

    found = get_endpoint(index, "digits")
    assert (found.is_paused, found.is_pinned, found.followed, found.reason) == (True, True, data_id(1), "bad data")
    assert found.updated == minute(3)

    fold(index, [EndpointChanged(minute(4), "hana", DIGITS, paused=False)])
    assert (get_endpoint(index, "digits").is_paused, get_endpoint(index, "digits").reason) == (False, "")


def test_why_it_is_held_is_told_while_nobody_has_paused_it(index: Index) -> None:
    fold(index, [deployed(1), EndpointHeld(minute(2), DIGITS, "no node has 3 GPUs")])
    assert get_endpoint(index, "digits").reason == "no node has 3 GPUs"

    fold(index, [EndpointChanged(minute(3), "hana", DIGITS, paused=True, reason="bad data")])
    assert get_endpoint(index, "digits").reason == "bad data"
    assert [each.endpoint.reason for each in served_endpoints(index)] == ["no node has 3 GPUs"]


def test_a_removed_endpoint_leaves_its_name_and_takes_its_tokens_along(index: Index) -> None:
    token = TokenIssued(
        minute(1), "hana", data_id(800), "hana", "shop", "d", minute(9), project="default", endpoint="digits"
    )
    fold(index, [deployed(1), token, EndpointRemoved(minute(2), "hana", DIGITS)])
    with pytest.raises(UnknownId):
        get_endpoint(index, "digits")
    assert index.rows("SELECT count(*) FROM token") == [(0,)]

    fold(index, [deployed(3, id_=OTHER)])
    assert get_endpoint(index, "digits").id == OTHER


def test_a_job_ends_with_its_result_or_with_a_reason(index: Index) -> None:
    fold(index, [recorded(1, [1]), recorded(2, [2]), recorded(3, [3]), deployed(1), job(1, 1, 1), job(1, 2, 2)])
    fold(index, [JobEnded(minute(2), data_id(701), DIGITS, 1, data_id(3))])
    fold(index, [JobEnded(minute(3), data_id(702), DIGITS, 1, reason="the model failed on it")])

    second, first = find_jobs(index, DIGITS).items
    assert first == Job(
        data_id(701), DIGITS, "default", "done", data_id(1), minute(1), "taro", result=data_id(3), revision=1,
        ended=minute(2), tree=f"{3:064x}",
    )  # fmt: skip
    assert (second.status, second.result, second.tree, second.reason) == ("failed", "", "", "the model failed on it")


def test_who_did_what_to_an_endpoint_stands_in_the_audit_log(index: Index) -> None:
    fold(index, [recorded(1, [1]), deployed(1), made(1), moved(2, 1, "live")])
    fold(index, [EndpointChanged(minute(3), "taro", DIGITS, followed=data_id(1))])
    fold(index, [EndpointChanged(minute(4), "taro", DIGITS, paused=True, reason="bad data")])
    fold(index, [moved(5, 1, "retired", by="taro"), EndpointRemoved(minute(5), "taro", DIGITS, "old")])

    assert [(deed.by, deed.project, deed.action, deed.subject, deed.detail) for deed in deeds(index)] == [
        ("taro", "default", "endpoint.removed", "digits", "old"),
        ("taro", "default", "revision.moved", "digits", "1: retired"),
        ("taro", "default", "endpoint.changed", "digits", "paused: bad data"),
        ("hana", "default", "revision.made", "digits", f"1: data {data_id(1)}"),
        ("hana", "default", "endpoint.deployed", "digits", ""),
    ]


def deeds(index: Index) -> list[object]:
    return list(find_deeds(index, DeedQuery(subject="digits")).items)


def test_a_snapshot_brings_all_of_it(index: Index, other: Index, tmp_path: Path) -> None:
    fold(index, [recorded(1, [1]), deployed(1), made(1), moved(2, 1, "live"), job(2)])
    store = open_store(str(tmp_path / "store"), Settings())
    with other.transaction() as connection:
        load_snapshot(save_snapshot(store, index), connection)
    for each in (index, other):
        fold(each, [moved(3, 1, "retired"), JobEnded(minute(3), data_id(701), DIGITS, reason="late")])

    assert [table for table in differing_tables(index, other) if table not in ("posting", "matched")] == []
    assert (other.position().endpoints, other.position().moves) == (1, 3)
    store.close()


WHICH = st.sampled_from([DIGITS, OTHER])
NUMBERS = st.integers(1, 4)
STATUSES = st.sampled_from(["waiting", "loading", "live", "retired", "withdrawn", "failed"])
MAYBE = st.none() | st.booleans()
EVENTS = st.one_of(
    st.builds(lambda e, n: EndpointDeployed(minute(0), "hana", e, f"e{n}", SPEC), WHICH, NUMBERS),
    st.builds(
        lambda e, p, q, f: EndpointChanged(minute(0), "hana", e, p, q, f, "why"),
        WHICH, MAYBE, MAYBE, st.none() | st.just(data_id(1)),
    ),
    st.builds(lambda e, r: EndpointHeld(minute(0), e, r), WHICH, st.sampled_from(["", "no node"])),
    st.builds(lambda e: EndpointRemoved(minute(0), "hana", e), WHICH),
    st.builds(
        lambda e, n, s: RevisionMade(minute(0), "hana", e, n, data_id(1), Loading(), s, CAUSE), WHICH, NUMBERS, STATUSES
    ),
    st.builds(lambda e, n, s, b: RevisionMoved(minute(0), b, e, n, s, "why"), WHICH, NUMBERS, STATUSES,
              st.sampled_from(["raykqi", "taro"])),
    st.builds(lambda e, n: JobTaken(minute(0), "taro", data_id(700 + n), e, data_id(1), "predict", "a/b"), WHICH,
              NUMBERS),
    st.builds(lambda e, n, r: JobEnded(minute(0), data_id(700 + n), e, 1, "" if r else data_id(1), r), WHICH, NUMBERS,
              st.sampled_from(["", "late"])),
)  # fmt: skip


def possible(history: list[Event]) -> list[Event]:
    """What a controller could have written: nothing is told of what is not there, and nothing is made twice."""
    there: set[object] = set()
    events: list[Event] = [recorded(1, [1])]
    for event in history:
        if isinstance(event, EndpointDeployed):
            there.add(event.endpoint)
        elif event.endpoint not in there:  # type: ignore[union-attr]
            continue
        key: object = None
        if isinstance(event, RevisionMade | RevisionMoved):
            key = (event.endpoint, event.revision)
        elif isinstance(event, JobTaken | JobEnded):
            key = event.job
        is_new = isinstance(event, RevisionMade | JobTaken)
        if key is not None and (key in there) == is_new:
            continue
        there.add(key)
        events.append(event)
    return events


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(EVENTS, max_size=40), cuts=st.sets(st.integers(1, 40)))
def test_p10_what_endpoints_are_does_not_depend_on_the_grouping(
    index: Index, other: Index, history: list[Event], cuts: set[int]
) -> None:
    index.start_over()
    other.start_over()
    events = possible(history)
    bounds = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})

    fold(index, events)
    for start, end in pairwise(bounds):
        fold(other, events[start:end])

    assert [table for table in differing_tables(index, other) if table != "meta"] == []
    assert statuses(index) == expected(events)


def statuses(index: Index) -> dict[tuple[str, int], str]:
    return {(endpoint, number): status for endpoint, number, status in index.rows(
        "SELECT endpoint, number, status FROM revision"
    )}  # fmt: skip


def expected(events: list[Event]) -> dict[tuple[str, int], str]:
    return {
        (event.endpoint, event.revision): event.status
        for event in events
        if isinstance(event, RevisionMade | RevisionMoved)
    }
