"""Importing: objects stay where they are, and nobody mistakes changed ones for what was imported."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest
from blake3 import blake3

from raykqi.errors import Damaged, InvalidInput, ObjectMissing
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.importing import import_objects
from raykqi.storage.materialise import materialise, open_file
from raykqi.storage.push import push_listing
from raykqi.storage.trees import EMPTY_HASH, Entry, read_tree
from raykqi.storage.verify import verify_tree

CONTENTS = {"train/猫 1%20.png": b"cat", "train/empty": b"", "labels.csv": b"1,cat\n"}


@pytest.fixture(params=["file", "memory"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> str:
    """The URL of a place with some objects and others around it."""
    if request.param == "file":
        root = tmp_path / "foreign"
        for path, data in {**{f"set/{path}": data for path, data in CONTENTS.items()}, "other": b"x"}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        return f"file://{root}/set"
    url = f"memory://{uuid.uuid4()}"
    place = open_store(url, settings)
    for path, data in CONTENTS.items():
        place.put(f"set/{path}", data)
    place.put("other", b"x")
    return f"{url}/set"


def test_imported_objects_are_listed_hashed_and_left_where_they_are(
    store: Store, settings: Settings, foreign: str
) -> None:
    tree = import_objects(foreign, settings=settings)

    assert [(entry.path, entry.size, entry.hash) for entry in tree if entry.kind == "file"] == [
        ("labels.csv", 6, blake3(b"1,cat\n").hexdigest()),
        ("train/empty", 0, EMPTY_HASH),
        ("train/猫 1%20.png", 3, blake3(b"cat").hexdigest()),
    ]
    assert tree.objects() == set()
    assert (tree.get("labels.csv") or Entry("", "file", 0, 0, "")).object == f"{foreign}/labels.csv"


def test_imported_objects_are_pulled_from_where_they_are(
    store: Store, settings: Settings, foreign: str, tmp_path: Path
) -> None:
    pushed = push_listing(store, import_objects(foreign, settings=settings))
    tree = read_tree(store, pushed.tree.hash)

    materialise(store, tree, tmp_path / "out", settings=settings)

    assert {path: (tmp_path / "out" / path).read_bytes() for path in CONTENTS} == CONTENTS
    assert b"".join(open_file(store, tree, "train/猫 1%20.png", settings=settings)) == b"cat"
    assert verify_tree(store, pushed.tree.hash, deep=True) == []
    assert list(store.list("blobs")) == list(store.list("packs")) == []


def test_one_object_can_be_imported(settings: Settings, foreign: str) -> None:
    tree = import_objects(f"{foreign}/labels.csv", settings=settings)

    assert [entry.path for entry in tree] == ["labels.csv"]


def test_changed_and_vanished_objects_are_told_apart(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "x").write_bytes(b"old")
    store = open_store(str(tmp_path / "store"), settings)
    tree = import_objects(f"file://{tmp_path}/foreign", settings=settings)

    (tmp_path / "foreign" / "x").write_bytes(b"new")
    for read in (
        lambda: materialise(store, tree, tmp_path / "out", settings=settings),
        lambda: list(open_file(store, tree, "x", settings=settings)),
    ):
        with pytest.raises(Damaged, match=r"file:///.*foreign/x, imported as 'x', changed since"):
            read()
    (tmp_path / "foreign" / "x").unlink()
    with pytest.raises(ObjectMissing, match="foreign/x vanished since it was imported"):
        materialise(store, tree, tmp_path / "out", settings=settings)


@pytest.mark.parametrize("url", ["/just/a/path", "file://relative/path", "file:///nowhere/at/all"])
def test_what_is_no_url_or_holds_nothing_is_refused(settings: Settings, url: str) -> None:
    with pytest.raises(InvalidInput):
        import_objects(url, settings=settings)


def test_a_foreign_folder_called_tmp_is_neither_hidden_nor_swept(settings: Settings, tmp_path: Path) -> None:
    old = tmp_path / "foreign" / "tmp" / "old"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"precious")
    week_ago = time.time() - 7 * 24 * 3600
    os.utime(old, (week_ago, week_ago))

    tree = import_objects(f"file://{tmp_path}/foreign", settings=settings)

    assert [entry.path for entry in tree] == ["tmp", "tmp/old"]
    assert old.read_bytes() == b"precious"
