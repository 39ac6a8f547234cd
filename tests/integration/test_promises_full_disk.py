"""P1, P5 on a full disk: whatever it hits, the error says so, nothing is half there, and it goes on afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raykqi.errors import StorageFull
from tests.integration.lab import Lab, check
from tests.integration.mounts import small_disk

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "24m") as place:
        yield place


def fill(place: Path, *, leave: int = 0) -> Path:
    """A file that takes all the space of the file system but `leave` bytes."""
    ballast = place / "ballast"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leave)
    return ballast


def leftovers(root: Path) -> list[Path]:
    return [path for path in (root / "tmp").rglob("*") if path.is_file()]


@pytest.mark.parametrize("leave", [0, 64 * 1024, 3 * MIB])
def test_p5_a_push_that_does_not_fit_says_so_leaves_nothing_visible_and_succeeds_once_there_is_space(
    make_lab: Callable[..., Lab], disk: Path, leave: int
) -> None:
    lab = make_lab(url=str(disk / "workspace"))
    opened = lab.open()
    before = opened.ws.push(lab.files("small", {"a.txt": b"alpha"}), ["type:small"])
    source = lab.files("photos", {"big.bin": os.urandom(4 * MIB), **{f"{n}.txt": os.urandom(9000) for n in range(30)}})
    ballast = fill(disk, leave=leave)

    with pytest.raises(StorageFull) as failure:
        opened.ws.push(source, ["type:dataset"])

    assert failure.value.hint
    assert [data.id for data in opened.ws.find()] == [before.id]
    assert leftovers(lab.root) == []
    ballast.unlink()
    data = opened.ws.push(source, ["type:dataset"])
    assert b"".join(opened.ws.cat(data.id, "big.bin")) == (source / "big.bin").read_bytes()
    check(opened, deep=True)


def test_p1_a_change_that_cannot_be_journalled_is_refused_and_leaves_no_trace(
    make_lab: Callable[..., Lab], disk: Path
) -> None:
    lab = make_lab(url=str(disk / "workspace"))
    opened = lab.open()
    data = opened.ws.push(lab.files("small", {"a.txt": b"alpha"}), ["type:small"])
    ballast = fill(disk)

    with pytest.raises(StorageFull):
        opened.ws.tag(data.id, add=["note:" + "x" * 10_000])

    assert [str(tag) for tag in opened.ws.show(data.id).tags] == ["type:small"]
    ballast.unlink()
    opened.ws.tag(data.id, add=["note:now"])
    opened = lab.reopen()
    assert [str(tag) for tag in opened.ws.show(data.id).tags] == ["note:now", "type:small"]
    check(opened)


def test_p1_what_is_acknowledged_while_the_disk_of_the_index_is_full_is_there_afterwards(
    make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    lab = make_lab()
    lab.close()
    acknowledged: list[str] = []
    refused = 0
    with small_disk(lab.root / "index", "4m") as index:
        opened = lab.open()
        data = opened.ws.push(lab.files("small", {"a.txt": b"alpha"}))
        ballast = fill(index, leave=16 * 1024)
        for number in range(60):
            tag = f"note:{number} {'x' * 2000}"
            try:
                opened.ws.tag(data.id, add=[tag])
                acknowledged.append(tag)
            except StorageFull:
                refused += 1
        ballast.unlink()
        opened.ws.tag(data.id, add=["note:last"])
        shown = {str(tag) for tag in opened.ws.show(data.id).tags}
        assert shown >= {*acknowledged, "note:last"}
        check(opened)
        lab.close()
    opened = lab.open()
    assert {str(tag) for tag in opened.ws.show(data.id).tags} >= {*acknowledged, "note:last"}
    assert len(acknowledged) + refused == 60
    check(opened)


def test_p1_a_workspace_opens_and_answers_while_the_disk_of_its_index_is_full(
    make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    lab = make_lab()
    data = lab.open().ws.push(lab.files("small", {"a.txt": b"alpha"}), ["type:small"])
    lab.close()
    with small_disk(lab.root / "index", "1m") as index:
        fill(index)
        opened = lab.open()
        assert [found.id for found in opened.ws.find("type:small")] == [data.id]
        opened.ws.tag(data.id, add=["note:now"])
        assert [found.id for found in opened.ws.find("note:now")] == [data.id]
        lab.close()


def test_p5_a_pull_that_does_not_fit_says_so_and_leaves_nothing(lab: Lab, disk: Path) -> None:
    opened = lab.open()
    files = {"big.bin": os.urandom(4 * MIB), "a.txt": b"alpha"}
    data = opened.ws.push(lab.files("photos", files))
    ballast = fill(disk, leave=2 * MIB)

    with pytest.raises(StorageFull):
        opened.ws.pull(data.id, disk / "copy")

    assert sorted(path.name for path in disk.iterdir()) == ["ballast"]
    ballast.unlink()
    opened.ws.pull(data.id, disk / "copy")
    assert (disk / "copy" / "big.bin").read_bytes() == files["big.bin"]
