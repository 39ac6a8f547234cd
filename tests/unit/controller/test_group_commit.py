"""Commands that arrive together share an entry: each is answered for itself, and all stand or fall with the entry."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from raykqi.controller.controller import Controller
from raykqi.domain.data import TreeRef
from raykqi.domain.events import Event, RunInput, RunRecorded, TagsChanged
from raykqi.domain.tags import Tag
from raykqi.engine.commands import ChangeTags, Command, NewOutput, Purge, RecordRun, Remove
from raykqi.errors import Conflict, Fenced, InUse, StorageDenied, StorageFull, UnknownId
from raykqi.journal.log import Journal, OutcomeUnknown
from tests.unit.controller.stores import FailingStore

TREE = TreeRef("ab" * 32, 10, 1)
GOOD, SPLIT = Tag("stage", "good"), Tag("split", "train")
NOBODY = "01939c1c-0000-7000-8000-000000000000"


class SlowClock:
    """An hour behind."""

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(hours=1)


def upload(*inputs: str) -> RecordRun:
    given = tuple(RunInput(f"in{place}", data) for place, data in enumerate(inputs))
    return RecordRun("hanako", "raykqi#uploaded", (NewOutput("/upload", TREE, (SPLIT,)),), given)


def made(events: list[Event]) -> str:
    (event,) = events
    assert isinstance(event, RunRecorded)
    return event.outputs[0].data


def retag(*data: str) -> ChangeTags:
    return ChangeTags("taro", data, add=(GOOD,))


def tagged(controller: Controller, tag: Tag) -> int:
    controller.refresh()
    ((count,),) = controller.keeper.index.rows("SELECT count(*) FROM tag WHERE key = ? AND value = ?", list(tag))
    return int(count)


def together(controller: Controller, store: FailingStore, *commands: Command) -> list[Future[list[Event]]]:
    """Submit while an entry is being written, so that all of them wait and share the next one."""
    with ThreadPoolExecutor(len(commands) + 1) as pool, store.held():
        pool.submit(controller.submit, upload())
        store.wait_for_writer()
        futures = []
        for number, command in enumerate(commands, 1):
            futures.append(pool.submit(controller.submit, command))
            wait_for_queue(controller, number)
    return futures


def wait_for_queue(controller: Controller, length: int) -> None:
    deadline = time.monotonic() + 20
    while controller._jobs.qsize() < length:
        assert time.monotonic() < deadline


def test_commands_that_come_together_share_an_entry(controller: Controller, store: FailingStore) -> None:
    futures = together(controller, store, *[upload() for _ in range(20)])

    assert len({made(future.result()) for future in futures}) == 20
    entries = list(Journal(store).read())
    assert [len(entry.events) for entry in entries] == [1, 20]
    assert [event.run for event in entries[1].events] == sorted(event.run for event in entries[1].events)  # type: ignore[union-attr]


def test_a_refused_command_does_not_spoil_its_batch(controller: Controller, store: FailingStore) -> None:
    data = made(controller.submit(upload()))

    good, bad, other = together(controller, store, retag(data), retag(data, NOBODY), upload(data))

    assert [type(event) for event in good.result()] == [TagsChanged]
    with pytest.raises(UnknownId, match=f"there is no data {NOBODY}"):
        bad.result()
    assert made(other.result())
    assert tagged(controller, GOOD) == 1
    assert [len(entry.events) for entry in Journal(store).read()] == [1, 1, 2]


def test_commands_of_a_batch_see_each_other(controller: Controller, store: FailingStore) -> None:
    data = made(controller.submit(upload()))

    first, again, derived, removal = together(
        controller, store, retag(data), retag(data), upload(data), Remove("taro", (data,), "why")
    )

    assert len(first.result()) == 1
    assert again.result() == []
    with pytest.raises(InUse, match=f"{made(derived.result())} was made of it"):
        removal.result()


def test_what_changes_nothing_writes_no_entry(controller: Controller, store: FailingStore) -> None:
    data = made(controller.submit(upload()))
    controller.submit(retag(data))
    before = [entry.seq for entry in Journal(store).read()]

    assert controller.submit(retag(data)) == []
    assert len(controller.submit(Purge("taro", (data,), "why"))) == 1
    assert controller.submit(Purge("taro", (data,), "again")) == []

    assert [entry.seq for entry in Journal(store).read()] == [*before, before[-1] + 1]


def test_a_preview_says_what_would_happen_and_changes_nothing(controller: Controller, store: FailingStore) -> None:
    data = made(controller.submit(upload()))

    (event,) = controller.preview(retag(data))

    assert isinstance(event, TagsChanged)
    assert (event.data, event.added, event.by) == (data, (GOOD,), "taro")
    with pytest.raises(UnknownId):
        controller.preview(retag(NOBODY))
    assert tagged(controller, GOOD) == 0
    assert len(list(Journal(store).read())) == 1


@pytest.mark.parametrize("failure", [StorageFull("the disk is full"), StorageDenied("no permission")])
def test_when_the_entry_cannot_be_written_nothing_of_its_batch_happened(
    controller: Controller, store: FailingStore, failure: StorageFull
) -> None:
    data = made(controller.submit(upload()))
    store.failure = failure

    with pytest.raises(type(failure)):
        controller.submit(retag(data))
    with pytest.raises(type(failure)):
        controller.submit(upload())

    store.failure = None
    assert tagged(controller, GOOD) == 0
    assert controller.keeper.position.data == 1
    assert len(controller.submit(retag(data))) == 1
    assert [len(entry.events) for entry in Journal(store).read()] == [1, 1]


def test_an_unknown_outcome_is_called_so_and_the_truth_shows_later(controller: Controller, store: FailingStore) -> None:
    data = made(controller.submit(upload()))
    store.loses_answers = True

    with pytest.raises(OutcomeUnknown, match="it is unknown whether journal/"):
        controller.submit(retag(data))

    store.loses_answers = store.is_away = False
    assert tagged(controller, GOOD) == 1
    assert controller.submit(retag(data)) == []


def test_an_entry_of_another_writer_in_our_place_stops_us_and_is_seen(
    store: FailingStore, open_controller: Callable[..., Controller]
) -> None:
    ours, theirs = open_controller(), open_controller()
    data = made(ours.submit(upload()))
    theirs.refresh()
    position = theirs.keeper.position
    theirs.submit(upload())
    entry = next(entry for entry in Journal(store).read(position.seq))

    assert entry.epoch == position.epoch + 1
    assert len(ours.submit(retag(data))) == 1
    assert [entry.epoch for entry in Journal(store).read()] == [1, 2, 3]


def test_a_second_controller_of_this_process_sees_what_the_first_did(
    open_controller: Callable[..., Controller],
) -> None:
    one, other = open_controller(), open_controller()
    data = made(one.submit(upload()))

    assert len(other.submit(retag(data))) == 1
    assert tagged(one, GOOD) == 1
    assert one.submit(retag(data)) == []
    assert one.keeper.position == other.keeper.position


def test_ids_and_times_ascend_across_controllers_whose_clocks_differ(
    store: FailingStore, open_controller: Callable[..., Controller]
) -> None:
    one, other = open_controller(), open_controller(SlowClock())

    ids = [made(controller.submit(upload())) for controller in (one, other, one, other, other, one)]

    assert ids == sorted(ids)
    times = [entry.time for entry in Journal(store).read()]
    assert times == sorted(times)


def test_what_was_submitted_before_closing_is_done(controller: Controller, store: FailingStore) -> None:
    with ThreadPoolExecutor(3) as pool:
        with store.held():
            first = pool.submit(controller.submit, upload())
            store.wait_for_writer()
            second = pool.submit(controller.submit, upload())
            wait_for_queue(controller, 1)
            closing = pool.submit(controller.close)
        closing.result(20)
        assert made(first.result(20)) < made(second.result(20))
    with pytest.raises(Conflict, match="the workspace is closed"):
        controller.submit(upload())


def test_a_mistake_of_ours_in_one_batch_leaves_the_next_alone(controller: Controller) -> None:
    with pytest.raises(TypeError, match="no decision for str"):
        controller.submit("drop")  # type: ignore[arg-type]

    assert made(controller.submit(upload()))


def test_many_threads_are_each_answered_with_their_own_events(controller: Controller) -> None:
    def work(number: int) -> tuple[str, list[Event]]:
        data = made(controller.submit(upload()))
        return data, controller.submit(ChangeTags("taro", (data,), add=(Tag("number", str(number)),)))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(64)))

    for number, (data, events) in enumerate(answers):
        (event,) = events
        assert isinstance(event, TagsChanged)
        assert (event.data, event.added) == (data, (Tag("number", str(number)),))


def test_a_controller_that_was_overtaken_stops_for_good(controller: Controller, store: FailingStore) -> None:
    data = made(controller.submit(upload()))
    before = controller.keeper.position

    def overtake() -> None:
        theirs = TagsChanged(before.time, "rival", data, added=(Tag("stage", "theirs"),))
        Journal(store, writer="rival").append(
            seq=2, epoch=before.epoch + 1, time=before.time, prev=before.hash, events=[theirs]
        )

    store.before_create = overtake

    with pytest.raises(Fenced, match="rival wrote it"):
        controller.submit(retag(data))
    with pytest.raises(Fenced, match="rival wrote it"):
        controller.submit(upload())

    assert tagged(controller, GOOD) == 0
    assert tagged(controller, Tag("stage", "theirs")) == 1
