"""What a local store does with the folder it lives in, and with what others put there."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from raykqi.errors import ObjectExists, ObjectMissing, StorageError
from raykqi.storage.filesystem_local import LocalStore

DAY = 24 * 3600


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lab")


def keys(store: LocalStore) -> list[str]:
    return [found.key for found in store.list("")]


def test_objects_are_plain_files(store: LocalStore, tmp_path: Path) -> None:
    store.put("blobs/ab/写真.png", b"x")

    assert (tmp_path / "lab/blobs/ab/写真.png").read_bytes() == b"x"
    assert store.local_path("blobs/ab/写真.png") == tmp_path / "lab/blobs/ab/写真.png"
    assert os.listdir(tmp_path / "lab/tmp") == []


def test_files_are_as_open_to_others_as_the_user_has_set(store: LocalStore, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        store.put("a", b"x")
    finally:
        os.umask(before)

    assert (tmp_path / "lab/a").stat().st_mode & 0o777 == 0o640


def test_what_is_no_file_is_no_object(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a/file", b"x")
    folder = tmp_path / "lab/a"
    os.mkfifo(folder / "pipe")
    (folder / "to nowhere").symlink_to("nowhere")
    (folder / "to a folder").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(folder)  # the whole path would be too long for a socket
        server.bind("socket")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_bytes(b"")
    (folder / "line\nbreak").write_bytes(b"")

    assert keys(store) == ["a/file"]
    for name in ["a/pipe", "a/to nowhere", "a/to a folder"]:
        assert not store.exists(name)
        assert not store.touch(name)
        with pytest.raises(ObjectMissing):
            store.get(name)
        with pytest.raises(ObjectMissing):
            list(store.read(name))


def test_a_link_to_a_file_is_an_object(store: LocalStore, tmp_path: Path) -> None:
    store.put("a/file", b"x")
    (tmp_path / "elsewhere").write_bytes(b"linked")
    (tmp_path / "lab/a/link").symlink_to(tmp_path / "elsewhere")

    assert store.get("a/link") == b"linked"
    assert [(found.key, found.size) for found in store.list("a")] == [("a/file", 1), ("a/link", 6)]


def test_an_object_in_the_way_of_a_folder_is_an_error(store: LocalStore) -> None:
    store.put("a", b"x")
    store.put("b/c", b"x")

    with pytest.raises(StorageError, match=r"cannot write .*/a/b: Not a directory"):
        store.put("a/b", b"y")
    with pytest.raises(StorageError, match=r"cannot write .*/b: Is a directory"):
        store.put("b", b"y")
    with pytest.raises(ObjectExists):
        store.create("b", b"y")
    store.delete(["b"])
    assert keys(store) == ["a", "b/c"]


def test_a_folder_that_was_removed_is_made_again(store: LocalStore, tmp_path: Path) -> None:
    store.put("a/b/c", b"1")
    (tmp_path / "lab").rename(tmp_path / "moved away")

    store.put("a/b/c", b"2")
    store.create("a/b/d", b"3")

    assert keys(store) == ["a/b/c", "a/b/d"]


def test_a_name_that_is_too_long_is_an_error(store: LocalStore) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        store.put("a" * 300, b"x")
    assert keys(store) == []


def test_reading_goes_on_though_the_object_is_deleted(store: LocalStore) -> None:
    store.put("a", b"0123456789")
    chunks = store.read("a", chunk=4)
    assert next(chunks) == b"0123"

    store.delete(["a"])

    assert list(chunks) == [b"4567", b"89"]


def test_listing_goes_on_though_objects_vanish(store: LocalStore) -> None:
    for key in ["a/1", "a/2", "b/1", "c"]:
        store.put(key, b"x")
    found = store.list("")
    assert next(found).key == "a/1"

    store.delete(["a/2", "b/1"])
    (Path(store.url) / "b").rmdir()

    assert [each.key for each in found] == ["c"]


def test_old_unfinished_files_of_other_machines_are_swept(store: LocalStore, tmp_path: Path) -> None:
    store.put("a", b"x")
    folder = tmp_path / "lab/tmp"
    for name, age in [("1-2-elsewhere-3", DAY + 60), ("1-2-elsewhere-4", DAY - 60), ("anything", DAY + 60)]:
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (time.time() - age,) * 2)
    (folder / "folder").mkdir()
    os.utime(folder / "folder", (0, 0))

    assert store.sweep_leftovers() == 2
    assert sorted(os.listdir(folder)) == ["1-2-elsewhere-4", "folder"]


def test_closing_leaves_writes_of_other_threads_alone(store: LocalStore) -> None:
    half_way, go_on = threading.Event(), threading.Event()

    def parts() -> list[bytes]:
        half_way.set()
        go_on.wait(30)
        return [b"x"]

    writer = threading.Thread(target=lambda: store.put_stream("a", (part for part in parts())))
    writer.start()
    half_way.wait(30)
    store.close()
    go_on.set()
    writer.join()

    assert store.get("a") == b"x"


def test_a_file_is_stored_as_it_was(store: LocalStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 10_000)

    store.put_file("a", source)
    source.write_bytes(b"changed")
    (tmp_path / "sparse").write_bytes(b"")
    os.truncate(tmp_path / "sparse", 20 << 20)
    store.put_file("sparse", tmp_path / "sparse")

    assert store.get("a") == bytes(range(256)) * 10_000
    assert store.info("sparse").size == 20 << 20
