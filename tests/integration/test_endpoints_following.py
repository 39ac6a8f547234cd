"""Endpoints that follow tags: which data they take up, when, and when not. No Ray."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from raykqi.controller.reactions import quick_reactions
from raykqi.domain.events import RunOutput, RunRecorded
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag, parse_tags
from raykqi.errors import InUse
from tests.integration.lab import Lab
from tests.integration.runs.bench import SOON, Bench
from tests.integration.shop import BY, PROD, Shop, shop

__all__ = ["shop"]  # the fixture


def test_the_newest_data_with_the_tags_is_taken_up_when_it_is_pushed(shop: Shop) -> None:
    shop.model("type:model")
    first = shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    assert shop.states() == [(first.id, "loading")]

    shop.move(1, "loading", "live")
    second = shop.model(*PROD, "note:x")
    shop.model("type:model", "stage:test")

    assert shop.states() == [(first.id, "live"), (second.id, "loading")]
    found = shop.ws.endpoint("digits")
    assert found.followed == second.id
    assert [each.cause for each in found.revisions] == [
        Cause("user", "tester", first.id, (Tag("stage", "prod"), Tag("type", "model"))),
        Cause("data", "tester", second.id),
    ]


def test_an_endpoint_may_be_there_before_its_first_model(shop: Shop) -> None:
    assert shop.ws.deploy("digits", tags=PROD).revisions == ()

    model = shop.model(*PROD)

    assert shop.states() == [(model.id, "loading")]


def test_a_model_is_promoted_by_a_tag_and_says_who_has_tagged_it(shop: Shop) -> None:
    first, second = shop.model(*PROD), shop.model("type:model")
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")

    shop.ws.acting(user="aya", project="default").tag(second, add=["stage:prod"])

    revision = shop.ws.endpoint("digits").revisions[1]
    assert (revision.data, revision.by) == (second.id, "aya")
    assert revision.cause == Cause("tags", "aya", second.id, (Tag("stage", "prod"),))
    assert first.id != second.id


@pytest.mark.parametrize("way", ["untag", "purge", "remove"])
def test_without_the_new_model_the_one_before_comes_back_under_its_number(shop: Shop, way: str) -> None:
    first = shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")
    second = shop.model(*PROD)
    shop.move(2, "loading", "live")
    assert shop.states() == [(first.id, "retired"), (second.id, "live")]
    if way == "untag":
        shop.ws.tag(second, remove=["stage:prod"])
    else:
        shop.move(2, "live", "withdrawn")
        {"purge": shop.ws.purge, "remove": shop.ws.remove}[way](second, "bad")

    assert shop.states()[0] == (first.id, "loading")
    assert shop.ws.endpoint("digits").followed == first.id


def test_a_model_that_was_taken_back_is_not_tried_again_until_a_newer_one_comes(shop: Shop) -> None:
    shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")
    second = shop.model(*PROD)
    shop.move(2, "loading", "withdrawn", reason="too many errors")

    shop.ws.tag(second, add=["note:looked-at"])
    shop.ws.change_endpoint("digits", replicas=2)
    shop.ws.deploy("digits", tags=PROD, replicas=2)
    assert [status for _, status in shop.states()] == ["live", "withdrawn"]

    shop.model(*PROD)
    assert [status for _, status in shop.states()] == ["live", "withdrawn", "loading"]


def test_when_no_data_matches_any_more_nothing_changes(shop: Shop) -> None:
    model = shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")

    shop.ws.tag(model, remove=["stage:prod"])

    assert shop.states() == [(model.id, "live")]


def test_of_many_models_in_one_call_the_newest_is_taken_up(shop: Shop) -> None:
    shop.ws.deploy("digits", tags=PROD)
    models = [shop.model("type:model") for _ in range(3)]

    shop.ws.tag(models, add=["stage:prod"])

    assert shop.states() == [(models[2].id, "loading")]


def test_data_of_another_project_is_not_followed(shop: Shop) -> None:
    shop.ws.create_project("lab-2")
    shop.ws.deploy("digits", tags=PROD)

    shop.model(*PROD, ws=shop.ws.acting(user="jiro", project="lab-2"))

    assert shop.states() == []


def test_what_a_run_makes_is_taken_up_when_the_run_is_done(lab: Lab) -> None:
    bench = Bench(lab)
    ws = bench.ws
    ws.deploy("digits", tags=PROD)
    bench.plan("echo weights > {outputs.model}/model.onnx", outputs={"/out/model": PROD})
    bench.push("a:1")
    bench.serve()
    (run,) = ws.wait(ws.runs(), timeout=SOON)

    (revision,) = ws.endpoint("digits").revisions
    assert revision.data == next(output.data for output in run.outputs if output.name != "(log)")
    assert revision.cause == Cause("data", BY, revision.data)
    with pytest.raises(InUse, match="model of the endpoint digits"):
        ws.remove_runs(run)
    with pytest.raises(InUse, match="model of the endpoint digits"):
        ws.retry(run)
    bench.close()


def test_an_endpoint_that_was_rolled_back_follows_again_when_told(shop: Shop) -> None:
    first = shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")
    second = shop.model(*PROD)
    shop.move(2, "loading", "live")

    pinned = shop.ws.rollback("digits", first.id[:20], "wrong on sevens")
    assert pinned.is_pinned
    assert shop.states() == [(first.id, "loading"), (second.id, "live")]
    shop.move(1, "loading", "live")
    third = shop.model(*PROD)
    assert shop.states() == [(first.id, "live"), (second.id, "retired")]

    assert not shop.ws.follow_tags("digits").is_pinned
    assert shop.states()[2] == (third.id, "loading")


def test_a_rolled_back_endpoint_takes_up_the_same_newest_model_when_it_follows_again(shop: Shop) -> None:
    shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")
    shop.model(*PROD)
    shop.move(2, "loading", "live")
    shop.ws.rollback("digits")
    shop.move(1, "loading", "live")

    shop.ws.follow_tags("digits")

    assert [status for _, status in shop.states()] == ["live", "loading"]


def test_a_paused_endpoint_still_follows(shop: Shop) -> None:
    shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    paused = shop.ws.pause("digits", "bad data")
    assert (paused.is_paused, paused.reason) == (True, "bad data")

    model = shop.model(*PROD)

    assert shop.states()[1] == (model.id, "loading")
    assert not shop.ws.resume("digits").is_paused


def test_other_ways_to_load_the_same_model_are_revisions_of_their_own(shop: Shop) -> None:
    model = shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")

    shop.ws.change_endpoint("digits", predictor="model.py:Model")
    assert shop.states() == [(model.id, "live"), (model.id, "loading")]
    shop.move(2, "loading", "live")

    shop.ws.change_endpoint("digits", predictor="")
    assert shop.states() == [(model.id, "loading"), (model.id, "live")]


def test_another_binding_takes_up_what_it_names(shop: Shop) -> None:
    model, other = shop.model(*PROD), shop.model("type:model")
    shop.ws.deploy("digits", data=model)
    shop.move(1, "loading", "live")

    shop.ws.change_endpoint("digits", tags=["type:model"])
    assert shop.states() == [(model.id, "live"), (other.id, "loading")]
    shop.ws.change_endpoint("digits", data=model.id[:18])
    assert shop.states() == [(model.id, "live"), (other.id, "withdrawn")]


@pytest.mark.parametrize(("tags", "is_enough"), [(["type:model", "stage:test"], True), (PROD, False)])
def test_only_a_push_that_some_endpoint_follows_is_looked_at_twice(
    shop: Shop, tags: list[str], is_enough: bool
) -> None:
    shop.ws.deploy("digits", tags=PROD)
    ids, now = IdMaker(SystemClock()), SystemClock().now()
    output = RunOutput("/upload", ids.new(), shop.model().tree, parse_tags(tags))
    pushed = [RunRecorded(now, "mika", ids.new(), "raykqi#uploaded", (), (output,))]

    with shop.opened.parts.keeper.trying() as advance:
        quick = quick_reactions(advance.connection, advance.memory, pushed, now, ids)
        assert quick is not None
        advance.fold(pushed, quick.cause)

    assert quick.is_enough == is_enough


def test_models_that_are_pushed_at_once_leave_one_on_its_way(shop: Shop) -> None:
    shop.ws.deploy("digits", tags=PROD)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: shop.model(*PROD), range(16)))

    *others, (_, last) = shop.states()
    assert last == "loading"
    assert {status for _, status in others} <= {"withdrawn"}
    newest = shop.ws.find(*PROD, limit=1)[0]
    assert shop.states()[-1][0] == newest.id


def test_another_process_goes_on_where_this_one_stopped(shop: Shop) -> None:
    model = shop.model(*PROD)
    shop.ws.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")
    before = shop.ws.endpoint("digits")

    shop.opened = shop.lab.reopen()
    shop.ws = shop.opened.ws
    assert shop.ws.endpoint("digits") == before
    shop.ws.rebuild(from_snapshot=False)
    assert shop.ws.endpoint("digits") == before
    shop.ws.snapshot()
    shop.ws.rebuild()
    assert shop.ws.endpoint("digits") == before

    newer = shop.model(*PROD)
    assert shop.states() == [(model.id, "live"), (newer.id, "loading")]
