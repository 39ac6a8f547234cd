"""Finding: what scripts ask for, page by page, while others push and tag."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from raykqi.domain.data import DataQuery, TagCount, TreeRef
from raykqi.domain.tags import Tag
from raykqi.engine.commands import NewOutput, RecordRun
from raykqi.errors import AmbiguousId, InvalidInput, InvalidQuery, InvalidTag, UnknownId
from raykqi.workspace import Workspace
from tests.integration.lab import Anywhere, Lab, SteppedClock


@pytest.fixture
def source(lab: Lab) -> Path:
    return lab.files("source", {"a": b"1"})


@pytest.fixture
def ws(lab: Lab, anywhere: Anywhere) -> Workspace:
    return anywhere(lab.open(clock=SteppedClock())).ws


def test_tags_are_asked_for_together_and_excluded(ws: Workspace, source: Path) -> None:
    train = ws.push(source, ["type:image", "split:train"])
    test = ws.push(source, ["type:image", "split:test"])
    ws.push(source, ["type:text", "split:train"], name=True)

    assert ws.find("type:image", "split:train") == [train]
    assert ws.find("type:image", "!split:train") == [test]
    assert ws.find("type:image", without=["split:train"]) == [test]
    assert ws.find(" type : image ", "! split:test ") == [train]
    assert [data.name for data in ws.find(name="source")] == ["source"]
    assert ws.find(f"raykqi#id:{test.id}") == [test]
    assert ws.find("type:image", limit=1) == [test]
    assert ws.find("type:image", limit=1, oldest_first=True) == [train]


def test_what_is_pushed_is_told_as_it_is_found(ws: Workspace, source: Path) -> None:
    pushed = ws.push(source, ["言語:日本語"], name=True)

    assert ws.show(pushed.id) == pushed
    assert ws.find() == [pushed]
    assert (pushed.name, pushed.creator, pushed.upstream.plan) == ("source", "tester", "raykqi#uploaded")
    assert ws.show(pushed.id[:18].upper()) == pushed
    assert ws.find(upstream_run=pushed.upstream.run[:18]) == [pushed]
    assert ws.find(id=pushed.id[:18]) == [pushed]


def test_times_without_an_offset_are_local(ws: Workspace, source: Path) -> None:
    pushed = ws.push(source)
    local = pushed.created.astimezone().replace(tzinfo=None)

    assert ws.find(since=local, until=local + timedelta(microseconds=1)) == [pushed]
    assert ws.find(until=local) == []
    assert ws.find(f"raykqi#timestamp:{local.isoformat()}") == [pushed]


def test_every_item_is_visited_once_while_others_push_and_tag(ws: Workspace, source: Path) -> None:
    for number in range(23):
        ws.push(source, ["type:image", f"number:{number}"])
    there = [data.id for data in ws.find("type:image")]
    for oldest_first, expected in ((False, there), (True, there[::-1])):
        query = DataQuery(tags=(Tag("type", "image"),), oldest_first=oldest_first)
        visited: list[str] = []
        cursor = ""
        while True:
            page = ws.page(query, limit=4, cursor=cursor)
            visited += [data.id for data in page.items]
            cursor = page.next_cursor
            if not cursor:
                break
            ws.tag(visited[0], add=[f"visited:{len(visited)}"])
            ws.tag(there[11], add=["late:yes"], remove_keys=["number"])
            ws.push(source, ["type:new"])

        assert visited == expected


def test_what_is_tagged_away_before_its_page_is_not_shown(ws: Workspace, source: Path) -> None:
    ids = [ws.push(source, ["type:image"]).id for _ in range(6)][::-1]
    query = DataQuery(tags=(Tag("type", "image"),))
    first = ws.page(query, limit=3)
    ws.tag([ids[0], ids[3]], remove=["type:image"])

    rest = ws.page(query, limit=3, cursor=first.next_cursor)

    assert [data.id for data in (*first.items, *rest.items)] == [*ids[:3], *ids[4:]]
    assert rest.next_cursor == ""


def test_more_than_a_page_is_found_whole(lab: Lab, anywhere: Anywhere) -> None:
    opened = anywhere(lab.open())
    outputs = tuple(NewOutput(f"/{number}", TreeRef("ab" * 32, 1, 1)) for number in range(1_100))
    opened.parts.controller.submit(RecordRun("tester", "made", outputs))

    assert len({data.id for data in opened.ws.find()}) == 1_100
    assert len(opened.ws.find(limit=700)) == 700
    assert opened.ws.count(DataQuery()) == 1_100


def test_removed_data_are_in_no_list_and_purged_ones_are(ws: Workspace, source: Path) -> None:
    kept, gone = ws.push(source, ["type:x"]), ws.push(source, ["type:x"])
    ws.purge(kept.id, "too big")
    ws.remove(gone.id, "a mistake")

    assert [data.id for data in ws.find("type:x")] == [kept.id]
    assert [data.id for data in ws.find("raykqi#transient:purged")] == [kept.id]
    assert ws.find("!knit#transient:purged") == []
    assert ws.find(id=gone.id) == []
    assert ws.tags() == [TagCount("type", "x", 1)]
    assert (ws.show(kept.id).status, ws.show(gone.id).status) == ("purged", "removed")


def test_short_ids_work_until_they_are_ambiguous(ws: Workspace, source: Path) -> None:
    ids = [ws.push(source).id for _ in range(3)]

    assert ws.resolve_data(ids[1][:18]) == ids[1]
    with pytest.raises(AmbiguousId) as refused:
        ws.show(ids[0][:9])
    assert refused.value.candidates == tuple(ids)
    with pytest.raises(UnknownId, match="there is no data ffff"):
        ws.show("ffff")
    with pytest.raises(InvalidInput, match="'photos' is not an id"):
        ws.show("photos")


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (lambda ws: ws.find("image"), InvalidTag),
        (lambda ws: ws.find("!image"), InvalidTag),
        (lambda ws: ws.find("knit#transient:done"), InvalidTag),
        (lambda ws: ws.find(id="photos"), InvalidInput),
        (lambda ws: ws.find(name="\ud800"), InvalidInput),
        (lambda ws: ws.find(creator="\udcff"), InvalidInput),
        (lambda ws: ws.tags(key="\ud800"), InvalidInput),
        (lambda ws: ws.tags(prefix="\ud800"), InvalidInput),
        (lambda ws: ws.tags(limit=0), InvalidQuery),
        (lambda ws: ws.find(limit=-1), InvalidQuery),
        (lambda ws: ws.find(since=datetime(1, 1, 1)), InvalidQuery),
        (lambda ws: ws.find(upstream_run="photos"), InvalidInput),
        (lambda ws: ws.page(DataQuery(), limit=0), InvalidQuery),
        (lambda ws: ws.page(DataQuery(), cursor="next"), InvalidQuery),
        (lambda ws: ws.lineage("ffff"), UnknownId),
    ],
)
def test_a_malformed_question_is_refused_and_harms_nothing(
    ws: Workspace,
    source: Path,
    question: Callable[[Workspace], object],
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pushed = ws.push(source)

    with pytest.raises(error):
        question(ws)

    assert caplog.messages == []
    assert ws.find() == [pushed]
