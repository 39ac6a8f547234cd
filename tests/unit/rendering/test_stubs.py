"""What is of another project, in each form of a lineage: that it is there, and no more."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from raykqi.domain.lineage import Ancestries, Edge, Lineage, Stub
from raykqi.rendering.drawing import draw
from raykqi.rendering.records import ancestries_to_json, to_json
from raykqi.rendering.table import ancestries_to_rows, to_rows
from tests.unit.rendering.samples import Builder

BASE, TAKER = "other-0011223344556677aabb", "other-ff11223344556677aabb"


@pytest.fixture
def lineage() -> Lineage:
    b = Builder()
    model = b.add_data("name:model", "type:model")
    b.add_run("train", {}, {"model": model})
    made = b.lineage(model)
    edges = (*made.edges, Edge(BASE, made.runs[0].id, "input", "base"), Edge(model, TAKER, "input", ""))
    return Lineage(made.start, made.data, made.runs, edges, stubs=(Stub(BASE, "data"), Stub(TAKER, "run")))


@pytest.mark.parametrize("format_", ["text", "dot", "mermaid", "svg"])
def test_a_picture_names_it_another_project(lineage: Lineage, format_: str) -> None:
    drawn = draw(lineage, format_)

    assert drawn.count("another project") >= 2
    assert "other-0011223" in drawn.replace("#45;", "-")


def test_text_shows_it_in_its_place(lineage: Lineage) -> None:
    assert draw(lineage, "text").splitlines()[1:] == [
        "came from:",
        "  model ← ▶ train 019ba4c8-2ac0 (done)".replace("019ba4c8-2ac0", lineage.runs[0].id[:13]),
        "    base ← ● another project other-0011223 (hidden)",
        "came of it:",
        "  ▶ another project other-ff11223 (hidden)",
    ]


def test_svg_draws_data_and_runs_of_another_project_in_shapes_of_their_own(lineage: Lineage) -> None:
    root = ET.fromstring(draw(lineage, "svg"))

    classes = {group.get("data-id"): group.get("class") for group in root.iter() if group.get("data-id")}
    assert classes[BASE] == "data other gone"
    assert classes[TAKER] == "run other gone"
    assert "2 of another project" in draw(lineage, "svg")


def test_graphs_lead_to_and_from_it(lineage: Lineage) -> None:
    assert f'"{BASE}" -> "{lineage.runs[0].id}"' in draw(lineage, "dot")
    assert f'"{lineage.data[0].id}" -> "{TAKER}"' in draw(lineage, "dot")
    assert ":::other" in draw(lineage, "mermaid")
    assert "classDef other" in draw(lineage, "mermaid")


def test_json_lists_stubs_apart(lineage: Lineage) -> None:
    assert to_json(lineage)["stubs"] == [
        {"id": BASE, "kind": "data", "title": "another project"},
        {"id": TAKER, "kind": "run", "title": "another project"},
    ]


def test_openlineage_names_what_came_from_another_project_and_who_took_it(lineage: Lineage) -> None:
    events = [json.loads(line) for line in draw(lineage, "openlineage").splitlines()]
    complete = next(event for event in events if event["eventType"] == "COMPLETE")

    assert complete["inputs"] == [{"namespace": "raykqi", "name": f"another project/{BASE}"}]
    (output,) = complete["outputs"]
    assert output["facets"]["raykqi_data"]["another_project"] == [TAKER]
    assert [source["name"] for source in output["facets"]["lineage"]["inputs"]] == [f"another project/{BASE}"]


def test_rows_and_comparisons_show_it(lineage: Lineage) -> None:
    assert [(row.kind, row.title, row.state) for row in to_rows(lineage)][2:] == [
        ("data", "another project", "hidden"),
        ("run", "another project", "hidden"),
    ]
    found = Ancestries("a", "b", (), (), (), (), (), stubs_only_left=(Stub(BASE, "data"),))

    assert [(row.side, row.title) for row in ancestries_to_rows(found)] == [("left", "another project")]
    assert ancestries_to_json(found)["stubs_only_left"] == [{"id": BASE, "kind": "data", "title": "another project"}]
