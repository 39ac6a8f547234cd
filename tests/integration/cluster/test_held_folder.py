"""The folder of a Ray of our own, with its token: it does not outlive whoever holds it for long."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from raykqi.cluster.held_folder import held_folder
from tests.integration.processes import Child, Says


def hold(says: Says, parent: Path) -> None:
    with held_folder(parent) as folder:
        (folder / "token").write_text("secret", encoding="utf-8")
        says(str(folder))
        threading.Event().wait()


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_is_held_is_not(tmp_path: Path) -> None:
    killed, living = Child(hold, tmp_path), Child(hold, tmp_path)
    abandoned, held = Path(killed.next()), Path(living.next())
    killed.kill()
    try:
        with held_folder(tmp_path, young=0.0) as own:
            assert not abandoned.exists()
            assert (held / "token").exists()
            assert own.stat().st_mode & 0o777 == 0o700
        assert not own.exists()
    finally:
        killed.close()
        living.close()


def test_what_is_young_or_another_kind_of_folder_is_left_alone(tmp_path: Path) -> None:
    child = Child(hold, tmp_path)
    young = Path(child.next())
    child.kill()
    child.close()
    (other := tmp_path / "raykqi-ray-notes").mkdir()
    os.utime(other, (0, 0))
    (link := tmp_path / "raykqi-ray-link").symlink_to(young)

    with held_folder(tmp_path):
        assert (young / "token").exists()
        assert other.exists()
    with held_folder(tmp_path, young=0.0):
        assert not young.exists()
        assert link.is_symlink()
