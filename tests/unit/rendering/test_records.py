"""Lineage as JSON."""

from __future__ import annotations

import json

from raykqi.domain.lineage import Ancestries
from raykqi.rendering.records import ancestries_to_json, to_json
from tests.unit.rendering import samples


def test_all_of_a_lineage_is_in_it() -> None:
    lineage = samples.purged()
    raw, features = lineage.data
    upload, anonymise = lineage.runs

    record = json.loads(json.dumps(to_json(lineage)))

    assert record["data"][0] == {
        "id": raw.id,
        "project": "default",
        "status": "purged",
        "created": "2026-11-20T09:30:00Z",
        "timestamp": "2026-11-20T09:30:00Z",
        "creator": "hanako",
        "tree": samples.TREE,
        "size": 8_000_000_000,
        "files": 212,
        "tags": ["name:customer-records", "type:table", "contains:personal-data"],
        "tombstone": {
            "kind": "purged",
            "at": "2026-11-23T09:30:00Z",
            "by": "太郎",
            "reason": "deletion requested <GDPR> & 本人の依頼",
        },
    }
    assert record["runs"][1]["plan"] == "anonymise"
    assert record["edges"][1] == {"source": raw.id, "target": anonymise.id, "kind": "input", "name": "records"}
    assert record["start"] == [features.id]
    assert (record["cut"], record["as_of"]) == ([], None)
    assert upload.id == record["runs"][0]["id"]


def test_it_says_as_of_when_it_is_told() -> None:
    assert to_json(samples.cut())["as_of"] == "2026-11-21T09:30:00+00:00"


def test_a_difference_is_told_by_sides() -> None:
    lineage = samples.purged()
    raw, features = lineage.data
    difference = Ancestries(raw.id, features.id, (raw,), (features,), (), (lineage.runs[0],), ())

    record = json.loads(json.dumps(ancestries_to_json(difference)))

    assert (record["left"], record["right"]) == (raw.id, features.id)
    assert [node["id"] for node in record["only_left"]] == [raw.id]
    assert [node["id"] for node in record["only_right"]] == [features.id]
    assert [run["plan"] for run in record["runs_only_left"]] == ["raykqi#uploaded"]
    assert (record["shared"], record["runs_only_right"]) == ([], [])
