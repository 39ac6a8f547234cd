"""Private folders for uploads: gone when the upload is over, and swept when their process died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raykqi.errors import StorageFull, TooLarge
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.staging import StagingArea
from tests.unit.serve_api.archives import LIMITS


def test_a_staged_tree_is_gone_afterwards_whatever_modes_it_has(tmp_path: Path) -> None:
    area = StagingArea(tmp_path / "staging", LIMITS)

    with pytest.raises(ZeroDivisionError), area.tree() as tree:
        tree.add_folder("locked", 0)
        tree.begin_file("locked/file", 0)
        tree.write(b"x")
        tree.end_file()
        tree.finish()
        assert (tree.folder / "locked/file").read_bytes() == b"x"
        assert os.stat(tree.folder).st_mode & 0o777 == 0o700
        _ = 1 / 0

    assert list((tmp_path / "staging").iterdir()) == []


def test_what_was_announced_must_be_allowed_and_find_room(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        StagingArea(tmp_path, UploadLimits(bytes=100, reserve=0)).open(101)
    with pytest.raises(StorageFull):
        StagingArea(tmp_path, UploadLimits(bytes=1 << 62, reserve=0)).open(1 << 61)

    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_dead_processes_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    area = StagingArea(tmp_path, LIMITS)
    died = """
import sys
from pathlib import Path
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.staging import StagingArea
tree = StagingArea(Path(sys.argv[1]), UploadLimits(reserve=0)).open()
tree.add_folder("locked", 0)
tree.finish()
"""
    subprocess.run([sys.executable, "-c", died, str(tmp_path)], check=True)
    mine = area.open()

    assert area.sweep() == 1
    assert [path.name for path in tmp_path.iterdir()] == [mine.folder.name]
    area.remove(mine)
    assert area.sweep() == 0
