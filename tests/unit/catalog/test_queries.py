"""Questions about data, on indexes of a few rows each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.catalog.index import Index
from raykqi.catalog.queries import (
    MAX_PAGE,
    count_data,
    find_data,
    get_data,
    list_tags,
    live_trees,
    resolve_data,
    resolve_node,
)
from raykqi.domain.data import DataQuery, TagCount
from raykqi.domain.events import Event
from raykqi.domain.tags import parse_query_tag
from raykqi.errors import AmbiguousId, InvalidInput, InvalidQuery, InvalidTag, UnknownId
from tests.unit.catalog.history import data_id, fold, minute, purged, recorded, removed, retagged, run_id


def numbers(index: Index, query: DataQuery, **paging: object) -> list[int]:
    found = find_data(index, query, **paging).items  # type: ignore[arg-type]
    assert count_data(index, query) == len(found)
    return [int(data.id[-12:], 16) for data in found]


def asked(*tags: str, without: tuple[str, ...] = (), **more: object) -> DataQuery:
    return DataQuery(
        tags=tuple(map(parse_query_tag, tags)),
        without=tuple(map(parse_query_tag, without)),
        **more,  # type: ignore[arg-type]
    )


# 1, 2 and 3 were pushed; 4 was made of 1; 5 was made of 4 and then purged; 6 was removed.
FIVE: list[Event] = [
    recorded(1, [1], tags=["type:image", "split:train", "name:a"], at=0, size=100),
    recorded(2, [2], tags=["type:image", "split:test", "name:b"], at=1, by="taro", size=200),
    recorded(3, [3], tags=["type:text", "言語:日本語"], at=2, size=300),
    recorded(4, [4], [1], tags=["type:model"], at=3, size=400),
    recorded(5, [5], [4], tags=["type:model", "stage:prod"], at=4.0010001, size=500),
    recorded(6, [6], tags=["type:image", "name:a"], at=5, size=600),
    purged(5, at=6),
    removed(6, at=7),
]


@pytest.fixture(scope="module")
def five() -> Iterator[Index]:
    made = Index(None, "test")
    fold(made, FIVE)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (asked(), [5, 4, 3, 2, 1]),
        (asked(oldest_first=True), [1, 2, 3, 4, 5]),
        (asked("type:image"), [2, 1]),
        (asked("type:image", "split:train"), [1]),
        (asked("type:image", "split:dev"), []),
        (asked("type:image", without=("split:train",)), [2]),
        (asked(without=("type:image", "type:model")), [3]),
        (asked("言語:日本語"), [3]),
        (asked("type:"), []),
        (asked(name="a"), [1]),
        (asked(name="b", creator="taro"), [2]),
        (asked(creator="hanako"), [5, 4, 3, 1]),
        (asked(min_size=200, max_size=400), [4, 3, 2]),
        (asked(min_size=501), []),
        (asked(min_size=10**40), []),
        (asked(max_size=10**40), [5, 4, 3, 2, 1]),
        (asked(max_size=-(10**40)), []),
        (asked(since=minute(1), until=minute(3)), [3, 2]),
        (asked(since=minute(5)), []),
        (asked(upstream_run=run_id(4)), [4]),
        (asked(upstream_run=run_id(99)), []),
        (asked(id_prefix=data_id(3)), [3]),
        (asked(id_prefix="01939C1C"), [5, 4, 3, 2, 1]),
        (asked(id_prefix="01939c1c7"), []),
        (asked(id_prefix="f"), []),
        (asked(project="other"), []),
        (asked("raykqi#transient:purged"), [5]),
        (asked("raykqi#transient:processing"), []),
        (asked(without=("knit#transient:purged",)), [4, 3, 2, 1]),
        (asked(f"raykqi#id:{data_id(2).upper()}"), [2]),
        (asked(without=(f"knit#id:{data_id(2)}",)), [5, 4, 3, 1]),
        (asked("raykqi#timestamp:2026-11-20T09:31:00Z"), [2]),
        (asked("raykqi#timestamp:2026-11-20T18:34:00.060+09:00"), [5]),
        (asked("raykqi#timestamp:2026-11-20T09:34:00.0609Z"), [5]),
        (asked("raykqi#timestamp:2026-11-20T09:34:00.061Z"), []),
        (asked(without=("raykqi#timestamp:2026-11-20T09:31:00Z",)), [5, 4, 3, 1]),
    ],
)
def test_every_condition_holds_for_what_is_found(five: Index, query: DataQuery, expected: list[int]) -> None:
    assert numbers(five, query) == expected


def test_what_is_found_is_told_whole(five: Index) -> None:
    (data,) = find_data(five, asked(name="b")).items

    assert (data.id, data.project, data.status, data.creator) == (data_id(2), "default", "done", "taro")
    assert (data.created, data.timestamp) == (minute(1), minute(1))
    assert (data.tree.hash, data.tree.size, data.tree.files) == (f"{2:064x}", 200, 1)
    assert (data.upstream.run, data.upstream.plan, data.upstream.output) == (run_id(2), "train", "out0")
    assert [str(tag) for tag in data.tags] == ["name:b", "split:test", "type:image"]


def test_what_was_tagged_anew_is_found_by_its_new_tags_alone(index: Index) -> None:
    fold(index, FIVE)
    fold(index, [retagged(1, removed=["split:train"], added=["split:dev"]), retagged(3, added=["split:train"])])

    assert numbers(index, asked("split:train")) == [3]
    assert numbers(index, asked("split:dev", "type:image")) == [1]
    assert numbers(index, asked(without=("split:train", "type:model"))) == [2, 1]


def test_another_tag_of_the_same_hash_is_not_found(index: Index) -> None:
    fold(index, FIVE)
    with index.transaction() as connection:
        connection.execute("INSERT INTO posting VALUES (hash('type', 'image'), 3), (hash('name', 'a'), 3)")

    assert [data.id for data in find_data(index, asked("type:image")).items] == [data_id(2), data_id(1)]
    assert [data.id for data in find_data(index, asked(name="a")).items] == [data_id(1)]
    pages = [find_data(index, asked("type:image"), limit=1)]
    while pages[-1].next_cursor:
        pages.append(find_data(index, asked("type:image"), limit=1, cursor=pages[-1].next_cursor))
    assert [[data.id for data in page.items] for page in pages] == [[], [data_id(2)], [data_id(1)]]


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
def test_a_page_has_one_to_a_thousand_items(five: Index, limit: int) -> None:
    with pytest.raises(InvalidQuery, match=f"a page of {limit} is not possible"):
        find_data(five, asked(), limit=limit)

    assert len(find_data(five, asked(), limit=MAX_PAGE).items) == 5


def test_a_page_that_ends_with_the_last_item_has_no_cursor(five: Index) -> None:
    assert find_data(five, asked(), limit=5).next_cursor == ""
    assert find_data(five, asked(), limit=4).next_cursor == data_id(2)


@pytest.mark.parametrize("cursor", ["2", "next", data_id(1).upper(), "'; DROP TABLE data; --"])
def test_a_cursor_that_no_page_gave_is_refused(five: Index, cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="is no cursor"):
        find_data(five, asked(), cursor=cursor)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (DataQuery(upstream_run="01939c1c"), InvalidQuery),
        (DataQuery(id_prefix="photos"), InvalidInput),
        (DataQuery(tags=(parse_query_tag("type:x")._replace(key="raykqi#timestamp"),)), InvalidTag),
    ],
)
def test_a_malformed_condition_is_refused_before_the_index_is_asked(
    five: Index, query: DataQuery, error: type[InvalidInput]
) -> None:
    with pytest.raises(error):
        find_data(five, query)
    with pytest.raises(error):
        count_data(five, query)


def test_data_are_given_in_the_order_asked_for_even_when_removed(five: Index) -> None:
    found = get_data(five, [data_id(6), data_id(1), data_id(5)])

    assert [(data.id, data.status) for data in found] == [
        (data_id(6), "removed"),
        (data_id(1), "done"),
        (data_id(5), "purged"),
    ]
    with pytest.raises(UnknownId, match=f"there is no data {data_id(9)}"):
        get_data(five, [data_id(1), data_id(9)])


def test_a_prefix_stands_for_the_one_id_that_begins_with_it(index: Index) -> None:
    fold(index, [recorded(1, [0x10]), recorded(2, [0x11]), recorded(3, [0x11 << 40])])

    assert resolve_data(index, data_id(0x10)) == data_id(0x10)
    assert resolve_data(index, "01939C1C-0000-7000-8000-11") == data_id(0x11 << 40)
    with pytest.raises(AmbiguousId) as refused:
        resolve_data(index, "01939c1c-0000-7000-8000-00")
    assert refused.value.candidates == (data_id(0x10), data_id(0x11))
    assert refused.value.message.endswith(f"begins several ids: {data_id(0x10)}, {data_id(0x11)}")


def test_of_many_candidates_the_first_ten_are_listed(index: Index) -> None:
    fold(index, [recorded(1, range(1, 20))])

    with pytest.raises(AmbiguousId, match=r"0a and more\n") as refused:
        resolve_data(index, "01939")

    assert refused.value.candidates == tuple(data_id(number) for number in range(1, 11))


def test_removed_data_are_resolved_only_when_asked_for(five: Index) -> None:
    assert resolve_data(five, data_id(6), removed=True) == data_id(6)
    assert resolve_node(five, data_id(6)) == data_id(6)
    with pytest.raises(UnknownId, match="there is no data"):
        resolve_data(five, data_id(6))


def test_a_node_is_data_or_run_and_a_prefix_may_mean_both(five: Index) -> None:
    assert resolve_node(five, run_id(4)) == run_id(4)
    with pytest.raises(UnknownId, match="there is no data "):
        resolve_data(five, run_id(4))
    with pytest.raises(AmbiguousId):
        resolve_node(five, "01939c1c-0000-7000")


@pytest.mark.parametrize("prefix", ["ffffffff", "01939c1c--", data_id(77)])
def test_what_begins_no_id_is_unknown(five: Index, prefix: str) -> None:
    with pytest.raises(UnknownId, match="there is no data or run"):
        resolve_node(five, prefix)


def test_ids_of_another_project_are_unknown(five: Index) -> None:
    with pytest.raises(UnknownId):
        resolve_data(five, data_id(1), project="other")


def test_tags_are_counted_on_what_was_not_removed(five: Index) -> None:
    assert list_tags(five) == [
        TagCount("type", "image", 2),
        TagCount("type", "model", 2),
        TagCount("name", "a", 1),
        TagCount("name", "b", 1),
        TagCount("split", "test", 1),
        TagCount("split", "train", 1),
        TagCount("stage", "prod", 1),
        TagCount("type", "text", 1),
        TagCount("言語", "日本語", 1),
    ]
    assert list_tags(five, key="split") == [TagCount("split", "test", 1), TagCount("split", "train", 1)]
    assert list_tags(five, prefix="type:m") == [TagCount("type", "model", 2)]
    assert list_tags(five, prefix="%") == []
    assert list_tags(five, limit=1) == [TagCount("type", "image", 2)]
    assert list_tags(five, project="other") == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_list_of_no_tags_is_refused(five: Index, limit: int) -> None:
    with pytest.raises(InvalidQuery, match=f"a list of {limit} tags is not possible"):
        list_tags(five, limit=limit)


def test_the_bytes_of_what_was_given_up_are_not_kept(index: Index) -> None:
    fold(index, FIVE)
    fold(index, [recorded(7, [7])])

    assert live_trees(index) == {f"{number:064x}" for number in (1, 2, 3, 4, 7)}
    assert live_trees(index, after=6) == {f"{7:064x}"}
