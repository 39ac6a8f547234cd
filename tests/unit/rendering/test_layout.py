"""The layout: columns, order, heights. Nothing overlaps, edges run to the right, depth and width cost only time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from raykqi.rendering.layout import Box, Layout, lay_out
from raykqi.rendering.ordering import arrange, crossings

DATA, RUN = Box(200, 80, 1), Box(120, 46, 0)


def test_a_chain_runs_straight_to_the_right() -> None:
    layout = lay_out([RUN, DATA, RUN], [(0, 1), (1, 2)])

    middles = [place.y + box.height / 2 for place, box in zip(layout.places, [RUN, DATA, RUN], strict=True)]
    assert middles == [40.0, 40.0, 40.0]
    assert [place.x for place in layout.places] == [0.0, 212.0, 504.0]
    assert layout.height == 80.0


def test_inputs_stand_symmetrically_before_the_run_that_takes_them() -> None:
    layout = lay_out([DATA, DATA, DATA, RUN], [(0, 3), (1, 3), (2, 3)])

    assert [place.y for place in layout.places[:3]] == [0.0, 102.0, 204.0]
    assert layout.places[3].y + 23 == 142.0


def test_data_and_runs_never_share_a_column() -> None:
    # By their distance from the left alone, data 0 and run 2 would both stand first.
    boxes = [DATA, RUN, RUN, DATA, RUN]
    layout = lay_out(boxes, [(0, 1), (0, 4), (2, 3), (3, 4)])

    data = {layout.places[node].x for node in (0, 3)}
    runs = {layout.places[node].x for node in (1, 2, 4)}
    assert data & runs == set()


def test_what_is_used_late_stands_next_to_its_use() -> None:
    boxes = [RUN, DATA, RUN, DATA, RUN, RUN, DATA]
    layout = lay_out(boxes, [(0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 4)])

    assert layout.places[6].x == layout.places[3].x
    assert layout.places[5].x == layout.places[2].x


def test_an_avoidable_crossing_is_avoided() -> None:
    columns = arrange([[0, 1], [2, 3]], [(0, 3), (1, 2)])

    assert crossings(columns, {0: [3], 1: [2], 2: [], 3: []}) == 0


def test_neighbours_change_places_where_sweeps_alone_leave_a_crossing() -> None:
    links = [(0, 5), (1, 6), (1, 7), (3, 5), (5, 8), (6, 8)]
    right = {node: [target for source, target in links if source == node] for node in range(12)}

    columns = arrange([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], links)

    assert crossings(columns, right) == 0


def test_parts_that_do_not_hang_together_stand_below_each_other() -> None:
    layout = lay_out([DATA, DATA], [])

    assert [tuple(place) for place in layout.places] == [(0.0, 0.0), (0.0, 128.0)]


def test_a_damaged_graph_with_a_cycle_is_still_drawn() -> None:
    layout = lay_out([DATA, RUN, DATA], [(0, 1), (1, 2), (2, 1), (1, 0)])

    assert len(layout.places) == 3
    assert all(len(route) >= 2 for route in layout.routes)


def test_nothing_is_laid_out_as_nothing() -> None:
    assert lay_out([], []) == Layout([], [], [], 0.0, 0.0)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[tuple[int, int]]]:
    count = draw(st.integers(1, 14))
    sizes = st.builds(Box, st.floats(40, 300), st.floats(20, 120), st.integers(0, 1))
    boxes = draw(st.lists(sizes, min_size=count, max_size=count))
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    links = draw(st.lists(ends.filter(lambda pair: boxes[pair[0]].parity != boxes[pair[1]].parity), max_size=24))
    return boxes, [(min(pair), max(pair)) for pair in links]


@given(graphs())
def test_nodes_never_overlap_and_edges_run_to_the_right(graph: tuple[list[Box], list[tuple[int, int]]]) -> None:
    boxes, links = graph

    layout = lay_out(boxes, links)

    frames = [
        (place.x, place.y, place.x + width, place.y + box.height)
        for place, width, box in zip(layout.places, layout.widths, boxes, strict=True)
    ]
    for index, (left, top, right, bottom) in enumerate(frames):
        assert left >= 0
        assert top >= -0.001
        assert right <= layout.width + 0.001
        assert bottom <= layout.height + 0.001
        for other_left, other_top, other_right, other_bottom in frames[:index]:
            apart = right <= other_left or other_right <= left
            assert apart or bottom <= other_top + 0.001 or other_bottom <= top + 0.001
    for (source, target), route in zip(links, layout.routes, strict=True):
        assert route[0].x == frames[source][2]
        assert route[-1].x == frames[target][0]
        assert all(one.x <= other.x for one, other in pairwise(route))
