"""Lists of data, runs and plans, filtered by what one types into their columns."""

from __future__ import annotations

import pytest

from raykqi.domain.data import Data
from raykqi.domain.filter_text import parse_filters
from raykqi.domain.run import RunQuery
from raykqi.workspace import Workspace
from tests.integration.lab import Lab

PLAN = """
name: {name}
image: {image}
command: [/bin/sh, -c, "true"]
launcher: sandbox
inputs: [{{path: /in/data, tags: ["type:photos"]}}]
"""


class Filled:
    def __init__(self, lab: Lab) -> None:
        self.ws: Workspace = lab.open(user="hana").ws
        jiro = self.ws.acting(user="jiro", project="default")
        self.small = self.ws.push(lab.files("small", {"a": bytes(10)}), ["name:Small cats", "type:photos"])
        self.large = jiro.push(lab.files("large", {"a": bytes(5000), "b": b"b"}), ["name:large dogs", "split:test"])
        self.plans = [
            self.ws.apply(PLAN.format(name=name, image=image))
            for name, image in (("train cats", "lab/train:1"), ("score", "lab/score:2"))
        ]
        self.ws.deactivate("score")
        other = self.ws.acting(user="jiro", project="lab-2")
        other.push(lab.files("small", {"a": bytes(10)}), ["name:Small cats", "type:photos"])
        other.apply(PLAN.format(name="train cats", image="lab/train:1"))


@pytest.fixture(scope="module")
def filled(shared_lab: Lab) -> Filled:
    return Filled(shared_lab)


FOUND: list[tuple[dict[str, str | list[str]], str]] = [
    ({"name": "cats"}, "small"),
    ({"name": "Cats"}, ""),
    ({"name": "!cats"}, "large"),
    ({"size": "10"}, "small"),
    ({"size": ">10"}, "large"),
    ({"size": ">=10"}, "small large"),
    ({"size": "<5001"}, "small"),
    ({"size": [">10", "<6kB"]}, "large"),
    ({"files": "=2"}, "large"),
    ({"creator": "an"}, "small"),
    ({"creator": "!an"}, "large"),
    ({"tag": "type:photos"}, "small"),
    ({"tag": "!type:photos"}, "large"),
    ({"tag": "type:photos,split:test"}, ""),
    ({"created": ">=2026-01-01"}, "small large"),
    ({"created": "<2026-01-01"}, ""),
    ({"status": "done,purged"}, "small large"),
    ({"status": "!done"}, ""),
    ({"name": "cats", "size": "10"}, "small"),
    ({"name": "'; DROP TABLE data; --"}, ""),
    ({"name": "%"}, ""),
]


@pytest.mark.parametrize(("filters", "expected"), FOUND, ids=str)
def test_data_are_filtered(filled: Filled, filters: dict[str, str | list[str]], expected: str) -> None:
    found = filled.ws.find(filters=filters, oldest_first=True)

    assert [{filled.small.id: "small", filled.large.id: "large"}[data.id] for data in found] == expected.split()


def test_data_are_filtered_by_a_part_of_their_id(filled: Filled) -> None:
    def ids(text: str) -> list[Data]:
        return filled.ws.find(filters={"id": text})

    assert ids(filled.small.id[9:]) == [filled.small]
    assert filled.small not in ids(f"!{filled.small.id[9:]}")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"plan": "cats"}, "train cats"),
        ({"plan": "!cats"}, "score"),
        ({"status": "waiting"}, "train cats"),
        ({"status": "!waiting"}, "score"),
        ({"status": "invalidated"}, ""),
        ({"creator": "hana"}, "score|train cats"),
        ({"attempt": "0"}, "score|train cats"),
        ({"exit": "0"}, ""),
        ({"started": ">2026-01-01"}, ""),
        ({"created": ">2026-01-01"}, "score|train cats"),
        ({"node": "x"}, ""),
        ({"input": "ffff"}, ""),
    ],
    ids=str,
)
def test_runs_are_filtered(filled: Filled, filters: dict[str, str], expected: str) -> None:
    found = filled.ws.runs(filters=filters)

    assert "|".join(sorted(run.title for run in found)) == expected


def test_runs_are_filtered_by_a_part_of_the_id_of_an_input(filled: Filled) -> None:
    assert len(filled.ws.runs(filters={"input": filled.small.id[9:]})) == 2
    assert filled.ws.count_runs(filled.ws.run_query(filters={"input": filled.large.id})) == 0


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"name": "cats"}, "train cats"),
        ({"name": "!cats"}, "score"),
        ({"image": "score:"}, "score"),
        ({"active": "yes"}, "train cats"),
        ({"active": "no"}, "score"),
        ({"active": "!no"}, "train cats"),
        ({"creator": "hana"}, "score|train cats"),
        ({"created": "<2026-01-01"}, ""),
    ],
    ids=str,
)
def test_plans_are_filtered(filled: Filled, filters: dict[str, str], expected: str) -> None:
    assert "|".join(sorted(plan.title for plan in filled.ws.plans(filters=filters))) == expected


def test_no_run_is_found_by_the_id_of_what_it_took_of_another_project(lab: Lab) -> None:
    ws = lab.open().ws
    foreign = ws.acting(user="jiro", project="lab-2").push(lab.files("theirs", {"a": b"a"}))
    own = ws.push(lab.files("own", {"a": b"b"}))
    ws.push(lab.files("made", {"a": b"c"}), inputs={"base": foreign.id, "more": own.id})

    def count(id_: str) -> tuple[int, int]:
        filters = parse_filters("runs", {"input": id_})
        return (
            ws.count_runs(RunQuery(plans=("raykqi#uploaded",), filters=filters)),
            ws.count_runs(RunQuery(plans=("raykqi#uploaded",), inputs=(id_,))),
        )

    assert (count(own.id), count(foreign.id)) == ((1, 1), (0, 0))
