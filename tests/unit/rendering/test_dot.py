"""The DOT text: what it says, and that Graphviz reads it whatever people write."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from raykqi.domain.lineage import Lineage
from raykqi.rendering.dot import to_dot
from raykqi.rendering.labels import nodes_of
from tests.unit.rendering import samples
from tests.unit.rendering.texts import lineages

needs_graphviz = pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz is not installed (apt-get install graphviz)"
)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def tokens(dot: str) -> Iterator[tuple[str, str]]:
    """A reader of the part of the language that we write: quoted strings, HTML strings, all else letter by letter."""
    at = 0
    while at < len(dot):
        if dot[at] == '"':
            found = QUOTED.match(dot, at)
            assert found, f"a quoted string never ends: {dot[at : at + 60]!r}"
            yield "quoted", found[0]
            at = found.end()
        elif dot[at] == "<":
            depth, end = 0, at
            while depth or end == at:
                depth += {"<": 1, ">": -1}.get(dot[end], 0)
                end += 1
            yield "html", dot[at + 1 : end - 1]
            at = end
        else:
            yield "plain", dot[at]
            at += 1


def labels(dot: str) -> list[list[str]]:
    """The rows of each node's table."""
    tables = [ElementTree.fromstring(text) for kind, text in tokens(dot) if kind == "html"]
    return [["".join(cell.itertext()) for cell in table.iter("TD")] for table in tables]


def graphviz(dot: str) -> dict[str, Any]:
    """What Graphviz itself makes of it."""
    done = subprocess.run(["dot", "-Tdot_json"], input=dot.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_data_show_name_id_tags_and_state() -> None:
    assert labels(to_dot(samples.purged())) == [
        [
            "customer-records",
            "01a1f84a-95c0",
            "type:table",
            "contains:personal-data",
            "purged 2026-11-23 09:30 by 太郎",
        ],
        ["features", "01a1f84c-6a80", "type:table", "85.8 MiB · 2026-11-20 09:32"],
        ["raykqi#uploaded", "● done · 01a1f84b-8020"],
        ["anonymise", "● done · 01a1f84d-54e0"],
    ]


def test_edges_are_labelled_with_input_and_output() -> None:
    lineage = samples.purged()
    raw, features = (node.id for node in lineage.data)
    upload, anonymise = (node.id for node in lineage.runs)

    dot = to_dot(lineage)

    assert f'  "{upload}" -> "{raw}" [label="data"];' in dot
    assert f'  "{raw}" -> "{anonymise}" [label="records"];' in dot
    assert f'  "{anonymise}" -> "{features}" [label="features"];' in dot


def test_the_start_is_highlighted_tombstones_are_dashed_and_cuts_marked() -> None:
    purged, cut = to_dot(samples.purged()), to_dot(samples.cut())

    assert purged.count('BORDER="3" COLOR="#7c5cd6"') == 1
    assert purged.count("ROUNDED,DASHED") == 1
    assert [rows[0] for rows in labels(cut) if rows[-1] == "…"] == ["dataset-2026-11", "base-model", "quantise"]


def test_run_states_have_their_colours() -> None:
    dot = to_dot(samples.pipeline())

    assert dot.count('COLOR="#1f9d6b">●') == 6
    assert dot.count('COLOR="#d64550">●') == 1
    assert dot.count('COLOR="#d9920a">●') == 1


@given(lineages())
def test_any_text_leaves_it_readable(lineage: Lineage) -> None:
    read = list(tokens(to_dot(lineage)))

    assert len([text for kind, text in read if kind == "html" and ElementTree.fromstring(text) is not None]) == 4
    rest = "".join(text for kind, text in read if kind == "plain")
    assert rest.count("->") == 3
    assert rest.count("{") == rest.count("}") == 1


@needs_graphviz
def test_graphviz_draws_a_whole_pipeline() -> None:
    lineage = samples.pipeline()

    done = subprocess.run(["dot", "-Tsvg"], input=to_dot(lineage).encode(), capture_output=True, check=True)

    assert done.stderr == b""
    svg = ElementTree.fromstring(done.stdout)
    words = {"".join(text.itertext()) for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"手書き文字の画像", "文字認識モデル v1", "evaluate"} <= words


@needs_graphviz
@settings(max_examples=30)
@given(lineages())
def test_graphviz_reads_any_text(lineage: Lineage) -> None:
    graph = graphviz(to_dot(lineage))

    assert [node["name"] for node in graph["objects"]] == [node.id for node in nodes_of(lineage)]
    assert len(graph["edges"]) == 3
