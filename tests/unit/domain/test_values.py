"""Small values that answer questions themselves: ways through a lineage, reports, events that travel as text."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.data import TreeRef
from raykqi.domain.events import (
    DataPurged,
    DataRemoved,
    Event,
    ObjectsCollected,
    ObjectsCondemned,
    RunInput,
    RunOutput,
    RunRecorded,
    TagsChanged,
)
from raykqi.domain.lineage import Edge, Lineage
from raykqi.domain.tags import Tag
from raykqi.domain.upkeep import Problem, Report
from tests.unit.catalog.history import START

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
tags = st.lists(st.builds(Tag, text, text), max_size=3).map(tuple)
trees = st.builds(TreeRef, text, st.integers(0, 1 << 60), st.integers(0, 1 << 30))
outputs = st.lists(st.builds(RunOutput, text, text, trees, tags), max_size=2).map(tuple)
inputs = st.lists(st.builds(RunInput, text, text), max_size=2).map(tuple)
at = st.just(START)
events = st.one_of(
    st.builds(RunRecorded, at, text, text, text, inputs, outputs, text),
    st.builds(TagsChanged, at, text, text, tags, tags),
    st.builds(DataPurged, at, text, text, text),
    st.builds(DataRemoved, at, text, text, text),
    st.builds(ObjectsCondemned, at, text, st.integers(0, 1 << 60), st.lists(text, max_size=2).map(tuple)),
    st.builds(ObjectsCollected, at, text, st.integers(0, 1 << 60), st.integers(0, 1 << 60)),
)


def lineage(*edges: str) -> Lineage:
    made = (Edge(edge[0], edge[1], "input", "x") for edge in edges)
    return Lineage(("a",), (), (), tuple(made))


@pytest.mark.parametrize(
    ("edges", "source", "target", "way"),
    [
        (["ab", "bc"], "a", "c", "abc"),
        (["ab", "bc", "cd", "ax", "xd"], "a", "d", "axd"),
        (["ab"], "a", "a", "a"),
        (["ab", "bc"], "c", "a", ""),
        (["ab", "cd"], "a", "d", ""),
        ([], "a", "b", ""),
        (["ab", "ba", "bc"], "a", "c", "abc"),
    ],
)
def test_a_path_is_the_shortest_way_along_the_edges(edges: list[str], source: str, target: str, way: str) -> None:
    assert lineage(*edges).path(source, target) == tuple(way)


def test_a_path_of_many_thousand_steps_is_found() -> None:
    edges = tuple(Edge(str(n), str(n + 1), "input", "x") for n in range(20_000))

    assert len(Lineage(("0",), (), (), edges).path("0", "20000")) == 20_001


def test_a_report_is_clean_without_problems_and_sound_when_all_were_mended() -> None:
    mended, open_ = Problem("a", "wrong", repaired="made anew"), Problem("b", "lost")

    verdicts = [(Report(p, 1, 1, 1).clean, Report(p, 1, 1, 1).sound) for p in ((), (mended,), (mended, open_))]

    assert verdicts == [(True, True), (False, True), (False, False)]


@given(events)
def test_an_event_reads_back_as_itself(event: Event) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


def test_an_event_says_in_plain_json_what_happened() -> None:
    event = TagsChanged(START, "hanako", "01939c1c", (), (Tag("言語", "日本語"),))

    assert msgspec.json.decode(msgspec.json.encode(event)) == {
        "action": "tags.changed",
        "at": "2026-11-20T09:30:00Z",
        "by": "hanako",
        "data": "01939c1c",
        "removed": [],
        "added": [["言語", "日本語"]],
    }
