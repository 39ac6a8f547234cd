"""What a command tells: its progress and its last words."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.execution.beat import read_progress
from raykqi.execution.folders import folder_name
from raykqi.execution.logs import last_line


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ("0.35 epoch 7 of 20\n", (0.35, "epoch 7 of 20")),
        ("0.1\n0.2\n", (0.2, "")),
        ("40% half way\n", (0.4, "half way")),
        ("2\n", (1.0, "")),
        ("loading\n", (None, "loading")),
        ("", (None, "")),
    ],
)
def test_the_last_line_of_progress_counts(tmp_path: Path, text: str, progress: tuple[float | None, str]) -> None:
    (tmp_path / "progress").write_text(text)

    assert read_progress(tmp_path / "progress") == progress


def test_no_progress_is_no_error(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "none") == (None, "")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (b"one\ntwo\n\n", "two"),
        (b"10%\r20%\r30%", "30%"),
        (b"said\n[raykqi] left out\n", "said"),
        (b"\x1b[31mred\xff\n", "\ufffd[31mred\ufffd"),
        (b"", ""),
        (b"x" * 5000, "x" * 200),
    ],
)
def test_the_last_words_of_a_log(tmp_path: Path, log: bytes, words: str) -> None:
    (tmp_path / "log").write_bytes(log)

    assert last_line(tmp_path / "log") == words


@pytest.mark.parametrize(("name", "folder"), [("model", "model"), ("モデル", "モデル"), ("..", "3"), ("a/b", "3")])
def test_a_name_that_is_no_folder_gets_a_number(name: str, folder: str) -> None:
    assert folder_name(name, 3) == folder
