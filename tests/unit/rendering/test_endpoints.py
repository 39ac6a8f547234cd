"""Endpoints in each form of a lineage: downstream of what they serve, with what they do."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

from raykqi.domain.lineage import Lineage
from raykqi.rendering.drawing import draw
from raykqi.rendering.records import to_json
from raykqi.rendering.table import to_rows
from tests.unit.rendering.samples import served


def ids(lineage: Lineage) -> dict[str, str]:
    return {node.name: node.id for node in lineage.endpoints}


def test_text_shows_an_endpoint_below_each_model_that_it_served() -> None:
    lineage = served()
    digits, trial = (node.id[:13] for node in lineage.endpoints)

    lines = draw(lineage, "text").splitlines()

    assert [line.strip() for line in lines if "◆" in line] == [
        f"revision 1, retired ← ◆ digits {digits} (live)",
        f"revision 2, live ← ◆ digits {digits} (live) (see above)",
        f"revision 1, retired ← ◆ digits-試験 {trial} (paused)",
    ]


def test_rows_say_that_it_is_an_endpoint() -> None:
    rows = [row for row in to_rows(served()) if row.kind == "endpoint"]

    assert [(row.direction, row.depth, row.title, row.state, row.via, row.again) for row in rows] == [
        ("downstream", 3, "digits", "live", "revision 1, retired", False),
        ("downstream", 3, "digits", "live", "revision 2, live", True),
        ("downstream", 3, "digits-試験", "paused", "revision 1, retired", False),
    ]


def test_svg_draws_it_with_a_shape_of_its_own_to_the_right_of_its_model() -> None:
    lineage = served()

    root = ET.fromstring(draw(lineage, "svg"))

    groups = {group.get("data-id"): group for group in root.iter() if group.get("data-id")}
    assert groups[ids(lineage)["digits"]].get("class") == "endpoint live"
    assert groups[ids(lineage)["digits-試験"]].get("class") == "endpoint paused"
    left = {
        id_: float(str(group.get("transform")).removeprefix("translate(").split()[0]) for id_, group in groups.items()
    }
    new = next(node.id for node in lineage.data if node.tags[0].value == "digits v2")
    assert left[ids(lineage)["digits"]] > left[new]
    assert "2 endpoints" in draw(lineage, "svg")
    assert ">2, live, 1, reti…</text>" in draw(lineage, "svg")


def test_graphs_lead_from_the_model_to_it() -> None:
    lineage = served()
    new, digits = lineage.data[2].id, ids(lineage)["digits"]

    assert f'"{new}" -> "{digits}" [label="revision 2, live"];' in draw(lineage, "dot")
    assert "endpoint, paused" in draw(lineage, "dot")
    mermaid = draw(lineage, "mermaid").splitlines()
    assert '  n6{{"digits<br/>endpoint#44; live"}}:::endpoint_live' in mermaid
    assert "  classDef endpoint_paused fill:#8a94a622,stroke:#8a94a6" in mermaid


def test_json_lists_endpoints_and_what_they_serve() -> None:
    lineage = served()
    record = to_json(lineage)

    assert [(node["name"], node["status"]) for node in record["endpoints"]] == [
        ("digits", "live"),
        ("digits-試験", "paused"),
    ]
    assert {
        "source": lineage.data[2].id,
        "target": ids(lineage)["digits"],
        "kind": "serves",
        "name": "revision 2, live",
    } in record["edges"]


def test_openlineage_tells_of_it_as_a_job_that_reads_its_models() -> None:
    lineage = served()
    events = [json.loads(line) for line in draw(lineage, "openlineage", namespace="lab").splitlines()]
    (event,) = (each for each in events if each["job"]["name"] == "default/endpoints/digits")

    assert event["schemaURL"].endswith("#/$defs/JobEvent")
    assert "run" not in event
    assert [dataset["name"] for dataset in event["inputs"]] == ["default/digits v1", "default/digits v2"]
    assert event["job"]["facets"]["jobType"]["processingType"] == "STREAMING"
    assert event["job"]["facets"]["raykqi_endpoint"]["serves"] == [
        {"revision": "revision 1, retired", "data": lineage.data[1].id},
        {"revision": "revision 2, live", "data": lineage.data[2].id},
    ]
