"""A lineage as OpenLineage events (spec 2-0-2), for catalogs that collect them.

A plan is a job, a run is a run, data are versions of a dataset: the name tag names the dataset, since
consumers collapse by name, and the tree hash is its version. START carries no outputs; they come with
the event that ends the run. What tombstones tell comes last, as events on datasets. Data of another
project is a dataset without facets; of runs of another project only those that they took from know.
An endpoint is a job that reads the models it serves: an event on a job, since no run of it ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from raykqi.domain.lineage import DataNode, Edge, EndpointNode, Lineage, RunNode, Stub

__all__ = ["to_openlineage"]

Json = dict[str, Any]

SPEC = "https://openlineage.io/spec"
ENDS = {"done": "COMPLETE", "failed": "FAIL", "invalidated": "ABORT"}
BEGUN = frozenset({"starting", "running", "completing", "aborting", *ENDS})
# What was purged leaves a name behind that may be filled again, what was removed does not.
LIFECYCLE = {"purged": "TRUNCATE", "removed": "DROP"}


def to_openlineage(lineage: Lineage, *, namespace: str, producer: str) -> list[Json]:
    """Events in the order of their times; `producer` is a URI that names this program."""
    writer = _Writer(lineage, namespace, producer)
    timed = [*writer.run_events(), *writer.endpoint_events(), *writer.tombstone_events()]
    return [event for _, event in sorted(timed, key=lambda pair: pair[0])]


class _Writer:
    def __init__(self, lineage: Lineage, namespace: str, producer: str) -> None:
        self._lineage = lineage
        self._namespace = namespace
        self._producer = producer
        self._data = {node.id: node for node in lineage.data}
        self._other = {stub.id: stub for stub in lineage.stubs}
        self._taken: dict[str, list[str]] = {}  # of each data, the runs of other projects that took it
        self._inputs: dict[str, list[Edge]] = {}
        self._outputs: dict[str, list[Edge]] = {}
        self._serves: dict[str, list[Edge]] = {}
        for edge in lineage.edges:
            if edge.kind == "input" and edge.target in self._other:
                self._taken.setdefault(edge.source, []).append(edge.target)
            elif edge.kind == "input" and (edge.source in self._data or edge.source in self._other):
                self._inputs.setdefault(edge.target, []).append(edge)
            elif edge.kind == "serves" and edge.source in self._data:
                self._serves.setdefault(edge.target, []).append(edge)
            elif edge.kind == "output" and edge.target in self._data:
                self._outputs.setdefault(edge.source, []).append(edge)

    def run_events(self) -> list[tuple[datetime, Json]]:
        events: list[tuple[datetime, Json]] = []
        for run in self._lineage.runs:
            if run.status not in BEGUN:
                continue
            inputs = [self._input(self._source(edge)) for edge in self._inputs.get(run.id, [])]
            outputs = [self._output(self._data[edge.target], run) for edge in self._outputs.get(run.id, [])]
            events.append((run.created, self._run_event(run, "START", run.created, inputs, [])))
            if run.status in ENDS:
                events.append((run.updated, self._run_event(run, ENDS[run.status], run.updated, inputs, outputs)))
        return events

    def endpoint_events(self) -> list[tuple[datetime, Json]]:
        return [(node.updated, self._endpoint_event(node)) for node in self._lineage.endpoints]

    def tombstone_events(self) -> list[tuple[datetime, Json]]:
        alive = {self._name(node) for node in self._lineage.data if not node.tombstone}
        events: list[tuple[datetime, Json]] = []
        for node in self._lineage.data:
            if not (stone := node.tombstone):
                continue
            facets = self._dataset_facets(node) | {
                "raykqi_tombstone": self._own(
                    "RaykqiTombstoneDatasetFacet",
                    kind=stone.kind,
                    at=_instant(stone.at),
                    by=stone.by,
                    reason=stone.reason,
                )
            }
            # While another version of the dataset lives, the dataset itself is not gone.
            if self._name(node) not in alive:
                facets["lifecycleStateChange"] = self._facet(
                    "1-0-1", "LifecycleStateChangeDatasetFacet", lifecycleStateChange=LIFECYCLE[stone.kind]
                )
            dataset = self._dataset(node) | {"facets": facets}
            events.append((stone.at, self._event("DatasetEvent", stone.at) | {"dataset": dataset}))
        return events

    def _run_event(self, run: RunNode, kind: str, at: datetime, inputs: list[Json], outputs: list[Json]) -> Json:
        state = self._own(
            "RaykqiStateRunFacet",
            status=run.status,
            creator=run.creator,
            inputs=[{"name": edge.name, "data": edge.source} for edge in self._inputs.get(run.id, [])],
            outputs=[{"name": edge.name, "data": edge.target} for edge in self._outputs.get(run.id, [])],
        )
        job_type = self._facet("2-0-4", "JobTypeJobFacet", processingType="BATCH", integration="RAYKQI", jobType="TASK")
        return self._event("RunEvent", at) | {
            "eventType": kind,
            "run": {"runId": run.id, "facets": {"raykqi_state": state}},
            "job": {
                "namespace": self._namespace,
                "name": f"{run.project}/{run.plan}",
                "facets": {"jobType": job_type},
            },
            "inputs": inputs,
            "outputs": outputs,
        }

    def _endpoint_event(self, node: EndpointNode) -> Json:
        served = self._serves.get(node.id, [])
        state = self._own(
            "RaykqiEndpointJobFacet",
            id=node.id,
            status=node.status,
            creator=node.creator,
            serves=[{"revision": edge.name, "data": edge.source} for edge in served],
        )
        job_type = self._facet(
            "2-0-4", "JobTypeJobFacet", processingType="STREAMING", integration="RAYKQI", jobType="ENDPOINT"
        )
        datasets = {self._name(self._data[edge.source]): self._data[edge.source] for edge in served}
        return self._event("JobEvent", node.updated) | {
            "job": {
                "namespace": self._namespace,
                "name": f"{node.project}/endpoints/{node.name}",
                "facets": {"jobType": job_type, "raykqi_endpoint": state},
            },
            "inputs": [self._dataset(data) | {"facets": self._dataset_facets(data)} for data in datasets.values()],
            "outputs": [],
        }

    def _source(self, edge: Edge) -> DataNode | Stub:
        return self._data.get(edge.source) or self._other[edge.source]

    def _input(self, node: DataNode | Stub) -> Json:
        if isinstance(node, Stub):
            return self._dataset(node)
        statistics = self._facet("1-0-0", "InputStatisticsInputDatasetFacet", size=node.size, fileCount=node.files)
        return self._dataset(node) | {
            "facets": self._dataset_facets(node),
            "inputFacets": {"inputStatistics": statistics},
        }

    def _output(self, node: DataNode, run: RunNode) -> Json:
        facets = self._dataset_facets(node)
        # A run whose inputs were left out would claim here that it had none.
        if run.id not in self._lineage.cut:
            sources = [self._dataset(self._source(edge)) for edge in self._inputs.get(run.id, [])]
            facets["lineage"] = self._facet(
                "1-0-0",
                "LineageDatasetFacet",
                document="LineageFacet",
                inputs=[source | {"type": "DATASET"} for source in sources],
            )
        statistics = self._facet("1-0-2", "OutputStatisticsOutputDatasetFacet", size=node.size, fileCount=node.files)
        return self._dataset(node) | {"facets": facets, "outputFacets": {"outputStatistics": statistics}}

    def _dataset(self, node: DataNode | Stub) -> Json:
        return {"namespace": self._namespace, "name": self._name(node)}

    def _name(self, node: DataNode | Stub) -> str:
        if isinstance(node, Stub):
            return f"{node.shown}/{node.id}"
        name = next((tag.value for tag in node.tags if tag.key == "name" and tag.value), node.id)
        return f"{node.project}/{name}"

    def _dataset_facets(self, node: DataNode) -> Json:
        elsewhere = {"another_project": taken} if (taken := self._taken.get(node.id)) else {}
        facets = {"raykqi_data": self._own("RaykqiDataDatasetFacet", id=node.id, status=node.status, **elsewhere)}
        if node.tree:
            facets["version"] = self._facet("1-0-1", "DatasetVersionDatasetFacet", datasetVersion=node.tree)
        if node.tags:
            tags = [{"key": tag.key, "value": tag.value, "source": "USER"} for tag in node.tags]
            facets["tags"] = self._facet("1-0-0", "TagsDatasetFacet", tags=tags)
        return facets

    def _event(self, kind: str, at: datetime) -> Json:
        return {
            "eventTime": _instant(at),
            "producer": self._producer,
            "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/{kind}",
        }

    def _facet(self, version: str, kind: str, *, document: str = "", **fields: Any) -> Json:
        url = f"{SPEC}/facets/{version}/{document or kind}.json#/$defs/{kind}"
        return {"_producer": self._producer, "_schemaURL": url, **fields}

    def _own(self, kind: str, /, **fields: Any) -> Json:
        """A facet that is ours; its schema is described in docs/formats.md."""
        url = f"{self._producer.rstrip('/')}/facets/1-0-0/{kind}.json#/$defs/{kind}"
        return {"_producer": self._producer, "_schemaURL": url, **fields}


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
