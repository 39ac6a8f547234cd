"""What processes that were killed left is removed by whoever comes next, and nothing else is."""

from __future__ import annotations

from pathlib import Path

from raykqi.execution.claim import Claim


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_removed_by_the_next_when_its_claim_has_ended(tmp_path: Path) -> None:
    abandoned = Claim(tmp_path / "first")
    (tmp_path / "first" / "outputs").mkdir()
    (tmp_path / "first" / "outputs" / "file").write_bytes(b"1")
    abandoned.close()  # as the end of its process does

    Claim(tmp_path / "second").close()

    assert names(tmp_path) == ["second"]


def test_a_folder_that_is_claimed_stays(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "first")

    Claim(tmp_path / "second").close()

    assert names(tmp_path) == ["first", "second"]
    claim.close()


def test_what_nobody_ever_claimed_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()

    Claim(tmp_path / "ours").close()

    assert names(tmp_path) == ["ours", "theirs"]


def test_a_removal_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    (tmp_path / "gone-0011" / "outputs").mkdir(parents=True)

    Claim(tmp_path / "ours").close()

    assert names(tmp_path) == ["ours"]
