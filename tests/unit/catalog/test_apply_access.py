"""What events about projects, members, users and tokens leave in the index, whole, in pieces and from a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raykqi.catalog.access_queries import get_project, get_user, list_members, list_tokens
from raykqi.catalog.compare import differing_tables
from raykqi.catalog.index import Index
from raykqi.catalog.snapshot import load_snapshot, save_snapshot
from raykqi.domain.access import Membership, Project, Quota, User
from raykqi.domain.events import (
    Event,
    MemberRemoved,
    MemberSet,
    ProjectChanged,
    ProjectMade,
    ProjectRemoved,
    RequestAnswered,
    TokenIssued,
    TokenRevoked,
    UserAdded,
    UserChanged,
    UserRemoved,
)
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from tests.examples import examples
from tests.unit.catalog.history import data_id, fold, minute, recorded

NAMES = st.sampled_from(["hana", "taro", "mika"])
PROJECTS = st.sampled_from(["lab", "default", "web"])


@pytest.fixture
def other() -> Iterator[Index]:
    made = Index(None, "test")
    yield made
    made.close()


def token(number: int, user: str = "hana", *, at: float = 0, days: float = 1, project: str = "") -> TokenIssued:
    expires = minute(at) + timedelta(days=days)
    return TokenIssued(minute(at), "hana", data_id(number), user, f"ci {number}", f"{number:064x}", expires, project)


def answered(number: int, *, at: float) -> RequestAnswered:
    return RequestAnswered(minute(at), "hana", f"key {number}", "f" * 64, (data_id(number),), "lab")


def test_a_change_leaves_the_rest_as_it_was(index: Index) -> None:
    fold(
        index,
        [ProjectMade(minute(1), "hana", "lab", "実験", Quota(gpu=2000)), UserAdded(minute(1), "hana", "taro", "T")],
    )
    fold(
        index,
        [ProjectChanged(minute(2), "hana", "lab", title="Lab"), UserChanged(minute(2), "hana", "taro", is_admin=True)],
    )

    assert get_project(index, "lab") == Project("lab", "Lab", Quota(gpu=2000), minute(1), "hana")
    assert get_user(index, "taro") == User("taro", "T", is_admin=True, created=minute(1))


def test_the_default_project_can_be_changed_though_nobody_has_made_it(index: Index) -> None:
    assert get_project(index, "default") == Project("default")

    fold(index, [ProjectChanged(minute(1), "hana", "default", quota=Quota(running=3))])
    fold(index, [ProjectChanged(minute(2), "hana", "default", title="All")])

    assert get_project(index, "default") == Project("default", "All", Quota(running=3))


def test_a_role_takes_the_place_of_the_one_before(index: Index) -> None:
    made = ProjectMade(minute(0), "hana", "lab")
    fold(
        index,
        [
            made,
            MemberSet(minute(1), "hana", "lab", "taro", "viewer"),
            MemberSet(minute(2), "hana", "lab", "taro", "admin"),
        ],
    )

    assert list_members(index, "lab") == [Membership("taro", "admin", "lab")]


def test_whoever_is_removed_takes_memberships_and_tokens_along(index: Index) -> None:
    fold(
        index,
        [
            ProjectMade(minute(0), "hana", "lab"),
            UserAdded(minute(0), "hana", "taro"),
            UserAdded(minute(0), "hana", "hana"),
        ],
    )
    fold(index, [MemberSet(minute(1), "hana", "lab", "taro", "admin"), token(1, "taro"), token(2, "hana")])
    fold(index, [UserRemoved(minute(2), "hana", "taro"), UserAdded(minute(3), "hana", "taro")])

    assert list_members(index, "lab") == []
    assert [each.id for each in list_tokens(index, "", since=minute(3))] == [data_id(2)]


def test_a_project_that_is_removed_takes_its_tokens_along(index: Index) -> None:
    fold(index, [ProjectMade(minute(0), "hana", "lab"), token(1, project="lab"), token(2)])
    fold(index, [ProjectRemoved(minute(1), "hana", "lab")])

    assert [each.id for each in list_tokens(index, "", since=minute(1))] == [data_id(2)]


def test_what_is_long_over_is_forgotten_in_time(index: Index) -> None:
    fold(index, [token(1, days=1), *(answered(number, at=0) for number in range(5))])
    later = 60 * 24 * 40
    fold(index, [token(number, at=later) for number in range(100, 400)])
    fold(index, [answered(number, at=later) for number in range(100, 400)])

    assert index.rows("SELECT count(*) FROM token") == [(300,)]
    assert index.rows("SELECT count(*) FROM answered") == [(300,)]


def test_a_snapshot_brings_all_of_it(index: Index, other: Index, tmp_path: Path) -> None:
    fold(
        index,
        [recorded(1, [1]), UserAdded(minute(0), "hana", "taro", password="hash"), token(1, "taro"), answered(1, at=1)],
    )
    fold(index, [ProjectMade(minute(2), "hana", "lab"), MemberSet(minute(2), "hana", "lab", "taro", "viewer")])
    store = open_store(str(tmp_path / "store"), Settings())
    with other.transaction() as connection:
        load_snapshot(save_snapshot(store, index), connection)
    fold(index, [TokenRevoked(minute(3), "hana", data_id(1))])
    fold(other, [TokenRevoked(minute(3), "hana", data_id(1))])

    assert [table for table in differing_tables(index, other) if table not in ("posting", "matched")] == []
    assert other.position().deeds == 5
    store.close()


EVENTS = st.one_of(
    st.builds(ProjectChanged, st.none(), NAMES, PROJECTS, st.none() | st.just("T"), st.none() | st.just(Quota(cpu=1))),
    st.builds(ProjectMade, st.none(), NAMES, st.just("lab"), st.just("L")),
    st.builds(ProjectRemoved, st.none(), NAMES, st.just("lab")),
    st.builds(MemberSet, st.none(), NAMES, PROJECTS, NAMES, st.sampled_from(["viewer", "admin"])),
    st.builds(MemberRemoved, st.none(), NAMES, PROJECTS, NAMES),
    st.builds(UserAdded, st.none(), NAMES, NAMES, st.just(""), st.booleans(), st.sampled_from(["", "hash"])),
    st.builds(
        UserChanged, st.none(), NAMES, NAMES, is_disabled=st.none() | st.booleans(), password=st.none() | st.just("")
    ),
    st.builds(UserRemoved, st.none(), NAMES, NAMES),
    st.builds(lambda n, u, p: ("token", n, u, p), st.integers(0, 500), NAMES, PROJECTS),
    st.builds(lambda n: ("answered", n), st.integers(0, 500)),
    st.builds(lambda n: TokenRevoked(None, "hana", data_id(n)), st.integers(0, 500)),  # type: ignore[arg-type]
)


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(EVENTS, max_size=40), cuts=st.sets(st.integers(1, 40)))
def test_p10_who_may_do_what_does_not_depend_on_the_grouping(
    index: Index, other: Index, history: list[Event | tuple[object, ...]], cuts: set[int]
) -> None:
    index.start_over()
    other.start_over()
    events = events_of(history)
    bounds = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})

    fold(index, events)
    for start, end in pairwise(bounds):
        fold(other, events[start:end])

    assert [table for table in differing_tables(index, other) if table != "meta"] == []


def events_of(history: list[Event | tuple[object, ...]]) -> list[Event]:
    """What a controller could have written: users, projects and tokens are made once, half a day after each other."""
    there: set[object] = set()
    events: list[Event] = []
    for number, event in enumerate(history):
        at = number * 720.0
        if isinstance(event, tuple):
            made = (
                answered(number, at=at)
                if event[0] == "answered"
                else token(event[1], event[2], at=at, project=event[3])
            )  # type: ignore[arg-type]
        else:
            made = msgspec.structs.replace(event, at=minute(at))
        key = made.token if isinstance(made, TokenIssued) else made.user if isinstance(made, UserAdded) else None
        key = "lab" if isinstance(made, ProjectMade) else key
        if key is not None and key in there:
            continue
        there.add(key)
        if isinstance(made, UserRemoved):
            there.discard(made.user)
        events.append(made)
    return events
