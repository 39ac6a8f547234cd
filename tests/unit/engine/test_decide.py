"""Decisions, as tables: what is known, what is asked, and the events or the refusal that come of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raykqi.catalog.facts import Consumer, DataFacts, Facts
from raykqi.domain.data import TreeRef
from raykqi.domain.events import (
    DataPurged,
    DataRemoved,
    Event,
    ObjectsCollected,
    ObjectsCondemned,
    RunInput,
    RunRecorded,
    TagsChanged,
)
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.tags import Tag
from raykqi.engine.commands import ChangeTags, Collected, Command, Condemn, NewOutput, Purge, RecordRun, Remove
from raykqi.engine.decide import consumers_needed, data_needed, decide, keys_needed
from raykqi.errors import Conflict, InUse, RaykqiError, UnknownId, UploadStale

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TREE = TreeRef("ab" * 32, 10, 1)
TRAIN, TEST, NOTE = Tag("split", "train"), Tag("split", "test"), Tag("note", "良い")


def known(**data: DataFacts) -> Facts:
    return Facts(data, generation=3, condemned=frozenset())


def done(*tags: Tag, consumers: tuple[Consumer, ...] = ()) -> DataFacts:
    return DataFacts("default", "done", "done", set(tags), list(consumers))


def decided(command: Command, facts: Facts) -> list[Event]:
    return decide(command, facts, NOW, IdMaker(SystemClock()))


def retag(
    *data: str, add: tuple[Tag, ...] = (), remove: tuple[Tag, ...] = (), keys: tuple[str, ...] = ()
) -> ChangeTags:
    return ChangeTags("hanako", data, add, remove, keys)


def upload(*inputs: RunInput, reused: frozenset[str] = frozenset(), generation: int = 3) -> RecordRun:
    return RecordRun("hanako", "raykqi#uploaded", (NewOutput("/upload", TREE, (TRAIN,)),), inputs, reused, generation)


@pytest.mark.parametrize(
    ("before", "command", "removed", "added"),
    [
        ({TRAIN}, retag("a", add=(NOTE,)), (), (NOTE,)),
        ({TRAIN}, retag("a", remove=(TRAIN,)), (TRAIN,), ()),
        ({TRAIN, TEST, NOTE}, retag("a", keys=("split",)), (TEST, TRAIN), ()),
        ({TRAIN}, retag("a", add=(TEST,), keys=("split",)), (TRAIN,), (TEST,)),
        ({TRAIN, TEST}, retag("a", add=(TRAIN,), keys=("split",)), (TEST,), ()),
        ({TRAIN}, retag("a", add=(NOTE,), remove=(TEST,)), (), (NOTE,)),
        (set(), retag("a", "a", add=(NOTE,)), (), (NOTE,)),
    ],
)
def test_tags_are_taken_off_before_others_are_added(
    before: set[Tag], command: ChangeTags, removed: tuple[Tag, ...], added: tuple[Tag, ...]
) -> None:
    facts = known(a=done(*before))

    events = decided(command, facts)

    assert events == [TagsChanged(NOW, "hanako", "a", removed, added)]
    assert facts.data["a"].tags == (before - set(removed)) | set(added)


@pytest.mark.parametrize(
    "command",
    [
        retag("a"),
        retag("a", add=(TRAIN,)),
        retag("a", remove=(TEST,)),
        retag("a", keys=("type",)),
        retag("a", add=(TRAIN,), remove=(TRAIN,)),
        retag("a", add=(TRAIN,), keys=("split",)),
    ],
)
def test_a_change_that_leaves_the_tags_as_they_are_is_no_event(command: ChangeTags) -> None:
    assert decided(command, known(a=done(TRAIN))) == []


def test_one_unknown_id_among_many_refuses_all() -> None:
    facts = known(a=done(TRAIN), gone=DataFacts("default", "removed", "done"))

    with pytest.raises(UnknownId, match="there is no data b"):
        decided(retag("a", "b", add=(NOTE,)), facts)
    with pytest.raises(UnknownId, match="there is no data gone"):
        decided(retag("a", "gone", add=(NOTE,)), facts)

    assert facts.data["a"].tags == {TRAIN}


def test_what_is_purged_already_is_not_purged_again() -> None:
    facts = known(a=done(), b=DataFacts("default", "purged", "done"))

    assert decided(Purge("taro", ("a", "b"), "too big"), facts) == [DataPurged(NOW, "taro", "a", "too big")]
    assert decided(Purge("taro", ("a", "b"), "again"), facts) == []


@pytest.mark.parametrize("command", [Purge("taro", ("a",), "why"), Remove("taro", ("a",), "why")])
def test_nothing_is_given_up_while_a_run_makes_or_uses_it(command: Purge | Remove) -> None:
    being_made = known(a=DataFacts("default", "processing", "running"))
    being_used = known(a=done(consumers=(Consumer("run-1", "starting", frozenset()),)))

    with pytest.raises(InUse, match="the run that makes it is running"):
        decided(command, being_made)
    with pytest.raises(InUse, match="run run-1 uses it and is starting"):
        decided(command, being_used)


def test_removal_waits_for_what_was_made_of_it() -> None:
    facts = known(a=done(consumers=(Consumer("run-1", "done", frozenset({"b"})),)), b=done())

    with pytest.raises(InUse, match="data a cannot be removed: b was made of it by run run-1"):
        decided(Remove("taro", ("a",), "why"), facts)

    assert facts.data["a"].status == "done"
    assert decided(Remove("taro", ("a", "b"), "why"), facts) == [
        DataRemoved(NOW, "taro", "a", "why"),
        DataRemoved(NOW, "taro", "b", "why"),
    ]


def test_what_an_earlier_command_of_the_batch_removed_no_longer_stands_in_the_way() -> None:
    facts = known(a=done(consumers=(Consumer("run-1", "done", frozenset({"b"})),)), b=done())
    decided(Remove("taro", ("b",), "first"), facts)

    assert decided(Remove("taro", ("a",), "then"), facts) == [DataRemoved(NOW, "taro", "a", "then")]
    with pytest.raises(UnknownId, match="there is no data a"):
        decided(Remove("taro", ("a",), "twice"), facts)


def test_what_an_earlier_command_of_the_batch_made_stands_in_the_way() -> None:
    facts = known(a=done())
    (event,) = decided(upload(RunInput("source", "a")), facts)
    assert isinstance(event, RunRecorded)
    (output,) = event.outputs

    with pytest.raises(InUse, match=f"{output.data} was made of it by run {event.run}"):
        decided(Remove("taro", ("a",), "why"), facts)


def test_an_upload_becomes_a_run_with_ascending_ids() -> None:
    facts = known(a=done())

    (event,) = decided(upload(RunInput("source", "a")), facts)

    assert isinstance(event, RunRecorded)
    (output,) = event.outputs
    assert (event.at, event.by, event.plan, event.project) == (NOW, "hanako", "raykqi#uploaded", "default")
    assert event.inputs == (RunInput("source", "a"),)
    assert (output.name, output.tree, output.tags) == ("/upload", TREE, (TRAIN,))
    assert event.run < output.data
    assert facts.data[output.data].tags == {TRAIN}


@pytest.mark.parametrize("status", ["purged", "done"])
def test_an_upload_may_name_data_whose_bytes_are_gone(status: str) -> None:
    facts = known(a=DataFacts("default", status, "done"))  # type: ignore[arg-type]

    assert len(decided(upload(RunInput("source", "a")), facts)) == 1


@pytest.mark.parametrize(
    ("facts", "error", "message"),
    [
        (known(), UnknownId, "there is no data a"),
        (known(a=DataFacts("default", "removed", "done")), UnknownId, "there is no data a"),
        (known(a=DataFacts("default", "failed", "failed")), InUse, "data a is failed"),
        (known(a=DataFacts("default", "processing", "running")), InUse, "data a is processing"),
    ],
)
def test_an_upload_cannot_be_made_of_what_is_not_there(facts: Facts, error: type[RaykqiError], message: str) -> None:
    with pytest.raises(error, match=message):
        decided(upload(RunInput("source", "a")), facts)


def test_an_upload_that_began_before_a_collection_is_stale() -> None:
    with pytest.raises(UploadStale):
        decided(upload(generation=2), known())


def test_an_upload_that_relies_on_condemned_objects_is_stale() -> None:
    facts = known()
    (event,) = decided(Condemn("taro", ("blobs/ab/x", "packs/cd/y")), facts)
    assert event == ObjectsCondemned(NOW, "taro", 4, ("blobs/ab/x", "packs/cd/y"))

    with pytest.raises(UploadStale):
        decided(upload(reused=frozenset({"packs/cd/y"}), generation=4), facts)
    assert len(decided(upload(reused=frozenset({"packs/cd/z"}), generation=4), facts)) == 1


def test_an_upload_that_found_an_object_before_its_deletion_is_stale_after_it() -> None:
    facts = known()
    decided(Condemn("taro", ("packs/cd/y",)), facts)
    began_meanwhile = upload(reused=frozenset({"packs/cd/y"}), generation=4)

    decided(Collected("taro", 4, 100), facts)

    with pytest.raises(UploadStale):
        decided(began_meanwhile, facts)


def test_one_collection_at_a_time() -> None:
    facts = known()
    decided(Condemn("taro", ("blobs/ab/x",)), facts)

    with pytest.raises(Conflict, match="an earlier collection has not ended"):
        decided(Condemn("taro", ("blobs/ab/z",)), facts)

    assert decided(Collected("taro", 4, 100), facts) == [ObjectsCollected(NOW, "taro", 4, 100)]
    (event,) = decided(Condemn("taro", ("blobs/ab/z",)), facts)
    assert isinstance(event, ObjectsCondemned)
    assert event.generation > 4


def test_each_command_says_which_facts_it_needs() -> None:
    needs = [
        (list(data_needed(command)), sorted(keys_needed(command)), list(consumers_needed(command)))
        for command in (
            upload(RunInput("source", "a")),
            retag("a", "b", add=(TRAIN,), remove=(NOTE,), keys=("type",)),
            Purge("taro", ("a",), "why"),
            Remove("taro", ("b",), "why"),
            Condemn("taro", ("blobs/ab/x",)),
        )
    ]

    assert needs == [
        (["a"], [], []),
        (["a", "b"], ["note", "split", "type"], []),
        (["a"], [], ["a"]),
        (["b"], [], ["b"]),
        ([], [], []),
    ]


def test_a_command_without_a_decision_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="no decision for str"):
        decide("rm -rf", known(), NOW, IdMaker(SystemClock()))
