"""Endpoints in a workspace of this machine: what is said of them, and what stands in whose way. No Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from raykqi.catalog.endpoint_queries import evaluations, served_endpoints
from raykqi.controller.controller import Controller
from raykqi.domain.endpoint import Endpoint, Gate, JobStatus
from raykqi.domain.events import Event
from raykqi.domain.rollout import JobOrder
from raykqi.domain.tags import Tag
from raykqi.engine.endpoint_commands import EndJob, TakeJob
from raykqi.errors import (
    AmbiguousId,
    Conflict,
    InUse,
    InvalidInput,
    ModelFailed,
    PreconditionFailed,
    UnknownId,
)
from raykqi.workspace import Workspace
from tests.integration.shop import BY, PROD, Shop, shop

__all__ = ["shop"]  # the fixture

# What is said of endpoints


def test_a_name_is_given_once_in_the_workspace(shop: Shop) -> None:
    shop.ws.create_project("lab-2")
    other = shop.ws.acting(user="jiro", project="lab-2")
    shop.ws.deploy("digits", tags=PROD)

    with pytest.raises(Conflict, match="taken by an endpoint of another project"):
        other.deploy("digits", tags=PROD)
    with pytest.raises(UnknownId, match="there is no endpoint 'digits'"):
        other.endpoint("digits")
    with pytest.raises(UnknownId):
        other.remove_endpoint("digits")
    assert other.endpoints() == []

    shop.ws.remove_endpoint("digits", "moved")
    assert other.deploy("digits", tags=PROD).project == "lab-2"
    with pytest.raises(InUse, match="it holds 1 endpoints"):
        shop.ws.remove_project("lab-2")
    other.remove_endpoint("digits")
    shop.ws.remove_project("lab-2")


def test_endpoints_come_by_name_page_by_page(shop: Shop) -> None:
    for name in ("b", "a", "c"):
        shop.ws.deploy(name, tags=PROD)

    page = shop.ws.endpoint_page(limit=2)
    assert [each.name for each in page.items] == ["a", "b"]
    assert [each.name for each in shop.ws.endpoint_page(cursor=page.next_cursor).items] == ["c"]
    assert [each.name for each in shop.ws.endpoints(limit=1)] == ["a"]
    assert [each.name for each in shop.ws.endpoints()] == ["a", "b", "c"]


def test_values_take_the_place_of_what_was_said_before(shop: Shop) -> None:
    made = shop.ws.deploy("digits", tags=PROD, replicas=(0, 3), gpu=0.5, canary=0.1, gate="accuracy", batch=8)
    changed = shop.ws.change_endpoint("digits", public=True, replicas=2, trust=["a.B"], environment={"K": "v"})

    spec = made.spec
    assert (spec.scale.least, spec.scale.most, spec.resources.gpu, spec.resources.cpu) == (0, 3, 0.5, 0.1)
    assert (spec.canary.share, spec.gate, spec.batching.most) == (0.1, Gate(metric="accuracy"), 8)
    assert (changed.spec.scale.least, changed.spec.scale.most, changed.spec.is_public) == (2, 2, True)
    assert (changed.spec.loading.trust, changed.spec.loading.environment) == (("a.B",), {"K": "v"})
    assert changed.spec.canary == spec.canary


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"replicas": (3, 1)}, "scale.most of 1 is not possible"),
        ({"replicas": "many"}, "cannot be said of an endpoint"),
        ({"replicas": (1, 2, 3)}, r"replicas of \(1, 2, 3\) cannot be said of an endpoint"),
        ({"replicas": 2, "scale": "large"}, "cannot be said of an endpoint"),
        ({"gpu": 1.5}, "1.5 GPUs cannot be given"),
        ({"colour": "red"}, "nothing is called 'colour'"),
        ({"provider": "tpu"}, "cannot be said of an endpoint"),
        ({"canary": 2}, "canary.share of 2"),
    ],
)
def test_what_cannot_be_said_is_refused(shop: Shop, said: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        shop.ws.deploy("digits", tags=PROD, **said)
    assert shop.ws.endpoints() == []


def test_an_endpoint_that_somebody_else_has_changed_is_not_changed_unseen(shop: Shop) -> None:
    from raykqi.domain.etag import etag_of

    seen = etag_of(shop.ws.deploy("digits", tags=PROD))
    shop.ws.pause("digits")

    with pytest.raises(PreconditionFailed):
        shop.ws.once(expect=seen).resume("digits")
    now = etag_of(shop.ws.endpoint("digits"))
    assert not shop.ws.once(expect=now).resume("digits").is_paused


def test_a_deployment_that_is_asked_for_twice_with_one_key_is_done_once(shop: Shop) -> None:
    model = shop.model(*PROD)
    for _ in range(2):
        shop.ws.once(key="k-1", fingerprint="f").deploy("digits", data=model)

    assert len(shop.ws.endpoint("digits").revisions[0].history) == 1


def test_what_replicas_of_a_removed_endpoint_wrote_is_garbage(shop: Shop) -> None:
    shop.model(*PROD)
    kept, gone = (shop.ws.deploy(name, tags=PROD).id for name in ("kept", "gone"))
    for id_ in (kept, gone):
        shop.ws._store.put(f"logs/{id_}/r1/00000000.log", b"said\n")

    shop.ws.remove_endpoint("gone")

    log = f"logs/{gone}/r1/00000000.log"
    assert shop.ws.gc(dry_run=True, grace_seconds=3600).objects == ()
    assert shop.ws.gc(dry_run=True, grace_seconds=0).objects == (log,)
    assert shop.ws.gc(grace_seconds=0).objects == (log,)
    assert [found.key for found in shop.ws._store.list("logs/")] == [f"logs/{kept}/r1/00000000.log"]


# What stands in the way


def test_a_model_that_is_served_cannot_be_given_up(shop: Shop) -> None:
    model = shop.model(*PROD)
    shop.ws.deploy("digits", data=model)
    for give_up in (shop.ws.purge, shop.ws.remove):
        with pytest.raises(InUse, match="it is the model of the endpoint digits"):
            give_up(model, "too big")

    shop.ws.remove_endpoint("digits")

    assert shop.ws.purge(model, "too big") == [model.id]


def test_which_endpoints_saw_a_bad_data_set(shop: Shop) -> None:
    photos = shop.model("type:photos")
    features = shop.model("type:features", of=photos)
    model, other = shop.model("type:model", of=features), shop.model("type:model")
    shop.ws.deploy("digits", data=model)
    shop.ws.deploy("shop", data=other)
    shop.ws.deploy("late", data=model)
    shop.move(1, "loading", "live", "withdrawn", name="late")

    found = shop.ws.affected_endpoints(photos)
    assert [each.name for each in found] == ["digits", "late"]
    assert [each.serves({model.id}) for each in found] == [True, False]
    assert [each.name for each in shop.ws.affected_endpoints(other)] == ["shop"]
    assert [each.name for each in shop.ws.affected_endpoints(features.upstream.run)] == ["digits", "late"]


# Waiting


def test_waiting_for_an_endpoint_ends_when_it_is_live_or_says_why_not(shop: Shop) -> None:
    shop.ws.deploy("digits", data=shop.model(*PROD))
    with pytest.raises(TimeoutError, match=r"after 0\.1 s endpoint digits is not live: revision 1 is loading"):
        shop.ws.wait_endpoint("digits", timeout=0.1)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shop.ws.wait_endpoint, "digits", 20)
        shop.move(1, "loading", "live")
        live = waiting.result(20).live
    assert live is not None
    assert live.number == 1

    shop.ws.deploy("digits", data=shop.model(*PROD))
    shop.move(2, "loading", "failed", reason="no model in it")
    with pytest.raises(ModelFailed, match="revision 2 of endpoint digits is failed: no model in it"):
        shop.ws.wait_endpoint("digits", timeout=20)
    shop.ws.pause("digits")
    with pytest.raises(Conflict, match="is paused"):
        shop.ws.wait_endpoint("digits", timeout=20)


# Jobs


def request(shop: Shop, ws: Workspace | None = None) -> TakeJob:
    tree = shop.model().tree
    endpoint = (ws or shop.ws).endpoint("digits")
    return TakeJob("taro", endpoint.id, tree, "predict", "application/json", (Tag("type", "request"),))


def result_of(shop: Shop, job: str, **changes: Any) -> EndJob:
    endpoint: Endpoint = shop.ws.endpoint("digits")
    return EndJob(BY, endpoint.id, job, 1, shop.model().tree, (Tag("type", "answer"),), **changes)


def ended(jobs: Sequence[Any]) -> list[JobStatus]:
    return [each.status for each in jobs]


def test_a_job_is_left_done_and_kept_with_its_lineage(shop: Shop) -> None:
    model = shop.model(*PROD)
    shop.ws.deploy("digits", data=model)
    shop.move(1, "loading", "live")
    shop.ws._controller.submit(request(shop))
    (job,) = shop.ws.jobs("digits")
    assert (job.status, job.by, job.kind) == ("waiting", "taro", "predict")
    asked = shop.ws.show(job.request)
    assert asked.tags == (Tag("type", "request"),)
    (served,) = served_endpoints(shop.opened.parts.keeper.index)
    assert served.jobs == (JobOrder(job.id, job.request, asked.tree.hash, "predict", "application/json"),)

    shop.ws._controller.submit(result_of(shop, job.id))
    shop.ws._controller.submit(result_of(shop, job.id))

    done = shop.ws.job(job.id[:22])
    assert (done.status, done.revision, done.tree) == ("done", 1, shop.ws.show(done.result).tree.hash)
    lineage = shop.ws.lineage(done.result, way="up", depth=1)
    assert {node.id for node in lineage.data} == {done.result, job.request, model.id}
    assert [each.id for each in shop.ws.find("type:answer")] == [done.result]
    assert served_endpoints(shop.opened.parts.keeper.index)[0].jobs == ()


def test_jobs_that_wait_end_with_the_endpoint(shop: Shop) -> None:
    shop.ws.deploy("digits", data=shop.model(*PROD))
    shop.ws._controller.submit(request(shop))
    shop.ws._controller.submit(request(shop))
    first, second = shop.ws.jobs("digits")
    with pytest.raises(AmbiguousId):
        shop.ws.job(first.id[:8])

    shop.ws.remove_endpoint("digits")

    assert ended([shop.ws.job(first), shop.ws.job(second.id)]) == ["failed", "failed"]
    assert shop.ws.job(first).reason == "the endpoint was removed"
    with pytest.raises(UnknownId, match="there is no job"):
        shop.ws.job("ffff")


# What the roll-out is told


def test_the_roll_out_is_told_what_runs_made_of_a_model_newest_first(shop: Shop) -> None:
    model = shop.model(*PROD, "accuracy:0.9")
    earlier = shop.model("accuracy:0.8", of=model)
    later = shop.model("accuracy:0.7", of=model)

    own, made = evaluations(shop.opened.parts.keeper.index, model.id)

    assert (own.tree, Tag("accuracy", "0.9") in own.tags) == (model.tree.hash, True)
    assert [each.tree for each in made] == [later.tree.hash, earlier.tree.hash]
    assert made[1].tags == (Tag("accuracy", "0.8"),)


def test_the_roll_out_is_told_the_current_revisions_and_the_last_of_the_past(shop: Shop) -> None:
    shop.ws.deploy("digits", tags=PROD)
    for number in range(1, 15):
        shop.model(*PROD)
        shop.move(number, "loading", "live")

    (served,) = served_endpoints(shop.opened.parts.keeper.index)

    assert [each.number for each in served.endpoint.revisions] == list(range(5, 15))
    assert served.endpoint.live is not None
    assert served.endpoint.live.number == 14
    assert served.code == {}


# Who hears of it


def test_what_happens_to_an_endpoint_is_told_in_its_project_alone(shop: Shop) -> None:
    shop.ws.create_project("lab-2")
    before = shop.ws.seq
    shop.ws.deploy("digits", data=shop.model(*PROD))
    shop.move(1, "loading", "live")

    told = [event.__struct_config__.tag for commit in shop.ws.commits(before) for event in commit.events]
    assert told == ["run.recorded", "endpoint.deployed", "revision.made", "revision.moved"]
    assert list(shop.ws.acting(user="jiro", project="lab-2").commits(before)) == []


def test_the_commit_tells_what_came_of_a_push_in_the_same_entry(shop: Shop) -> None:
    shop.ws.deploy("digits", tags=PROD)
    controller = shop.ws._controller
    assert isinstance(controller, Controller)
    told: list[list[str]] = []
    listener: Callable[[Sequence[Event]], None] = lambda events: told.append(  # noqa: E731
        [str(event.__struct_config__.tag) for event in events]
    )
    controller.on_commit = listener
    shop.model(*PROD)
    controller.on_commit = None

    assert told == [["run.recorded", "endpoint.changed", "revision.made"]]
