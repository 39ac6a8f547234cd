"""Rows for a terminal: every node, each way, in order."""

from __future__ import annotations

from raykqi.domain.lineage import Ancestries, Lineage
from raykqi.rendering.table import DifferenceRow, Row, ancestries_to_rows, to_rows
from tests.unit.rendering import samples


def outline(rows: list[Row]) -> list[str]:
    return [f"{row.direction} {'  ' * row.depth}{row.title}{' (again)' if row.again else ''}" for row in rows]


def test_the_past_and_the_future_are_indented_by_their_distance() -> None:
    assert outline(to_rows(samples.pipeline())) == [
        "start 文字認識モデル v1",
        "upstream   train-resnet",
        "upstream     訓練データ",
        "upstream       prepare",
        "upstream         手書き文字の画像",
        "upstream           raykqi#uploaded",
        "upstream         正解ラベル",
        "upstream           raykqi#uploaded",
        "upstream     resnet18.yaml",
        "upstream       raykqi#uploaded",
        "downstream   evaluate",
        "downstream     評価レポート",
        "downstream   compare-with-production",
        "downstream     type:report",
        "beside テストデータ",
        "beside type:log",
        "beside type:log",
        "beside train-resnet",
    ]


def test_a_row_tells_what_it_is_and_how_it_was_reached() -> None:
    lineage = samples.purged()

    assert to_rows(lineage)[2] == Row(
        direction="upstream",
        depth=2,
        kind="data",
        id=lineage.data[0].id,
        short="01a1f84a-95c0",
        title="customer-records",
        state="purged 2026-11-23 09:30 by 太郎",
        tags=("type:table", "contains:personal-data"),
        via="records",
    )


def test_what_is_met_twice_is_followed_once() -> None:
    b = samples.Builder()
    source = b.add_data("name:source")
    left, right, joined = b.add_data("name:left"), b.add_data("name:right"), b.add_data("name:joined")
    b.add_run("split", {"in": source}, {"left": left, "right": right})
    b.add_run("join", {"left": left, "right": right}, {"out": joined})

    assert outline(to_rows(b.lineage(joined))) == [
        "start joined",
        "upstream   join",
        "upstream     left",
        "upstream       split",
        "upstream         source",
        "upstream     right",
        "upstream       split (again)",
    ]


def test_nodes_whose_neighbours_were_left_out_are_marked() -> None:
    assert [row.title for row in to_rows(samples.cut()) if row.cut] == ["dataset-2026-11", "base-model", "quantise"]


def test_five_thousand_steps_are_no_recursion() -> None:
    rows = to_rows(samples.chain(5000))

    assert len(rows) == 10_000
    assert rows[-1].depth == 9_999


def test_a_start_that_is_not_there_leaves_all_beside() -> None:
    lineage = samples.cut()
    unknown = Lineage(("nowhere",), lineage.data, lineage.runs, lineage.edges)

    assert {row.direction for row in to_rows(unknown)} == {"beside"}


def test_text_for_a_terminal_holds_no_control_characters() -> None:
    b = samples.Builder()
    b.add_data("name:\x1b[2Jwiped", "note:two\nlines")

    (row,) = to_rows(b.lineage())

    assert (row.title, row.tags) == ("[2Jwiped", ("note:two lines",))


def test_a_difference_lists_both_sides_and_what_they_share() -> None:
    lineage = samples.purged()
    raw, features = lineage.data
    upload, anonymise = lineage.runs
    difference = Ancestries(raw.id, features.id, (), (features,), (raw,), (), (anonymise,))

    assert ancestries_to_rows(difference) == [
        DifferenceRow("right", "data", features.id, "features", "2026-11-20 09:32"),
        DifferenceRow("right", "run", anonymise.id, "anonymise", "done"),
        DifferenceRow("both", "data", raw.id, "customer-records", "purged 2026-11-23 09:30 by 太郎"),
    ]
    assert upload.status == "done"
