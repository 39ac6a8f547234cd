"""One function draws every format, and a file's ending says which is meant."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from raykqi.errors import InvalidInput
from raykqi.rendering.drawing import FORMATS, draw, format_of
from tests.unit.rendering.samples import pipeline


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_format_is_drawn_as_what_it_is() -> None:
    lineage = pipeline()

    drawn = {format_: draw(lineage, format_) for format_ in FORMATS}

    assert drawn["dot"].startswith("digraph")
    assert drawn["mermaid"].startswith("flowchart")
    assert ElementTree.fromstring(drawn["svg"]).tag == "{http://www.w3.org/2000/svg}svg"
    assert len(json.loads(drawn["json"])["data"]) == len(lineage.data)
    assert events_of(drawn["openlineage"])[0]["job"]["namespace"] == "raykqi"
    assert drawn["text"] == draw(lineage)
    assert all("文字認識モデル v1" in text for format_, text in drawn.items() if format_ not in ("openlineage", "svg"))


def test_openlineage_is_one_event_a_line_each_made_by_raykqi() -> None:
    lines = draw(pipeline(), "openlineage").splitlines(keepends=True)

    assert [json.loads(line)["producer"] for line in lines] == ["urn:raykqi:raykqi"] * len(lines)
    assert all(line.endswith("}\n") for line in lines)


def test_what_belongs_in_a_file_ends_its_last_line_and_what_is_printed_does_not() -> None:
    ends = {format_: len(text) - len(text.rstrip("\n")) for format_ in FORMATS for text in [draw(pipeline(), format_)]}

    assert ends == {"text": 0, "json": 1, "dot": 1, "mermaid": 1, "svg": 1, "openlineage": 1}


def test_jobs_are_filed_where_asked() -> None:
    events = events_of(draw(pipeline(), "openlineage", namespace="tokyo"))

    assert {event["job"]["namespace"] for event in events} == {"tokyo"}


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="there is no format 'png'") as refused:
        draw(pipeline(), "png")

    assert refused.value.hint == "Choose one of text, json, dot, mermaid, svg, openlineage."


@pytest.mark.parametrize(
    ("path", "format_"),
    [
        ("a.svg", "svg"),
        ("系統.DOT", "dot"),
        ("a.gv", "dot"),
        ("a/b.mmd", "mermaid"),
        ("a.b.json", "json"),
        ("a.mermaid", "mermaid"),
        ("a.txt", "text"),
        ("a.ndjson", "openlineage"),
        ("a.jsonl", "openlineage"),
    ],
)
def test_an_ending_says_the_format(path: str, format_: str) -> None:
    assert format_of(path) == format_


@pytest.mark.parametrize("path", ["lineage", "lineage.png", ".svg", ""])
def test_another_ending_says_nothing(path: str) -> None:
    with pytest.raises(InvalidInput, match="does not say which format it wants"):
        format_of(path)
