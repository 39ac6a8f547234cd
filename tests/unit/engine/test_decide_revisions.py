"""Decisions about revisions: promoted, rolled back, and moved by the controller."""

from __future__ import annotations

import msgspec
import pytest

from raykqi.domain.endpoint import Gate, RevisionStatus
from raykqi.domain.endpoint_events import (
    EndpointChanged,
)
from raykqi.engine import decide_access, decide_endpoints  # noqa: F401  they register their decisions
from raykqi.engine.endpoint_commands import (
    MoveRevision,
    Promote,
    RollBack,
)
from raykqi.errors import Conflict, DataGone, Forbidden, UnknownId
from tests.unit.engine.endpoints import (
    BY_TAGS,
    FOUR,
    NINE,
    ONE,
    THREE,
    TWO,
    decided,
    known,
    moves,
)


def test_a_canary_that_is_promoted_takes_the_place_of_the_live_one_in_the_same_step() -> None:
    facts = known((1, ONE, "live", 1), (2, TWO, "canary", 0))

    assert moves(decided(Promote("mika", "e-1", 2), facts)) == [
        (1, "retired", "revision 2 is live"),
        (2, "live", "promoted by mika"),
    ]


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ("waiting", [(2, "loading", "approved by mika")]),
        ("loading", []),
        ("live", []),
        ("retired", [(2, "loading", "promoted by mika")]),
        ("failed", [(2, "loading", "promoted by mika")]),
        ("withdrawn", [(2, "loading", "promoted by mika")]),
    ],
)
def test_what_promoting_does_depends_on_how_far_it_has_come(
    status: RevisionStatus, events: list[tuple[int, str, str]]
) -> None:
    assert moves(decided(Promote("mika", "e-1"), known((1, ONE, "retired", 1), (2, TWO, status, 0)))) == events


@pytest.mark.parametrize("status", ["waiting", "withdrawn"])
def test_what_waits_for_people_is_approved_by_them_or_by_a_manager(status: RevisionStatus) -> None:
    spec = msgspec.structs.replace(BY_TAGS, gate=Gate(approvers=("aya",)))

    def asked(by: str, *, is_manager: bool) -> list[tuple[int, str, str]]:
        facts = known((1, ONE, "live", 1), (2, TWO, status, 0), spec=spec)
        return moves(decided(Promote(by, "e-1", 2, is_manager=is_manager), facts))

    with pytest.raises(Forbidden, match="waits for aya"):
        asked("mika", is_manager=False)
    assert [each[:2] for each in asked("aya", is_manager=False)] == [(2, "loading")]
    assert [each[:2] for each in asked("mika", is_manager=True)] == [(2, "loading")]


def test_without_a_number_the_one_on_its_way_is_promoted() -> None:
    facts = known((1, ONE, "waiting", 0), (2, TWO, "withdrawn", 0))

    assert moves(decided(Promote("mika", "e-1"), facts)) == [(1, "loading", "approved by mika")]


def test_a_model_that_is_gone_cannot_come_back() -> None:
    for command in (Promote("mika", "e-1", 1), RollBack("mika", "e-1", THREE)):
        facts = known((1, THREE, "retired", 1), (2, TWO, "live", 2))
        with pytest.raises(DataGone, match=f"{THREE}, was given up"):
            decided(command, facts)
        assert not facts.endpoints["e-1"].is_pinned


def test_a_revision_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UnknownId, match="has no revision 7; it has 1, 2"):
        decided(Promote("mika", "e-1", 7), known((1, ONE, "retired", 1), (2, TWO, "live", 2)))
    with pytest.raises(Conflict, match="has no revision yet"):
        decided(Promote("mika", "e-1"), known())


def test_rolling_back_serves_what_was_live_before_and_follows_no_more() -> None:
    facts = known((1, ONE, "retired", 5), (2, TWO, "retired", 3), (3, FOUR, "live", 6))

    pinned, *moved = decided(RollBack("mika", "e-1", reason="wrong on sevens"), facts)

    assert isinstance(pinned, EndpointChanged)
    assert (pinned.pinned, pinned.reason) == (True, "rolled back by mika: wrong on sevens")
    assert moves(moved) == [(1, "loading", "rolled back by mika: wrong on sevens")]


def test_rolling_back_by_the_id_of_a_data_takes_the_revision_with_it() -> None:
    facts = known((1, ONE, "retired", 1), (2, TWO, "retired", 2), (3, FOUR, "live", 3), (4, NINE, "loading", 0))

    _, *moved = decided(RollBack("mika", "e-1", ONE), facts)

    assert moves(moved) == [
        (4, "withdrawn", "superseded by revision 1"),
        (1, "loading", "rolled back by mika"),
    ]


def test_rolling_back_beside_a_canary_leaves_the_live_one_alone() -> None:
    _, *moved = decided(RollBack("mika", "e-1"), known((1, ONE, "live", 1), (2, TWO, "canary", 0)))

    assert moves(moved) == [(2, "withdrawn", "rolled back by mika")]


@pytest.mark.parametrize("status", ["waiting", "withdrawn", "failed"])
def test_rolling_back_is_no_way_around_those_who_approve(status: RevisionStatus) -> None:
    spec = msgspec.structs.replace(BY_TAGS, gate=Gate(approvers=("aya",)))
    facts = known((1, ONE, "live", 1), (2, TWO, status, 0), spec=spec)

    with pytest.raises(Forbidden, match="never was live and waits for aya"):
        decided(RollBack("mika", "e-1", TWO), facts)

    assert not facts.endpoints["e-1"].is_pinned
    assert moves(decided(RollBack("aya", "e-1", TWO), facts)[1:]) == [(2, "loading", "rolled back by aya")]
    approved = known((1, ONE, "live", 2), (2, TWO, "retired", 1), spec=spec)
    assert moves(decided(RollBack("mika", "e-1", TWO), approved)[1:]) == [(2, "loading", "rolled back by mika")]


def test_rolling_back_to_what_it_never_served_lists_what_it_did() -> None:
    with pytest.raises(UnknownId, match=f"never served data {NINE}; it served {ONE}"):
        decided(RollBack("mika", "e-1", NINE), known((1, ONE, "live", 1), (2, TWO, "failed", 0)))
    with pytest.raises(Conflict, match="served nothing before"):
        decided(RollBack("mika", "e-1"), known((1, ONE, "live", 1)))


def test_a_revision_is_moved_only_from_where_it_was_seen() -> None:
    facts = known((1, ONE, "live", 1), (2, TWO, "loading", 0))
    assert decided(MoveRevision("raykqi", "e-1", 2, "canary", "live"), facts) == []
    assert decided(MoveRevision("raykqi", "e-1", 9, "loading", "live"), facts) == []
    assert decided(MoveRevision("raykqi", "e-9", 2, "loading", "live"), facts) == []

    assert moves(decided(MoveRevision("raykqi", "e-1", 2, "loading", "live"), facts)) == [
        (1, "retired", "revision 2 is live"),
        (2, "live", ""),
    ]
    assert moves(decided(MoveRevision("raykqi", "e-1", 2, "live", "withdrawn", "slow"), facts)) == [
        (2, "withdrawn", "slow")
    ]
    assert moves(decided(MoveRevision("raykqi", "e-1", 1, "retired", "live", "back"), facts)) == [(1, "live", "back")]
