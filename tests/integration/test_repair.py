"""What fsck can mend, and that mending never takes away what could still be read."""

from __future__ import annotations

from pathlib import Path

import pytest

import raykqi
from raykqi.errors import Damaged
from raykqi.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    raykqi.init(tmp_path / "workspace")
    return raykqi.open(tmp_path / "workspace")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "good").write_bytes(b"good" * 100)
    (folder / "hit").write_bytes(b"hit!" * 100)
    return folder


def flip_in_pack(workspace: Workspace, what: bytes) -> Path:
    (pack,) = (path for path in Path(workspace.url, "packs").rglob("*") if path.is_file())
    data = bytearray(pack.read_bytes())
    data[data.index(what)] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)
    return pack


def read(workspace: Workspace, data: str, path: str) -> bytes:
    return b"".join(workspace.cat(data, path))


def test_a_damaged_pack_that_is_set_aside_keeps_its_good_files_readable(workspace: Workspace, source: Path) -> None:
    with workspace:
        data = workspace.push(source).id
        flip_in_pack(workspace, b"hit!")

        before = workspace.fsck(deep=True, repair=True)
        after = workspace.fsck()

        assert [problem.paths for problem in before.problems] == [("hit",)]
        assert [problem.paths for problem in after.problems] == [("hit",)]
        assert "set aside" in after.problems[0].what
        assert read(workspace, data, "good") == b"good" * 100
        with pytest.raises(Damaged, match="'hit'"):
            read(workspace, data, "hit")


def test_pushing_the_same_files_again_heals_what_was_set_aside(workspace: Workspace, source: Path) -> None:
    with workspace:
        data = workspace.push(source).id
        pack = flip_in_pack(workspace, b"hit!")
        workspace.fsck(deep=True, repair=True)
        assert not pack.exists()

        workspace.push(source)

        assert workspace.fsck(deep=True).clean
        assert read(workspace, data, "hit") == b"hit!" * 100


def test_gc_deletes_what_was_set_aside_only_after_it_was_healed(workspace: Workspace, source: Path) -> None:
    with workspace:
        data = workspace.push(source).id
        flip_in_pack(workspace, b"hit!")
        workspace.fsck(deep=True, repair=True)

        assert workspace.gc(grace_seconds=0).objects == ()
        assert read(workspace, data, "good") == b"good" * 100
        workspace.push(source)
        collected = workspace.gc(grace_seconds=0)

        assert [key.partition("/")[0] for key in collected.objects] == ["damaged"]
        assert not any(path.is_file() for path in Path(workspace.url, "damaged").rglob("*"))
        assert workspace.fsck(deep=True).clean
        assert read(workspace, data, "hit") == b"hit!" * 100


def test_a_deep_check_names_imported_files_that_changed(workspace: Workspace, source: Path) -> None:
    with workspace:
        data = workspace.import_(source.as_uri()).id
        assert workspace.fsck(deep=True).clean

        (source / "hit").write_bytes(b"changed" * 60)
        (source / "good").unlink()

        assert workspace.fsck().clean
        problems = workspace.fsck(deep=True).problems
        assert sorted(problem.paths for problem in problems) == [("good",), ("hit",)]
        assert all(problem.data == (data,) for problem in problems)
        assert "vanished" in problems[0].what
        assert "changed" in problems[1].what
