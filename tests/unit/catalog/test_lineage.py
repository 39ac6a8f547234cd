"""Lineage out of the index: how far, which way, as of when."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from raykqi.catalog.index import Index
from raykqi.catalog.lineage import LineageReader
from raykqi.domain.lineage import Edge, Lineage, Tombstone
from raykqi.errors import UnknownId
from tests.unit.catalog.history import data_id, fold, minute, purged, recorded, removed, retagged, run_id


def data(lineage: Lineage) -> list[int]:
    return [int(node.id[-12:], 16) for node in lineage.data]


def runs(lineage: Lineage) -> list[int]:
    return [int(node.id[-12:], 16) for node in lineage.runs]


def cut(lineage: Lineage) -> list[int]:
    return [int(id_[-12:], 16) for id_ in lineage.cut]


@pytest.fixture(scope="module")
def diamond() -> Iterator[LineageReader]:
    """1 → 2 and 3 (with 30 beside it) → 4 → 5; 6 stands alone."""
    index = Index(None, "test")
    fold(
        index,
        [
            recorded(1, [1], plan="raykqi#uploaded"),
            recorded(2, [2], [1]),
            recorded(3, [3, 30], [1]),
            recorded(4, [4], [2, 3]),
            recorded(5, [5], [4]),
            recorded(6, [6]),
        ],
    )
    yield LineageReader(index)
    index.close()


@pytest.mark.parametrize(
    ("start", "way", "depth", "nodes", "made_by", "beyond"),
    [
        (data_id(4), "up", None, [1, 2, 3, 4], [1, 2, 3, 4], []),
        (data_id(4), "down", None, [4, 5], [5], []),
        (data_id(4), "both", None, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], []),
        (data_id(1), "down", None, [1, 2, 3, 30, 4, 5], [2, 3, 4, 5], []),
        (data_id(4), "up", 1, [2, 3, 4], [4], [2, 3]),
        (data_id(4), "both", 1, [2, 3, 4, 5], [4, 5], [2, 3]),
        (data_id(1), "down", 1, [1, 2, 3, 30], [2, 3], [2, 3]),
        (data_id(1), "down", 3, [1, 2, 3, 30, 4, 5], [2, 3, 4, 5], []),
        (data_id(1), "up", 1, [1], [1], []),
        (data_id(6), "both", None, [6], [6], []),
        (run_id(4), "up", None, [1, 2, 3], [1, 2, 3, 4], []),
        (run_id(4), "down", None, [4, 5], [4, 5], []),
        (run_id(4), "both", 1, [2, 3, 4], [4], [2, 3, 4]),
    ],
)
def test_a_lineage_reaches_as_far_as_asked(
    diamond: LineageReader,
    start: str,
    way: str,
    depth: int | None,
    nodes: list[int],
    made_by: list[int],
    beyond: list[int],
) -> None:
    found = diamond.around(start, way=way, depth=depth)  # type: ignore[arg-type]

    assert (data(found), runs(found), cut(found)) == (nodes, made_by, beyond)
    assert found.start == (start,)


def test_edges_join_what_is_shown_and_nothing_else(diamond: LineageReader) -> None:
    found = diamond.around(data_id(4), way="up", depth=1)

    assert found.edges == (
        Edge(data_id(2), run_id(4), "input", "in0"),
        Edge(data_id(3), run_id(4), "input", "in1"),
        Edge(run_id(4), data_id(4), "output", "out0"),
    )


def test_siblings_are_the_other_inputs_and_outputs_of_the_runs_shown(diamond: LineageReader) -> None:
    assert data(diamond.around(data_id(3), way="up", siblings=True)) == [1, 3, 30]
    assert data(diamond.around(data_id(2), way="down", siblings=True)) == [2, 3, 4, 5]


def test_a_path_is_a_shortest_way_down(diamond: LineageReader) -> None:
    found = diamond.path(data_id(1), data_id(5))

    assert found.start == (data_id(1), data_id(5))
    assert data(found) in ([1, 2, 4, 5], [1, 3, 4, 5])
    assert len(found.edges) == 6
    assert data(diamond.path(run_id(1), data_id(2))) == [1, 2]
    assert data(diamond.path(data_id(4), data_id(4))) == [4]


@pytest.mark.parametrize(("ancestor", "descendant"), [(5, 1), (2, 3), (6, 5)])
def test_between_what_is_not_related_there_is_no_path(diamond: LineageReader, ancestor: int, descendant: int) -> None:
    found = diamond.path(data_id(ancestor), data_id(descendant))

    assert (found.data, found.runs, found.edges) == ((), (), ())


def test_two_ancestries_are_told_apart(diamond: LineageReader) -> None:
    found = diamond.compare(data_id(2), data_id(3))

    assert [node.id for node in found.shared] == [data_id(1)]
    assert [node.id for node in found.only_left] == [data_id(2)]
    assert [node.id for node in found.only_right] == [data_id(3)]
    assert [node.id for node in found.runs_only_left] == [run_id(2)]
    assert [node.id for node in found.runs_only_right] == [run_id(3)]


@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_what_is_not_there_has_no_lineage(diamond: LineageReader, way: str) -> None:
    with pytest.raises(UnknownId, match=f"there is no data or run {data_id(99)}"):
        diamond.around(data_id(99), way=way)  # type: ignore[arg-type]


def test_a_chain_of_five_thousand_is_walked_whole_and_soon(index: Index) -> None:
    fold(index, [recorded(1, [1]), *(recorded(run, [run], [run - 1]) for run in range(2, 5_001))])
    reader = LineageReader(index)
    began = time.perf_counter()

    found = reader.around(data_id(5_000), way="up")

    assert time.perf_counter() - began < 10
    assert (len(found.data), len(found.runs), len(found.edges)) == (5_000, 5_000, 9_999)
    assert len(reader.path(data_id(1), data_id(5_000)).data) == 5_000


@pytest.fixture(scope="module")
def past() -> Iterator[LineageReader]:
    """One minute a change: 1 pushed, 2 made of it, 1 tagged anew twice, purged, both removed, 3 pushed."""
    index = Index(None, "test")
    fold(index, [recorded(1, [1], tags=["split:train", "type:image"], at=0)])
    fold(index, [recorded(2, [2], [1], at=1)])
    fold(index, [retagged(1, removed=["split:train"], added=["split:test"], at=2)])
    fold(index, [retagged(1, removed=["split:test"], added=["split:train"], at=3)])
    fold(index, [purged(1, "too big", at=4)])
    fold(index, [removed(2, "a mistake", at=5), removed(1, "a mistake", at=5)])
    fold(index, [recorded(3, [3], at=6)])
    yield LineageReader(index)
    index.close()


@pytest.mark.parametrize(
    ("moment", "nodes", "status", "tags"),
    [
        (0, [1], "done", ["split:train", "type:image"]),
        (0.5, [1], "done", ["split:train", "type:image"]),
        (1, [1, 2], "done", ["split:train", "type:image"]),
        (2, [1, 2], "done", ["split:test", "type:image"]),
        (2.9, [1, 2], "done", ["split:test", "type:image"]),
        (3, [1, 2], "done", ["split:train", "type:image"]),
        (4, [1, 2], "purged", ["split:train", "type:image"]),
        (5, [1, 2], "removed", ["split:train", "type:image"]),
        (60, [1, 2], "removed", ["split:train", "type:image"]),
        (None, [1, 2], "removed", ["split:train", "type:image"]),
    ],
)
def test_a_lineage_is_shown_as_it_stood(
    past: LineageReader, moment: float | None, nodes: list[int], status: str, tags: list[str]
) -> None:
    as_of = None if moment is None else minute(moment)

    found = past.around(data_id(1), as_of=as_of)

    assert data(found) == nodes
    assert (found.data[0].status, [str(tag) for tag in found.data[0].tags]) == (status, tags)
    assert found.as_of == as_of


def test_the_last_tombstone_of_its_time_is_shown(past: LineageReader) -> None:
    stones = [past.around(data_id(1), as_of=minute(moment)).data[0].tombstone for moment in (3, 4, 5)]

    assert stones == [
        None,
        Tombstone("purged", minute(4), "taro", "too big"),
        Tombstone("removed", minute(5), "taro", "a mistake"),
    ]


@pytest.mark.parametrize("start", [data_id(2), run_id(2)])
def test_before_it_was_made_there_is_nothing_to_show(past: LineageReader, start: str) -> None:
    with pytest.raises(UnknownId, match="was not there yet"):
        past.around(start, as_of=minute(0.5))
