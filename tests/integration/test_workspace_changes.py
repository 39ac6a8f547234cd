"""Tagging, purging and removing: one step for many data, recorded with who, when and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from raykqi.domain.data import TagChange
from raykqi.domain.tags import Tag
from raykqi.errors import DataGone, InUse, InvalidInput, InvalidTag, RaykqiError, UnknownId
from raykqi.journal.log import Journal
from raykqi.workspace import Workspace
from tests.integration.lab import Anywhere, Lab, Opened, SteppedClock

NOBODY = "01939c1c-0000-7000-8000-000000000000"


@pytest.fixture
def opened(lab: Lab, anywhere: Anywhere) -> Opened:
    return anywhere(lab.open(clock=SteppedClock()))


@pytest.fixture
def ws(opened: Opened) -> Workspace:
    return opened.ws


@pytest.fixture
def source(lab: Lab) -> Path:
    return lab.files("source", {"a.txt": b"alpha", "b/写真.bin": b"\x00" * 100})


def tags(ws: Workspace, data: str) -> list[str]:
    return [str(tag) for tag in ws.show(data).tags]


def entries(opened: Opened) -> int:
    return len(list(Journal(opened.parts.store).read()))


def test_many_data_are_tagged_in_one_entry(opened: Opened, source: Path) -> None:
    ws = opened.ws
    ids = [ws.push(source, ["split:train", f"number:{number}"]).id for number in range(5)]
    before = entries(opened)

    changes = ws.tag(ids, add=["stage:good", "split:dev"], remove=["number:3"], remove_keys=["split"])

    assert entries(opened) == before + 1
    assert [change.data for change in changes] == ids
    assert changes[3] == TagChange(
        ids[3], (Tag("number", "3"), Tag("split", "train")), (Tag("split", "dev"), Tag("stage", "good"))
    )
    assert tags(ws, ids[3]) == ["split:dev", "stage:good"]
    assert tags(ws, ids[4]) == ["number:4", "split:dev", "stage:good"]


def test_one_unknown_id_changes_nothing(opened: Opened, source: Path) -> None:
    ws = opened.ws
    pushed, gone = ws.push(source).id, ws.push(source).id
    ws.remove(gone, "a mistake")
    before = entries(opened)

    for stranger in (NOBODY, gone):
        both = [pushed, stranger]
        with pytest.raises(UnknownId, match=f"there is no data {stranger}"):
            ws.tag(both, add=["a:1"])
        with pytest.raises(UnknownId, match=f"there is no data {stranger}"):
            ws.purge(both, "why")
        with pytest.raises(UnknownId, match=f"there is no data {stranger}"):
            ws.remove(both, "why")

    assert ws.show(pushed).status == "done"
    assert tags(ws, pushed) == []
    assert entries(opened) == before


def test_what_changes_nothing_is_not_recorded(opened: Opened, source: Path) -> None:
    ws = opened.ws
    data = ws.push(source, ["a:1"]).id
    before = entries(opened)

    assert ws.tag(data, add=["a:1"], remove=["b:2"], remove_keys=["c"]) == []
    assert ws.tag(data, add=["a:1"], remove_keys=["a"]) == []
    assert ws.tag(data) == []
    assert [change.added for change in ws.tag(data, add=["b:2"], dry_run=True)] == [(Tag("b", "2"),)]
    assert ws.purge(data, "why", dry_run=True) == [data]
    assert ws.remove(data, "why", dry_run=True) == [data]

    assert entries(opened) == before
    assert (ws.show(data).status, tags(ws, data)) == ("done", ["a:1"])


def test_who_tagged_and_when_is_kept_also_of_tags_that_went(lab: Lab, source: Path) -> None:
    clock = SteppedClock()
    hanako, taro = lab.open(clock=clock, user="hanako"), lab.open(clock=clock, user="太郎")
    data = hanako.ws.push(source, ["split:train"]).id
    taro.ws.tag(data, add=["split:test"], remove=["split:train"])
    hanako.ws.find()

    index = hanako.parts.keeper.index

    assert index.rows("SELECT key, value, added_by FROM tag") == [("split", "test", "太郎")]
    ((key, added_by, removed_by, in_order),) = index.rows(
        "SELECT key, added_by, removed_by, added_at < removed_at FROM tag_past"
    )
    assert (key, added_by, removed_by, in_order) == ("split", "hanako", "太郎", True)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda ws, _: ws.tag([], add=["a:1"]), InvalidInput),
        (lambda ws, data: ws.tag(data, add=["a"]), InvalidTag),
        (lambda ws, data: ws.tag(data, add=["raykqi#id:x"]), InvalidTag),
        (lambda ws, data: ws.tag(data, remove=["knit#id:x"]), InvalidTag),
        (lambda ws, data: ws.tag(data, remove_keys=["a:1"]), InvalidTag),
        (lambda ws, _: ws.tag("", add=["a:1"]), InvalidInput),
        (lambda ws, data: ws.purge(data, ""), InvalidInput),
        (lambda ws, data: ws.purge(data, " \n"), InvalidInput),
        (lambda ws, data: ws.remove(data, ""), InvalidInput),
        (lambda ws, data: ws.purge(data, "\ud800"), InvalidInput),
        (lambda ws, data: ws.remove(data, "a\0b"), InvalidInput),
        (lambda ws, _: ws.push(ws.url, ["raykqi#transient:failed"]), InvalidTag),
        (lambda ws, data: ws.push(ws.url, inputs={"\ud800": data}), InvalidInput),
        (lambda ws, data: ws.push(ws.url, inputs={"": data}), InvalidInput),
        (lambda ws, data: ws.push(ws.url, inputs={"a\nb": data}), InvalidInput),
        (lambda ws, _: ws.push(ws.url, inputs={"in": NOBODY}), UnknownId),
        (lambda ws, data: ws.lineage(data, depth=0), InvalidInput),
        (lambda ws, data: ws.lineage(data, way="sideways"), InvalidInput),
        (lambda ws, _: ws.gc(grace_seconds=-1), InvalidInput),
    ],
)
def test_a_malformed_change_is_refused_and_harms_nothing(
    opened: Opened, source: Path, change: Callable[[Workspace, str], object], error: type[RaykqiError]
) -> None:
    pushed = opened.ws.push(source, ["a:1"])
    before = entries(opened)

    with pytest.raises(error) as refused:
        change(opened.ws, pushed.id)

    assert refused.value.hint
    assert opened.ws.find() == [pushed]
    assert entries(opened) == before


def test_purged_data_keep_record_tags_and_lineage_and_lose_their_bytes(
    ws: Workspace, source: Path, tmp_path: Path
) -> None:
    raw = ws.push(source, ["type:raw"])
    derived = ws.push(source, inputs={"raw": raw.id})

    assert ws.purge([raw.id, raw.id], "契約の終了") == [raw.id]
    assert ws.purge(raw.id, "again") == []

    for read in (
        lambda: ws.pull(raw.id, tmp_path / "out"),
        lambda: ws.ls(raw.id),
        lambda: b"".join(ws.cat(raw.id, "a.txt")),
    ):
        with pytest.raises(DataGone, match=f"the bytes of data {raw.id} were given up: it is purged") as refused:
            read()
        assert f"raykqi lineage show {raw.id}" in refused.value.hint
    assert not (tmp_path / "out").exists()
    assert tags(ws, raw.id) == ["type:raw"]
    (node,) = (node for node in ws.lineage(derived.id).data if node.id == raw.id)
    assert node.tombstone is not None
    assert (node.status, node.tombstone.reason, node.tombstone.by) == ("purged", "契約の終了", "tester")
    assert (node.tree, node.size, node.files) == (raw.tree.hash, 105, 2)
    assert ws.tag(raw.id, add=["a:1"])


def test_removal_waits_until_nothing_made_of_it_is_left(ws: Workspace, source: Path, tmp_path: Path) -> None:
    raw = ws.push(source)
    middle = ws.push(source, inputs={"raw": raw.id})
    leaf = ws.push(source, inputs={"middle": middle.id})

    with pytest.raises(InUse, match=f"data {raw.id} cannot be removed: {middle.id} was made of it"):
        ws.remove(raw.id, "why")
    with pytest.raises(InUse, match=f"{leaf.id} was made of it"):
        ws.remove([raw.id, middle.id], "why")
    assert ws.remove(leaf.id, "why") == [leaf.id]
    assert ws.remove([raw.id, middle.id], "both") == [raw.id, middle.id]

    assert ws.find() == []
    with pytest.raises(DataGone, match="it is removed"):
        ws.pull(raw.id, tmp_path / "out")
    with pytest.raises(UnknownId):
        ws.push(source, inputs={"raw": raw.id})
    assert [node.status for node in ws.impact(raw.id).data] == ["removed", "removed", "removed"]
    assert {node.tombstone.reason for node in ws.impact(raw.id).data if node.tombstone} == {"why", "both"}


def test_purged_data_may_be_removed_and_the_last_word_stays(ws: Workspace, source: Path) -> None:
    data = ws.push(source).id
    ws.purge(data, "too big")
    ws.remove(data, "a mistake")

    (node,) = ws.lineage(data).data

    assert node.tombstone is not None
    assert (node.tombstone.kind, node.tombstone.reason) == ("removed", "a mistake")


def test_a_lineage_is_walked_named_and_dated(lab: Lab, anywhere: Anywhere, source: Path) -> None:
    clock = SteppedClock()
    ws = anywhere(lab.open(clock=clock)).ws
    raw = ws.push(source, ["stage:raw"])
    label = ws.push(source)
    clock.jump(60)
    model = ws.push(source, inputs={"画像": raw.id, "label": label.id})
    before = model.created
    clock.jump(60)
    ws.tag(raw.id, add=["stage:old"], remove=["stage:raw"])
    other = ws.push(source, inputs={"label": label.id})

    up = ws.lineage(model.id[:18], way="up")

    assert {edge.name for edge in up.edges if edge.kind == "input"} == {"画像", "label"}
    assert {node.id for node in up.data} == {raw.id, label.id, model.id}
    assert {node.id for node in ws.impact(label.id).data} == {label.id, model.id, other.id}
    assert {node.id for node in ws.lineage(label.id, as_of=before).data} == {label.id, model.id}
    assert [str(t) for n in ws.lineage(raw.id, as_of=before).data if n.id == raw.id for t in n.tags] == ["stage:raw"]
    assert [node.id for node in ws.path(raw.id, model.id).data] == [raw.id, model.id]
    assert ws.path(model.id, raw.id).data == ()
    both = ws.compare(model.id, other.id)
    assert ([n.id for n in both.shared], [n.id for n in both.only_left]) == ([label.id], [raw.id, model.id])
    with pytest.raises(UnknownId, match="was not there yet"):
        ws.lineage(other.id, as_of=before)
