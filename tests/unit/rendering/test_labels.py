"""What a reader is told about a node."""

from __future__ import annotations

import msgspec
import pytest

from raykqi.domain.lineage import Lineage
from raykqi.rendering.labels import other_tags, short_ids, show_size, title_of
from tests.unit.rendering.samples import Builder


def test_short_ids_are_the_shortest_beginnings_that_differ() -> None:
    b = Builder()
    b.add_data()
    (node,) = b.data
    ids = (
        "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33",
        "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2fff",
        "01939c1c-7d1f-7b0a-9f41-0d9a6c1e2f33",
        "01939c1c-7d20-7000-8000-000000000000",
    )
    lineage = Lineage((), tuple(msgspec.structs.replace(node, id=name) for name in ids), (), ())

    assert short_ids(lineage) == {
        ids[0]: "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f3",
        ids[1]: "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2ff",
        ids[2]: "01939c1c-7d1f",
        ids[3]: "01939c1c-7d20",
    }


@pytest.mark.parametrize(
    ("tags", "title", "others"),
    [
        (("type:model", "name:最良"), "最良", ["type:model"]),
        (("name:a", "name:b"), "a", ["name:b"]),
        (("type:log", "step:1"), "type:log", ["step:1"]),
        (("name: ", "type:log"), "type:log", ["name: "]),
        ((), "(no tags)", []),
    ],
)
def test_the_title_is_the_name_or_the_first_tag(tags: tuple[str, ...], title: str, others: list[str]) -> None:
    b = Builder()
    b.add_data(*tags)
    (node,) = b.data

    assert title_of(node) == title
    assert [str(tag) for tag in other_tags(node)] == others


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 * 1024, "1.5 MiB"), (2**60, "1024.0 PiB")],
)
def test_sizes_are_told_in_binary_units(size: int, shown: str) -> None:
    assert show_size(size) == shown
