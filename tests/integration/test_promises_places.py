"""P9 and what it is made of: one story, told on a folder, in memory and on both kinds of S3 server, with one ending."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raykqi.domain.data import Data
from raykqi.domain.events import RunRecorded, TagsChanged
from raykqi.errors import DataGone, InUse
from tests.comparison import assert_same, rows_from_journal, rows_of
from tests.integration.lab import Lab, Opened, check
from tests.servers import S3Server

PHOTOS = {"a.txt": b"alpha", "b/写真.bin": bytes(range(256)) * 40, "big.bin": b"\x5a" * (1 << 20), "empty": b""}
MODEL = {"model.onnx": b"weights" * 1000}


EVERYWHERE = ["folder", "memory", "moto", "rclone"]


@pytest.fixture(params=[*EVERYWHERE[:-1], pytest.param("rclone", marks=pytest.mark.soak)])
def place(request: pytest.FixtureRequest, make_lab: Callable[..., Lab]) -> Iterator[Lab]:
    name = uuid.uuid4().hex
    if request.param == "folder":
        lab = make_lab()
    elif request.param == "memory":
        lab = make_lab(url=f"memory://{name}")
    else:
        server: S3Server = request.getfixturevalue(request.param)
        lab = make_lab(url=server.url(name), s3_endpoint=server.endpoint)
    yield lab
    lab.close()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tags(data: Data) -> list[str]:
    return [str(tag) for tag in data.tags]


def forget_machine(lab: Lab) -> Opened:
    """What another machine has: the store, and no cache, no index."""
    lab.close()
    shutil.rmtree(lab.settings.cache_dir, ignore_errors=True)
    if lab.root.is_dir():
        shutil.rmtree(lab.root / "index")
    return lab.open()


@pytest.mark.parametrize("place", EVERYWHERE, indirect=True)
def test_p9_the_same_story_has_the_same_ending_wherever_it_is_kept(place: Lab, tmp_path: Path) -> None:
    opened = place.open()
    ws = opened.ws
    photos = ws.push(place.files("photos", PHOTOS), ["type:dataset", "split:train"], name=True)
    model = ws.push(place.files("model", MODEL), ["type:model"], inputs={"photos": photos.id})
    spare = ws.push(place.files("spare", {"x": b"x"}))
    ws.tag([photos.id, model.id], add=["project:fuji"], remove=["split:train"])
    ws.snapshot()
    with pytest.raises(InUse):
        ws.remove(photos.id, "a mistake")
    ws.purge(photos.id, "too large")
    ws.remove(spare.id, "a mistake")
    ws.gc(grace_seconds=0)
    ws.pull(model.id, tmp_path / "copy")

    ws = forget_machine(place).ws

    assert [(data.id, data.status, tags(data)) for data in ws.find()] == [
        (model.id, "done", ["project:fuji", "type:model"]),
        (photos.id, "purged", ["name:photos", "project:fuji", "type:dataset"]),
    ]
    assert content(tmp_path / "copy") == MODEL
    assert next((count.key, count.value, count.count) for count in ws.tags()) == ("project", "fuji", 2)
    assert {node.id for node in ws.lineage(model.id, way="up").data} == {photos.id, model.id}
    with pytest.raises(DataGone):
        ws.ls(photos.id)
    check(place.opened[-1], deep=True)


@pytest.mark.parametrize("place", EVERYWHERE, indirect=True)
def test_p1_p2_on_a_machine_that_has_nothing_but_the_store_everything_acknowledged_is_there(
    place: Lab, tmp_path: Path
) -> None:
    opened = place.open()
    photos = opened.ws.push(place.files("photos", PHOTOS), ["type:dataset"])
    before = rows_of(opened.parts.keeper.index)

    opened = forget_machine(place)

    assert_same(rows_of(opened.parts.keeper.index), before)
    assert tags(opened.ws.show(photos.id)) == ["type:dataset"]
    opened.ws.pull(photos.id, tmp_path / "copy")
    assert content(tmp_path / "copy") == PHOTOS


def test_p2_p10_snapshot_and_tail_make_the_same_index_as_the_journal_alone(place: Lab) -> None:
    opened = place.open()
    source = place.files("photos", PHOTOS)
    made = [opened.ws.push(source, [f"step:{n}"]) for n in range(3)]
    opened.ws.tag([data.id for data in made], add=["type:dataset"], remove=["step:1"])
    opened.ws.snapshot()
    opened.ws.tag(made[0].id, remove=["type:dataset"])
    opened.ws.purge(made[1].id, "not needed")
    opened.ws.remove(made[2].id, "not needed")

    store, workspace = opened.parts.store, opened.ws.id

    alone = rows_from_journal(store, workspace)
    assert_same(rows_from_journal(store, workspace, from_snapshot=True), alone)
    assert_same(rows_of(opened.parts.keeper.index), alone)


def test_p5_data_and_its_tags_enter_the_journal_in_one_entry(place: Lab) -> None:
    opened = place.open()
    data = opened.ws.push(place.files("photos", PHOTOS), ["type:dataset", "split:train"])
    opened.ws.tag([data.id], add=["a:1", "b:2"], remove=["split:train"])

    entries = list(opened.parts.keeper.journal.read())

    (recorded,), (changed,) = (entry.events for entry in entries)
    assert isinstance(recorded, RunRecorded)
    assert [(out.data, [str(tag) for tag in out.tags]) for out in recorded.outputs] == [
        (data.id, ["split:train", "type:dataset"])
    ]
    assert isinstance(changed, TagsChanged)
    assert ([str(t) for t in changed.removed], [str(t) for t in changed.added]) == (["split:train"], ["a:1", "b:2"])


def test_p6_what_was_pulled_may_be_changed_without_changing_what_is_stored(place: Lab, tmp_path: Path) -> None:
    opened = place.open()
    data = opened.ws.push(place.files("photos", PHOTOS))
    opened.ws.pull(data.id, tmp_path / "mine")
    for path in PHOTOS:
        with (tmp_path / "mine" / path).open("r+b") as file:
            file.write(b"scribble")

    opened.ws.pull(data.id, tmp_path / "copy")

    assert content(tmp_path / "copy") == PHOTOS
    assert opened.ws.fsck(deep=True).problems == ()


def test_p6_what_is_changed_after_a_push_is_other_data(place: Lab) -> None:
    opened = place.open()
    source = place.files("photos", PHOTOS)
    first = opened.ws.push(source)
    (source / "a.txt").write_bytes(b"other")

    second = opened.ws.push(source)

    assert first.tree.hash != second.tree.hash
    assert b"".join(opened.ws.cat(first.id, "a.txt")) == b"alpha"
    assert b"".join(opened.ws.cat(second.id, "a.txt")) == b"other"


def test_p7_what_was_purged_and_removed_keeps_its_place_in_the_lineage(place: Lab) -> None:
    opened = place.open()
    photos = opened.ws.push(place.files("photos", PHOTOS), ["type:dataset"])
    model = opened.ws.push(place.files("model", MODEL), ["type:model"], inputs={"photos": photos.id})
    score = opened.ws.push(place.files("score", {"s": b"0.9"}), inputs={"model": model.id})
    opened.ws.purge(photos.id, "too large")
    opened.ws.remove([model.id, score.id], "trained on the wrong split")
    opened.ws.gc(grace_seconds=0)

    ws = forget_machine(place).ws
    ancestry = ws.lineage(score.id, way="up")

    told = {
        node.id: (node.tree, node.size, [str(tag) for tag in node.tags], node.tombstone.kind, node.tombstone.by)
        for node in ancestry.data
        if node.tombstone
    }
    assert told == {
        photos.id: (photos.tree.hash, photos.tree.size, ["type:dataset"], "purged", "tester"),
        model.id: (model.tree.hash, model.tree.size, ["type:model"], "removed", "tester"),
        score.id: (score.tree.hash, score.tree.size, [], "removed", "tester"),
    }
    assert {node.tombstone.reason for node in ancestry.data if node.tombstone} == {
        "too large",
        "trained on the wrong split",
    }
    assert ancestry.path(photos.id, score.id)[0::2] == (photos.id, model.id, score.id)
