"""Lineage in one project: what touches it from another one is a stub, and nothing beyond that is walked."""

from __future__ import annotations

import msgspec
import pytest

from raykqi.catalog.index import Index
from raykqi.catalog.lineage import LineageReader
from raykqi.catalog.redaction import pseudonym
from raykqi.catalog.run_queries import get_runs
from raykqi.domain.ids import check_id_prefix
from raykqi.domain.lineage import Edge, Lineage, Stub
from raykqi.errors import InvalidInput, UnknownId
from tests.unit.catalog.history import data_id, fold, minute, recorded, run_id

BASE, TAKER = (pseudonym("test", "default", id_) for id_ in (data_id(2), run_id(5)))
EVENTS = [
    recorded(1, [1], project="lab-2", tags=["secret:yes"], by="jiro"),
    recorded(2, [2], [1], project="lab-2", tags=["secret:yes"], by="jiro"),  # 2 is read by `default`
    recorded(3, [3], [2], tags=["a:1"]),
    recorded(4, [4, 40], [3]),
    recorded(5, [5], [4], project="lab-2", by="jiro", at=5),  # takes 4, which is of `default`
    recorded(6, [6], [5], project="lab-2", by="jiro", at=6),
    recorded(7, [7], [6, 4], at=7),  # and 6 comes back
]


def data(lineage: Lineage) -> list[int]:
    return [int(node.id[-12:], 16) for node in lineage.data]


def runs(lineage: Lineage) -> list[int]:
    return [int(node.id[-12:], 16) for node in lineage.runs]


@pytest.fixture(params=["filled at once", "followed"])
def reader(request: pytest.FixtureRequest, index: Index) -> LineageReader:
    made = LineageReader(index)
    if request.param == "followed":
        fold(index, [recorded(8, [8])])
        made.around(data_id(8))
        for event in EVENTS:
            fold(index, [event])
            with pytest.raises(UnknownId):
                made.around(data_id(99))
    else:
        fold(index, EVENTS)
    return made


def test_what_data_of_another_project_came_from_is_hidden(reader: LineageReader) -> None:
    found = reader.around(data_id(4), way="up")

    assert (data(found), runs(found), found.stubs) == ([3, 4], [3, 4], (Stub(BASE, "data"),))
    assert Edge(BASE, run_id(3), "input", "in0") in found.edges
    assert found.cut == ()


def test_what_another_project_made_of_it_is_hidden(reader: LineageReader) -> None:
    found = reader.around(data_id(3), way="down")

    assert (data(found), runs(found)) == ([3, 4, 40, 7], [4, 7])
    assert found.stubs == (Stub(TAKER, "run"),)
    assert [edge for edge in found.edges if edge.target == TAKER] == [Edge(data_id(4), TAKER, "input", "")]


def test_from_a_run_the_same_is_hidden(reader: LineageReader) -> None:
    found = reader.around(run_id(3), way="up")

    assert (data(found), runs(found), found.stubs) == ([], [3], (Stub(BASE, "data"),))


def test_siblings_of_another_project_are_stubs_and_have_none_of_their_own(reader: LineageReader) -> None:
    found = reader.around(data_id(4), way="both", siblings=True)

    assert data(found) == [3, 4, 40, 7]
    six = pseudonym("test", "default", data_id(6))
    assert {stub.id for stub in found.stubs} == {BASE, TAKER, six}


def test_nothing_of_another_project_is_told(reader: LineageReader) -> None:
    for lineage in (reader.around(data_id(4)), reader.around(data_id(4), as_of=minute(9), siblings=True)):
        text = msgspec.json.encode(lineage).decode()
        for hidden in ("lab-2", "jiro", "secret", data_id(2), run_id(5), data_id(5), run_id(2), data_id(1)):
            assert hidden not in text


def test_a_stub_is_always_called_the_same_in_one_project_and_otherwise_in_another(reader: LineageReader) -> None:
    assert reader.around(data_id(4), way="up").stubs == reader.around(data_id(3), way="up").stubs
    mirrored = reader.around(data_id(5), way="up", project="lab-2")

    assert mirrored.stubs == (Stub(pseudonym("test", "lab-2", data_id(4)), "data"),)
    assert pseudonym("test", "lab-2", data_id(2)) != BASE
    assert pseudonym("another workspace", "default", data_id(2)) != BASE


def test_nothing_can_be_asked_by_the_name_of_a_stub(reader: LineageReader) -> None:
    with pytest.raises(InvalidInput):
        check_id_prefix(BASE)


def test_lineage_begins_at_nothing_of_another_project(reader: LineageReader) -> None:
    for id_ in (data_id(2), run_id(5), data_id(6)):
        with pytest.raises(UnknownId, match=f"there is no data or run {id_}"):
            reader.around(id_)


def test_before_it_was_taken_no_stub_is_there(reader: LineageReader) -> None:
    assert reader.around(data_id(4), way="down", as_of=minute(4)).stubs == ()


def test_no_path_leads_through_another_project(reader: LineageReader) -> None:
    way = reader.path(data_id(4), data_id(7))

    assert (data(way), runs(way), way.stubs) == ([4, 7], [7], ())


def test_a_path_that_exists_only_elsewhere_is_none(index: Index) -> None:
    fold(
        index,
        [recorded(1, [1]), recorded(2, [2], [1], project="lab-2"), recorded(3, [3], [2])],
    )
    reader = LineageReader(index)

    assert reader.path(data_id(1), data_id(3)).edges == ()
    assert data(reader.around(data_id(1), way="down")) == [1]
    assert data(reader.around(data_id(3), way="up")) == [3]


def test_a_comparison_tells_which_stubs_two_have_in_common(reader: LineageReader) -> None:
    found = reader.compare(data_id(3), data_id(7))

    six = pseudonym("test", "default", data_id(6))
    assert (found.stubs_only_left, found.stubs_only_right, found.stubs_shared) == (
        (),
        (Stub(six, "data"),),
        (Stub(BASE, "data"),),
    )
    assert [node.id for node in found.only_right] == [data_id(4), data_id(7)]


def test_a_run_shows_what_it_took_of_another_project_by_the_same_name(reader: LineageReader, index: Index) -> None:
    (run,) = get_runs(index, [run_id(3)])

    assert [(given.name, given.data) for given in run.inputs] == [("in0", BASE)]
