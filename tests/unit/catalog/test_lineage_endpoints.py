"""Endpoints in lineage: downstream of what they serve and have served, as of any time, in their own project."""

from __future__ import annotations

import pytest

from raykqi.catalog.index import Index
from raykqi.catalog.lineage import LineageReader
from raykqi.domain.endpoint import Binding, EndpointSpec, Loading, RevisionStatus
from raykqi.domain.endpoint_events import (
    EndpointChanged,
    EndpointDeployed,
    EndpointRemoved,
    RevisionMade,
    RevisionMoved,
)
from raykqi.domain.lineage import Lineage
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag
from tests.unit.catalog.history import data_id, fold, minute, recorded, run_id

MODELS = EndpointSpec(Binding(tags=(Tag("type", "model"),)))


def endpoint_id(number: int) -> str:
    return f"01939c1c-0000-7000-a000-{number:012x}"


def deployed(number: int, name: str, *, at: float = 0, project: str = "default") -> EndpointDeployed:
    return EndpointDeployed(minute(at), "hanako", endpoint_id(number), name, MODELS, project)


def made(endpoint: int, revision: int, data: int, *, at: float, status: RevisionStatus = "loading") -> RevisionMade:
    return RevisionMade(
        minute(at), "hanako", endpoint_id(endpoint), revision, data_id(data), Loading(), status, Cause("user")
    )


def moved(endpoint: int, revision: int, status: RevisionStatus, *, at: float) -> RevisionMoved:
    return RevisionMoved(minute(at), "raykqi", endpoint_id(endpoint), revision, status)


@pytest.fixture
def reader(index: Index) -> LineageReader:
    """1 → 2 → 3, and 1 → 4. Endpoint 1 served 2 until minute 20, and serves 4; endpoint 2 tried 3 and was paused."""
    fold(
        index,
        [
            recorded(1, [1], plan="raykqi#uploaded"),
            recorded(2, [2], [1]),
            recorded(3, [3], [2]),
            recorded(4, [4], [1]),
            deployed(1, "digits", at=10),
            made(1, 1, 2, at=10),
            moved(1, 1, "live", at=11),
            made(1, 2, 4, at=20),
            moved(1, 2, "live", at=21),
            moved(1, 1, "retired", at=21),
            deployed(2, "trial", at=30),
            made(2, 1, 3, at=30),
            moved(2, 1, "live", at=31),
            EndpointChanged(minute(32), "hanako", endpoint_id(2), paused=True),
        ],
    )
    return LineageReader(index)


def served(lineage: Lineage) -> list[tuple[int, str, str]]:
    names = {node.id: node.name for node in lineage.endpoints}
    return [
        (int(edge.source[-12:], 16), names[edge.target], edge.name) for edge in lineage.edges if edge.kind == "serves"
    ]


def statuses(lineage: Lineage) -> dict[str, str]:
    return {node.name: node.status for node in lineage.endpoints}


def test_an_endpoint_is_downstream_of_all_that_it_served(reader: LineageReader) -> None:
    found = reader.around(data_id(1), way="down")

    assert served(found) == [
        (2, "digits", "revision 1, retired"),
        (4, "digits", "revision 2, live"),
        (3, "trial", "revision 1, live"),
    ]
    assert statuses(found) == {"digits": "live", "trial": "paused"}
    (digits, _) = found.endpoints
    assert (digits.id, digits.project, digits.creator, digits.created) == (
        endpoint_id(1),
        "default",
        "hanako",
        minute(10),
    )


def test_endpoints_of_what_it_came_from_are_not_shown(reader: LineageReader) -> None:
    assert reader.around(data_id(3), way="up").endpoints == ()
    assert served(reader.around(data_id(3))) == [(3, "trial", "revision 1, live")]
    assert served(reader.around(run_id(3), way="down")) == [(3, "trial", "revision 1, live")]


def test_depth_bounds_which_endpoints_are_met(reader: LineageReader) -> None:
    assert statuses(reader.around(data_id(1), depth=1)) == {"digits": "live"}


def test_as_of_a_moment_it_shows_what_was_served_then(reader: LineageReader) -> None:
    assert served(reader.around(data_id(1), as_of=minute(5))) == []
    loading = reader.around(data_id(1), as_of=minute(10))
    assert served(loading) == [(2, "digits", "revision 1, loading")]
    assert statuses(loading) == {"digits": "waiting"}
    assert served(reader.around(data_id(1), as_of=minute(20))) == [
        (2, "digits", "revision 1, live"),
        (4, "digits", "revision 2, loading"),
    ]


def test_what_was_removed_is_still_known_to_have_served_it(reader: LineageReader, index: Index) -> None:
    fold(index, [EndpointRemoved(minute(40), "hanako", endpoint_id(1))])

    assert statuses(reader.around(data_id(2), way="down")) == {"digits": "removed", "trial": "paused"}
    assert statuses(reader.around(data_id(2), way="down", as_of=minute(39)))["digits"] == "live"


def test_endpoints_of_other_projects_are_left_out(reader: LineageReader, index: Index) -> None:
    fold(index, [deployed(3, "foreign", at=50, project="lab"), made(3, 1, 2, at=50)])

    assert statuses(reader.around(data_id(2), way="down")) == {"digits": "live", "trial": "paused"}
