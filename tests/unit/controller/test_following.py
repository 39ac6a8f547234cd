"""What is written by way of a follower: done once, readable at once, and refused in the words of the controller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from raykqi.catalog import queries
from raykqi.catalog.index import Index
from raykqi.controller.controller import Controller
from raykqi.controller.enveloping import Enveloping
from raykqi.controller.following import FollowingController
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.controller.receiving import Receiver
from raykqi.domain.etag import etag_of
from raykqi.domain.events import RequestAnswered, RunRecorded, TagsChanged
from raykqi.domain.ids import SystemClock
from raykqi.domain.tags import Tag
from raykqi.engine.commands import ChangeTags, Envelope, Remove
from raykqi.errors import (
    AmbiguousId,
    Conflict,
    InvalidInput,
    PreconditionFailed,
    ServerUnavailable,
    UnknownId,
    VersionMismatch,
)
from raykqi.journal.log import Journal
from tests.unit.controller.links import Link
from tests.unit.controller.stores import FailingStore
from tests.unit.controller.test_group_commit import GOOD, NOBODY, made, retag, upload

Follow = Callable[..., FollowingController]


@pytest.fixture
def link(controller: Controller) -> Link:
    return Link(Receiver(controller))


@pytest.fixture
def follow(store: FailingStore, link: Link) -> Iterator[Follow]:
    opened: list[FollowingController] = []

    def make(**options: float) -> FollowingController:
        keeper = IndexKeeper(store, Journal(store), Index(None, "test"))
        made = FollowingController(keeper=keeper, remote=link, clock=SystemClock(), freshness=3600.0, **options)  # type: ignore[arg-type]
        opened.append(made)
        return made

    yield make
    link.open.set()
    for each in opened:
        each.close()
        each.keeper.index.close()


def recorded(store: FailingStore) -> int:
    return sum(isinstance(event, RunRecorded) for entry in Journal(store).read() for event in entry.events)


def test_who_has_written_reads_what_was_written(follow: Follow) -> None:
    follower = follow()

    data = made(follower.submit(upload()))
    (change,) = follower.submit(retag(data))

    assert isinstance(change, TagsChanged)
    assert GOOD in queries.get_data(follower.keeper.index, [data])[0].tags


def test_what_comes_together_travels_together_and_shares_entries(
    follow: Follow, link: Link, store: FailingStore
) -> None:
    follower = follow()

    with ThreadPoolExecutor(1) as pool:
        link.open.clear()
        futures = [follower.submit_later(upload()) for _ in range(600)]
        pool.submit(link.open.set)
        assert len({made(future.result()) for future in futures}) == 600

    assert link.calls < 20
    assert len(list(Journal(store).read())) < 20


def test_an_error_comes_back_as_what_it_was(follow: Follow) -> None:
    with pytest.raises(UnknownId, match="there is no data 01939c1c") as raised:
        follow().submit(retag(NOBODY))

    assert raised.value.hint == "`raykqi data find` lists what there is."


def test_a_preview_asks_nobody(follow: Follow, link: Link) -> None:
    follower = follow()
    data = made(follower.submit(upload()))
    link.receiver = None

    (change,) = follower.preview(retag(data))

    assert isinstance(change, TagsChanged)
    assert queries.get_data(follower.keeper.index, [data])[0].tags == (Tag("split", "train"),)


def test_what_was_done_is_not_done_again_when_the_answer_was_lost(
    follow: Follow, link: Link, store: FailingStore
) -> None:
    link.lost_answers = 2

    data = made(follow().submit(upload()))

    assert link.calls == 3
    assert recorded(store) == 1
    assert next(iter(Journal(store).read())).events[0].outputs[0].data == data  # type: ignore[union-attr]


def test_a_later_controller_knows_what_an_earlier_one_has_answered(
    follow: Follow, link: Link, store: FailingStore, controller: Controller, open_controller: Callable[..., Controller]
) -> None:
    command = Envelope(upload(), "key-1", "as sent")
    first = made(controller.submit(command))
    controller.submit(upload())
    link.receiver = Receiver(open_controller())
    follower = follow()

    assert made(follower.submit(command)) == first
    assert recorded(store) == 2
    with pytest.raises(Conflict, match="'key-1' was used for another request"):
        follower.submit(Envelope(upload(), "key-1", "otherwise"))


def test_the_same_key_twice_in_one_batch_is_one_request(follow: Follow, link: Link, store: FailingStore) -> None:
    follower = follow()
    link.open.clear()
    futures = [follower.submit_later(Envelope(upload(), "key-1")) for _ in range(5)]
    link.open.set()

    assert len({made(future.result()) for future in futures}) == 1
    assert recorded(store) == 1
    told = [event for entry in Journal(store).read() for event in entry.events if isinstance(event, RequestAnswered)]
    assert [(event.key, event.entry, event.count) for event in told] == [("key-1", 1, 1)]


def test_a_key_is_that_of_its_user(controller: Controller, store: FailingStore) -> None:
    from msgspec.structs import replace

    first = made(controller.submit(Envelope(upload(), "key-1")))
    other = made(controller.submit(Envelope(replace(upload(), by="taro"), "key-1")))

    assert first != other


def test_a_refused_request_may_be_made_again_with_its_key(follow: Follow) -> None:
    follower = follow()
    with pytest.raises(UnknownId):
        follower.submit(Envelope(Remove("hanako", (NOBODY,), "unused"), "key-1"))

    data = made(follower.submit(upload()))

    assert len(follower.submit(Envelope(Remove("hanako", (data,), "unused"), "key-1"))) == 1


def test_commands_wait_for_a_controller_that_comes_back(follow: Follow, link: Link, store: FailingStore) -> None:
    follower = follow()
    there, link.receiver = link.receiver, None
    futures = [follower.submit_later(upload()) for _ in range(3)]
    deadline = time.monotonic() + 20
    while link.calls < 3:
        assert time.monotonic() < deadline

    link.receiver = there

    assert len({made(future.result(20)) for future in futures}) == 3
    assert recorded(store) == 3


def test_after_their_time_they_are_given_up_and_say_what_to_do(follow: Follow, link: Link) -> None:
    follower = follow(patience=0.3)
    link.receiver = None

    with pytest.raises(ServerUnavailable, match="did not answer within") as raised:
        follower.submit(upload())

    assert "look before you try again" in raised.value.hint


def test_a_call_that_hangs_does_not_keep_others_waiting(follow: Follow, link: Link) -> None:
    follower = follow(patience=0.5)
    link.open.clear()
    hanging = [follower.submit_later(upload()) for _ in range(4)]
    for future in hanging:
        assert isinstance(future.exception(20), ServerUnavailable)

    link.open.set()

    assert made(follower.submit(upload()))


def test_no_more_wait_than_memory_is_meant_for(follow: Follow, link: Link) -> None:
    follower = follow(most=3, patience=0.5)
    link.open.clear()
    waiting = [follower.submit_later(upload()) for _ in range(3)]

    with pytest.raises(ServerUnavailable, match="3 commands wait for the controller already"):
        follower.submit_later(upload())

    assert all(isinstance(future.exception(20), ServerUnavailable) for future in waiting)


def test_a_controller_that_is_being_closed_asks_for_patience(
    follow: Follow, link: Link, controller: Controller
) -> None:
    assert link.receiver is not None
    link.receiver.close()
    follower = follow(patience=20.0)
    future = follower.submit_later(upload())
    deadline = time.monotonic() + 20
    while link.calls < 2:
        assert time.monotonic() < deadline

    link.receiver = Receiver(controller)

    assert made(future.result(20))


def test_what_cannot_be_read_is_refused_as_another_version(controller: Controller) -> None:
    from raykqi.controller.parcels import unpack_answers

    with pytest.raises(VersionMismatch, match="a command cannot be read"):
        unpack_answers(Receiver(controller).commit(b"\xc1"))


def test_candidates_of_an_ambiguous_id_come_along() -> None:
    from raykqi.domain.failure import error_of, failure_of

    error = error_of(failure_of(AmbiguousId("two begin so", candidates=("a1", "a2"), hint="Give more.")))

    assert isinstance(error, AmbiguousId)
    assert (error.candidates, error.hint) == (("a1", "a2"), "Give more.")


def test_errors_that_are_not_ours_keep_their_words_to_themselves() -> None:
    from raykqi.domain.failure import failure_of

    assert failure_of(KeyError("secret")).message == "the controller failed: KeyError"


def test_a_closed_one_takes_nothing(follow: Follow) -> None:
    follower = follow()
    follower.close()

    with pytest.raises(Conflict, match="is closed"):
        follower.submit(upload())


def test_a_request_without_a_key_leaves_no_hash_of_itself(follow: Follow, store: FailingStore) -> None:
    follower = follow()
    data = made(follower.submit(upload()))
    seen = etag_of(queries.get_data(follower.keeper.index, [data])[0])

    Enveloping(follower, key="", fingerprint="of a password", expect=seen).submit(retag(data))

    (answered,) = (event for event in list(Journal(store).read())[-1].events if isinstance(event, RequestAnswered))
    assert answered.fingerprint == ""


def test_a_change_is_made_only_to_what_was_read(follow: Follow, store: FailingStore) -> None:
    follower = follow()
    data = made(follower.submit(upload()))
    seen = etag_of(queries.get_data(follower.keeper.index, [data])[0])
    first, second = Envelope(retag(data), "first", expect=seen), Envelope(retag(data), "second", expect=seen)

    assert len(follower.submit(first)) == 1
    with pytest.raises(PreconditionFailed, match="it was changed since it was read"):
        follower.submit(second)

    assert len(follower.submit(first)) == 1, "sent again, it is still the same request"
    assert recorded(store) == 1


def test_of_changes_at_one_moment_that_expect_the_same_one_is_made(follow: Follow) -> None:
    follower = follow()
    data = made(follower.submit(upload()))
    seen = etag_of(queries.get_data(follower.keeper.index, [data])[0])
    tags = [Tag("taken-by", str(number)) for number in range(8)]

    futures = [follower.submit_later(Envelope(ChangeTags("taro", (data,), add=(tag,)), expect=seen)) for tag in tags]

    errors = [future.exception(20) for future in futures]
    assert sum(error is None for error in errors) == 1
    assert sum(isinstance(error, PreconditionFailed) for error in errors) == 7


def test_an_etag_is_that_of_one_thing(follow: Follow) -> None:
    follower = follow()
    both = tuple(made(follower.submit(upload())) for _ in range(2))

    with pytest.raises(InvalidInput, match="2 data have no ETag together"):
        follower.submit(Envelope(retag(*both), expect="abc"))
    with pytest.raises(InvalidInput, match="RecordRun changes nothing that has an ETag"):
        follower.submit(Envelope(upload(), expect="abc"))
