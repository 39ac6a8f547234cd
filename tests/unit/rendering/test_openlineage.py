"""OpenLineage events: what they claim, and that the project's own client accepts each of them unchanged."""

from __future__ import annotations

import json
from typing import Any

import attr
import pytest
from openlineage.client.generated import (
    base,
    dataset_version_dataset,
    input_statistics_input_dataset,
    job_type_job,
    lifecycle_state_change_dataset,
    output_statistics_output_dataset,
    tags_dataset,
)
from openlineage.client.generated import (
    lineage as lineage_facets,
)
from openlineage.client.serde import Serde

from raykqi.domain.lineage import Lineage
from raykqi.rendering.openlineage import to_openlineage
from tests.unit.rendering import samples

PRODUCER = "https://example.com/raykqi/0.1.0"
Json = dict[str, Any]
FACETS = {
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "tags": tags_dataset.TagsDatasetFacet,
    "lifecycleStateChange": lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet,
    "lineage": lineage_facets.LineageDatasetFacet,
    "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "jobType": job_type_job.JobTypeJobFacet,
}


def events_of(lineage: Lineage) -> list[Json]:
    return to_openlineage(lineage, namespace="lab", producer=PRODUCER)


def through_client(event: Json) -> Json:
    """The event built again from the client's own classes, which check it, and written by the client."""
    built: base.BaseEvent
    if "dataset" in event:
        built = base.DatasetEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            dataset=base.StaticDataset(**with_facets(event["dataset"])),
        )
    elif "run" not in event:
        built = base.JobEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            job=base.Job(**with_facets(event["job"])),
            inputs=[base.InputDataset(**with_facets(dataset)) for dataset in event["inputs"]],
            outputs=[],
        )
    else:
        built = base.RunEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            eventType=base.EventType(event["eventType"]),
            run=base.Run(**with_facets(event["run"])),
            job=base.Job(**with_facets(event["job"])),
            inputs=[base.InputDataset(**with_facets(dataset)) for dataset in event["inputs"]],
            outputs=[base.OutputDataset(**with_facets(dataset)) for dataset in event["outputs"]],
        )
    written: Json = json.loads(Serde.to_json(built))
    return written


def with_facets(part: Json) -> Json:
    return {
        key: {name: facet(name, fields) for name, fields in value.items()} if key.lower().endswith("facets") else value
        for key, value in part.items()
    }


def facet(name: str, fields: Json) -> Any:
    plain = {key: value for key, value in fields.items() if not key.startswith("_")}
    if name.startswith("raykqi_"):
        own: Any = attr.make_class("Own", list(plain), bases=(base.BaseFacet,), kw_only=True)
        own._get_schema = staticmethod(lambda: fields["_schemaURL"])
        return own(producer=fields["_producer"], **plain)
    if name == "tags":
        plain["tags"] = [tags_dataset.TagsDatasetFacetFields(**tag) for tag in plain["tags"]]
    if name == "lineage":
        plain["inputs"] = [lineage_facets.LineageDatasetInput(**source) for source in plain["inputs"]]
    return FACETS[name](producer=fields["_producer"], **plain)


def without_empty(value: Any) -> Any:
    """The client leaves out empty lists and objects; they say nothing."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := without_empty(item)) not in ([], {}, None)}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


@pytest.mark.parametrize("name", ["pipeline", "purged", "cut", "served"])
def test_the_projects_own_client_reads_every_event(name: str) -> None:
    lineage: Lineage = getattr(samples, name)()

    for event in events_of(lineage):
        assert without_empty(through_client(event)) == without_empty(event)


def test_each_run_that_ended_has_one_start_and_one_end() -> None:
    kinds: dict[str, list[str]] = {}
    for event in events_of(samples.pipeline()):
        kinds.setdefault(event["job"]["name"], []).append(event["eventType"])

    assert kinds == {
        "default/raykqi#uploaded": ["START", "COMPLETE"] * 3,
        "default/prepare": ["START", "COMPLETE"],
        "default/train-resnet": ["START", "COMPLETE", "START", "FAIL"],
        "default/evaluate": ["START", "COMPLETE"],
        "default/compare-with-production": ["START"],
    }


def test_a_run_that_has_not_begun_is_not_told() -> None:
    b = samples.Builder()
    b.add_run("train", {}, {}, status="waiting")

    assert events_of(b.lineage()) == []


def test_a_start_claims_no_outputs() -> None:
    starts = [event for event in events_of(samples.pipeline()) if event["eventType"] == "START"]

    assert len(starts) == 8
    assert all(event["outputs"] == [] for event in starts)


def test_datasets_are_named_by_their_name_and_versioned_by_their_hash() -> None:
    lineage = samples.pipeline()
    end = next(event for event in events_of(lineage) if event["job"]["name"] == "default/evaluate" and event["outputs"])

    assert [dataset["name"] for dataset in end["inputs"]] == ["default/文字認識モデル v1", "default/テストデータ"]
    (report,) = end["outputs"]
    assert (report["namespace"], report["name"]) == ("lab", "default/評価レポート")
    assert report["facets"]["version"]["datasetVersion"] == samples.TREE
    assert report["facets"]["tags"]["tags"][1] == {"key": "type", "value": "report", "source": "USER"}
    assert report["outputFacets"]["outputStatistics"]["size"] == 12_800


def test_data_without_a_name_are_named_by_their_id() -> None:
    lineage = samples.pipeline()
    log = next(node for node in lineage.data if node.size == 91_000)

    names = {dataset["name"] for event in events_of(lineage) for dataset in event["outputs"]}

    assert f"default/{log.id}" in names


def test_outputs_tell_exactly_what_they_were_made_from() -> None:
    end = next(event for event in events_of(samples.purged()) if event.get("outputs") and event["inputs"])

    assert end["outputs"][0]["facets"]["lineage"]["inputs"] == [
        {"namespace": "lab", "name": "default/customer-records", "type": "DATASET"}
    ]


def test_a_run_whose_inputs_were_left_out_makes_no_claim_about_them() -> None:
    b = samples.Builder()
    data = b.add_data("name:result")
    run = b.add_run("train", {}, {"out": data})

    whole, torn = events_of(b.lineage(data)), events_of(b.lineage(data, cut=(run,)))

    assert whole[1]["outputs"][0]["facets"]["lineage"]["inputs"] == []
    assert "lineage" not in torn[1]["outputs"][0]["facets"]


def test_a_tombstone_is_told_as_a_change_of_the_dataset() -> None:
    event = events_of(samples.purged())[-1]

    assert event["schemaURL"].endswith("/DatasetEvent")
    assert event["eventTime"] == "2026-11-23T09:30:00Z"
    facets = event["dataset"]["facets"]
    assert facets["lifecycleStateChange"]["lifecycleStateChange"] == "TRUNCATE"
    assert facets["raykqi_tombstone"]["reason"] == "deletion requested <GDPR> & 本人の依頼"


def test_a_dataset_with_a_living_version_is_not_told_gone() -> None:
    b = samples.Builder()
    old = b.add_data("name:corpus")
    b.add_data("name:corpus")
    b.entomb(old, "superseded")

    facets = events_of(b.lineage())[0]["dataset"]["facets"]

    assert "lifecycleStateChange" not in facets
    assert facets["raykqi_tombstone"]["reason"] == "superseded"


def test_events_come_in_the_order_of_their_times() -> None:
    times = [event["eventTime"] for event in events_of(samples.pipeline())]

    assert times == sorted(times)
