"""Facts for decisions: exactly what the commands ask about."""

from __future__ import annotations

from raykqi.catalog.facts import Consumer, load_facts
from raykqi.catalog.index import Index
from raykqi.domain.events import ObjectsCondemned
from raykqi.domain.tags import Tag
from tests.unit.catalog.history import data_id, fold, minute, purged, recorded, removed, run_id


def test_what_is_asked_is_known_and_what_does_not_exist_is_not(index: Index) -> None:
    fold(
        index,
        [
            recorded(1, [1, 2], tags=["split:train", "split:test", "type:image"]),
            recorded(2, [3, 4], [1, 1]),
            recorded(3, [], [1]),
            purged(2),
            removed(4),
            ObjectsCondemned(minute(1), "taro", 1, ("packs/ab/x",)),
        ],
    )
    ids = [data_id(number) for number in (1, 2, 4, 99)]

    facts = load_facts(index, data=ids, keys=["split"], consumers=[data_id(1)])

    assert facts.data.keys() == {data_id(1), data_id(2), data_id(4)}
    one = facts.data[data_id(1)]
    assert (one.project, one.status, one.run_status) == ("default", "done", "done")
    assert one.tags == {Tag("split", "train"), Tag("split", "test")}
    assert sorted(one.consumers, key=lambda consumer: consumer.run) == [
        Consumer(run_id(2), "done", frozenset({data_id(3)})),
        Consumer(run_id(3), "done", frozenset()),
    ]
    assert (facts.data[data_id(2)].status, facts.data[data_id(4)].status) == ("purged", "removed")
    assert (facts.generation, facts.condemned) == (1, frozenset({"packs/ab/x"}))


def test_nothing_asked_is_nothing_read(index: Index) -> None:
    fold(index, [recorded(1, [1], tags=["a:1"])])

    facts = load_facts(index, data=[], keys=[], consumers=[])

    assert (facts.data, facts.generation, facts.condemned) == ({}, 0, frozenset())
