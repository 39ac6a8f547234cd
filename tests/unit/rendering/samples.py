"""Lineages to draw: built by a small builder that hands out literal ids and times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from raykqi.domain.data import DataStatus
from raykqi.domain.lineage import DataNode, Edge, EndpointNode, EndpointStatus, Lineage, RunNode, RunStatus, Tombstone
from raykqi.domain.tags import Tag

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TREE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class Builder:
    """Adds nodes in order; every node is a minute later than the one before."""

    def __init__(self) -> None:
        self.data: list[DataNode] = []
        self.runs: list[RunNode] = []
        self.edges: list[Edge] = []
        self.endpoints: list[EndpointNode] = []

    def add_data(self, *tags: str, size: int = 4096, files: int = 3, status: DataStatus = "done") -> str:
        node, now = self._next()
        pairs = tuple(Tag(*tag.split(":", 1)) for tag in tags)
        timestamp = now if status == "done" else None
        self.data.append(
            DataNode(node, "default", status, now, timestamp, "hanako", TREE, size=size, files=files, tags=pairs)
        )
        return node

    def add_run(self, plan: str, inputs: dict[str, str], outputs: dict[str, str], *, status: RunStatus = "done") -> str:
        node, now = self._next()
        self.runs.append(RunNode(node, "default", plan, status, now, now + timedelta(seconds=42), "hanako"))
        self.edges += [Edge(data, node, "input", name) for name, data in inputs.items()]
        self.edges += [Edge(node, data, "output", name) for name, data in outputs.items()]
        return node

    def upload(self, *tags: str, size: int = 4096, files: int = 3) -> str:
        data = self.add_data(*tags, size=size, files=files)
        self.add_run("raykqi#uploaded", {}, {"data": data})
        return data

    def serve(self, name: str, revisions: dict[str, str], *, status: EndpointStatus = "live") -> str:
        """`revisions` are data by what each is called."""
        node, now = self._next()
        later = now + timedelta(seconds=5)
        self.endpoints.append(EndpointNode(node, name, "default", status, now, later, "hanako"))
        self.edges += [Edge(data, node, "serves", called) for called, data in revisions.items()]
        return node

    def entomb(self, data: str, reason: str) -> None:
        index = next(place for place, node in enumerate(self.data) if node.id == data)
        stone = Tombstone("purged", START + timedelta(days=3), "太郎", reason)
        self.data[index] = msgspec.structs.replace(self.data[index], status="purged", tombstone=stone)

    def lineage(self, *start: str, cut: Sequence[str] = (), as_of: datetime | None = None) -> Lineage:
        return Lineage(
            start,
            tuple(self.data),
            tuple(self.runs),
            tuple(self.edges),
            tuple(cut),
            as_of,
            endpoints=tuple(self.endpoints),
        )

    def _next(self) -> tuple[str, datetime]:
        count = len(self.data) + len(self.runs) + len(self.endpoints)
        now = START + timedelta(minutes=count)
        stamp = f"{int(now.timestamp() * 1000):012x}"
        return f"{stamp[:8]}-{stamp[8:]}-7{count % 4096:03x}-8000-{count:012x}", now


def pipeline() -> Lineage:
    """Upload → prepare → train → evaluate, with names in Japanese, one run that failed and one that still runs."""
    b = Builder()
    raw = b.upload("name:手書き文字の画像", "type:image", "source:社内スキャナ", size=1_300_000_000, files=60_000)
    labels = b.upload("name:正解ラベル", "type:label", size=480_000, files=1)
    train = b.add_data("name:訓練データ", "type:dataset", "split:train", size=900_000_000, files=48_000)
    test = b.add_data("name:テストデータ", "type:dataset", "split:test", size=220_000_000, files=12_000)
    b.add_run("prepare", {"images": raw, "labels": labels}, {"train": train, "test": test})
    config = b.upload("name:resnet18.yaml", "type:config", size=830, files=1)
    model = b.add_data("name:文字認識モデル v1", "type:model", "framework:onnx", "stage:candidate", size=46_000_000)
    log = b.add_data("type:log", size=91_000, files=1)
    b.add_run("train-resnet", {"dataset": train, "config": config}, {"model": model, "log": log})
    crashed = b.add_data("type:log", status="failed", size=0, files=0)
    b.add_run("train-resnet", {"dataset": train, "config": config}, {"log": crashed}, status="failed")
    report = b.add_data(
        "name:評価レポート", "type:report", "accuracy:0.981", "project:手書き文字", size=12_800, files=4
    )
    b.add_run("evaluate", {"model": model, "dataset": test}, {"report": report})
    pending = b.add_data("type:report", status="processing", size=0, files=0)
    b.add_run("compare-with-production", {"model": model}, {"report": pending}, status="running")
    return b.lineage(model)


def fan_in(width: int) -> Lineage:
    """Many uploads, one run that takes them all, its model."""
    b = Builder()
    parts = [
        b.upload(f"name:shard-{index:03}", "type:shard", f"part:{index}", size=index * 1_000) for index in range(width)
    ]
    merged = b.add_data("name:merged", "type:dataset", size=900_000)
    b.add_run("merge", {f"in{index}": part for index, part in enumerate(parts)}, {"out": merged})
    return b.lineage(merged)


def purged() -> Lineage:
    """The raw data is gone, what was made of it stands."""
    b = Builder()
    raw = b.upload("name:customer-records", "type:table", "contains:personal-data", size=8_000_000_000, files=212)
    features = b.add_data("name:features", "type:table", size=90_000_000)
    b.add_run("anonymise", {"records": raw}, {"features": features})
    b.entomb(raw, "deletion requested <GDPR> & 本人の依頼")
    return b.lineage(features)


def served() -> Lineage:
    """A model that an endpoint serves, and one that it served before; another endpoint was paused."""
    b = Builder()
    images = b.upload("name:images")
    old = b.add_data("name:digits v1", "type:model")
    b.add_run("train", {"images": images}, {"model": old})
    new = b.add_data("name:digits v2", "type:model", "stage:prod")
    b.add_run("train", {"images": images}, {"model": new})
    b.serve("digits", {"revision 1, retired": old, "revision 2, live": new})
    b.serve("digits-試験", {"revision 1, retired": new}, status="paused")
    return b.lineage(images)


def cut() -> Lineage:
    """One step around a model; what lies beyond was not asked for."""
    b = Builder()
    dataset = b.add_data("name:dataset-2026-11", "type:dataset", "year:2026", "month:11", "language:ja", "cleaned:yes")
    base = b.add_data("name:base-model", "type:model", size=3_000_000_000)
    model = b.add_data("name:fine-tuned", "type:model", size=3_100_000_000)
    metrics = b.add_data("name:metrics", "type:metrics", size=900, files=1)
    b.add_run("fine-tune", {"dataset": dataset, "base": base}, {"model": model, "metrics": metrics})
    deploy = b.add_run("quantise", {"model": model}, {})
    return b.lineage(model, cut=(dataset, base, deploy), as_of=START + timedelta(days=1))


def chain(depth: int) -> Lineage:
    """Each data made from the one before."""
    b = Builder()
    data = b.upload("name:step-0")
    for step in range(1, depth):
        following = b.add_data(f"name:step-{step}")
        b.add_run("step", {"in": data}, {"out": following})
        data = following
    return b.lineage(data)


def mesh(columns: int, rows: int) -> Lineage:
    """A wide lineage in which each run takes from several data, also of far earlier columns."""
    b = Builder()
    before = [b.add_data(f"name:c0-{row}") for row in range(rows)]
    oldest = before[0]
    for column in range(1, columns):
        now = [b.add_data(f"name:c{column}-{row}") for row in range(rows)]
        for row, data in enumerate(now):
            inputs = {"a": before[row], "b": before[(row * 7 + column) % rows]}
            if row % 10 == 0:
                inputs["oldest"] = oldest
            b.add_run("mix", inputs, {"out": data})
        before = now
    return b.lineage(before[0])
