"""Scanning: what is in a folder, and by name what no tree can hold."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from raykqi.errors import InvalidInput, SourceChanged, StorageDenied
from raykqi.storage.scan import Directory, Link, identity, scan, source_error


def test_files_folders_and_links_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "b" / "空").mkdir(parents=True)
    (tmp_path / "b" / "x").write_bytes(b"12")
    (tmp_path / "a.txt").write_bytes(b"1")
    (tmp_path / "l").symlink_to("b/x")
    os.chmod(tmp_path / "b" / "x", 0o640)
    os.chmod(tmp_path / "b", 0o750)

    found = scan(tmp_path)

    assert [(file[0], file[2]) for file in found.files] == [("a.txt", 1), ("b/x", 2)]
    assert found.file(1).mode == 0o640
    assert [folder.path for folder in found.directories] == ["b", "b/空"]
    assert found.directories[0] == Directory("b", 0o750)
    assert found.links == [Link("l", "b/x")]
    assert found.size == 3


def test_setuid_and_setgid_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    os.chmod(tmp_path / "x", 0o6755)

    assert scan(tmp_path).file(0).mode == 0o755


def test_one_file_is_a_tree_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    (tmp_path / "y").write_bytes(b"1")

    found = scan(tmp_path / "x")

    assert [file[0] for file in found.files] == ["x"]
    assert found.root == tmp_path


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no .*/nowhere"):
        scan(tmp_path / "nowhere")


@pytest.mark.parametrize(("kind", "said"), [("socket", "socket"), ("fifo", "FIFO"), ("device", "character device")])
def test_special_files_are_refused_by_name_and_kind(tmp_path: Path, kind: str, said: str) -> None:
    place = tmp_path / "sub" / "special"
    place.parent.mkdir()
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
    elif kind == "fifo":
        os.mkfifo(place)
    elif os.geteuid() == 0:
        os.mknod(place, 0o20666, os.makedev(1, 3))
    else:
        pytest.skip("only root makes devices")

    with pytest.raises(InvalidInput, match=f"sub/special is a {said}"):
        scan(tmp_path)
    with pytest.raises(InvalidInput, match=said):
        scan(place)


def test_names_that_are_not_utf8_are_refused_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "good").touch()
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff\xfe", os.O_CREAT))

    with pytest.raises(InvalidInput, match=r"b'\\xff\\xfe'"):
        scan(tmp_path)


def test_link_targets_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    os.symlink(b"\xff", os.fsencode(tmp_path) + b"/link")

    with pytest.raises(InvalidInput, match="link"):
        scan(tmp_path)


def test_links_are_followed_when_asked_for(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "x").write_bytes(b"1")
    source = tmp_path / "source"
    source.mkdir()
    (source / "folder").symlink_to(outside)
    (source / "file").symlink_to(outside / "deep" / "x")

    found = scan(source, dereference=True)

    assert [file[0] for file in found.files] == ["file", "folder/deep/x"]
    assert [folder.path for folder in found.directories] == ["folder", "folder/deep"]
    assert found.links == []


def test_following_links_in_a_circle_ends_with_the_name_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "back").symlink_to("..")

    with pytest.raises(InvalidInput, match="a/back leads back"):
        scan(tmp_path, dereference=True)


def test_following_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")

    assert scan(tmp_path).links == [Link("dangling", "nowhere")]
    with pytest.raises(InvalidInput, match="dangling leads nowhere"):
        scan(tmp_path, dereference=True)


def test_folders_to_skip_are_left_out_and_told(tmp_path: Path) -> None:
    own = tmp_path / "sub" / ".raykqi"
    (own / "blobs").mkdir(parents=True)
    (tmp_path / "sub" / "x").touch()

    found = scan(tmp_path, skip={identity(own.stat())})

    assert [file[0] for file in found.files] == ["sub/x"]
    assert found.skipped == ["sub/.raykqi"]
    with pytest.raises(InvalidInput, match="the folder of the workspace itself"):
        scan(own, skip={identity(own.stat())})


def test_two_hundred_levels_of_folders_are_no_problem(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d", dir_fd=place)
        deeper = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(place)

    assert len(scan(tmp_path).directories) == 200


def test_errors_of_the_system_become_errors_with_a_meaning() -> None:
    assert isinstance(source_error("x", FileNotFoundError(2, "No such file")), SourceChanged)
    assert isinstance(source_error("x", PermissionError(13, "Permission denied")), StorageDenied)
    assert "x: Input/output error" in source_error("x", OSError(5, "Input/output error")).message
