"""A lineage as an indented text."""

from __future__ import annotations

from raykqi.rendering.outline import to_text
from tests.unit.rendering.samples import cut, pipeline, purged


def test_each_direction_stands_below_its_heading() -> None:
    lines = to_text(pipeline()).splitlines()
    headings = [line for line in lines if line.endswith(":")]
    up, down, beside = (lines.index(heading) for heading in headings)

    assert headings == ["came from:", "came of it:", "beside it:"]
    assert lines[0].startswith("● 文字認識モデル v1 ")
    assert lines[1:up] == []
    assert lines[up + 1] == "  model ← ▶ train-resnet 01a1f854-a7e0 (done)"
    assert lines[up + 2].startswith("    dataset ← ● 訓練データ ")
    assert [line.split()[3] for line in lines[down + 1 : beside] if "▶" in line] == [
        "evaluate",
        "compare-with-production",
    ]
    assert [line.split()[1] for line in lines[beside + 1 :]] == ["テストデータ", "type:log", "type:log", "train-resnet"]


def test_tombstones_and_ends_are_said_in_words() -> None:
    assert "customer-records 01a1f84a-95c0 (purged 2026-11-23 09:30 by 太郎)" in to_text(purged())
    assert [line.endswith("… more beyond") for line in to_text(cut()).splitlines()] == [
        False, False, False, True, True, False, True, False, False,
    ]  # fmt: skip
