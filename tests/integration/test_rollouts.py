"""What brings endpoints to answer: told to replicas as they ask, moved on by what they report. No Ray."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec
import pytest

import raykqi
from raykqi.controller import followers
from raykqi.controller.applications import Shape, State
from raykqi.controller.controller import Controller
from raykqi.controller.gauging import Gauging
from raykqi.controller.rollouts import Rollouts
from raykqi.domain.endpoint import Canary, Gate, Guard, RevisionStatus
from raykqi.domain.ids import SystemClock
from raykqi.domain.rollout import LATENCIES_MS, Counts, Report, ReportedRevision, Wanted
from raykqi.engine.endpoint_commands import TakeJob
from raykqi.errors import ServerUnavailable
from raykqi.storage.trees import tree_key
from raykqi.workspace import Workspace

TAGS = ["type:model", "stage:prod"]


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


class Stage:
    """Applications that are there as soon as they are shown, while it `is_up`."""

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}
        self.reasons: dict[str, str] = {}
        self.is_up = True

    def show(self, shapes: Sequence[Shape]) -> None:
        if not self.is_up:
            raise ServerUnavailable("nobody is there")
        self.shapes = {shape.name: shape for shape in shapes}

    def states(self) -> Mapping[str, State]:
        return {name: State(1, self.reasons.get(name, "")) for name in self.shapes}

    def close(self) -> None:
        self.is_up = False


class Replica:
    """One that does what it is told: everything that is wanted is ready, unless it is in `broken`."""

    def __init__(self, rollouts: Rollouts, endpoint: str, name: str = "r1") -> None:
        self._rollouts, self._endpoint, self._name = rollouts, endpoint, name
        self.wanted: Wanted | None = None
        self.broken: dict[int, str] = {}
        self.counts: dict[int, Counts] = {}

    def ask(self, *, is_leaving: bool = False) -> Wanted:
        states = [
            ReportedRevision(number, self._state(number), self.broken.get(number, ""), self._counts(number))
            for number in ([each.number for each in self.wanted.revisions] if self.wanted else ())
        ]
        version = self.wanted.version if self.wanted else 0
        jobs = tuple(each.job for each in self.wanted.jobs) if self.wanted else ()
        report = Report(self._endpoint, self._name, version, revisions=tuple(states), jobs=jobs, is_leaving=is_leaving)
        told = self._rollouts.follow(msgspec.msgpack.encode(report))
        self.wanted = msgspec.msgpack.decode(told, type=Wanted)
        return self.wanted

    def ask_until(self, number: int, status: RevisionStatus) -> Wanted:
        for _ in range(10):
            if any((each.number, each.status) == (number, status) for each in self.ask().revisions):
                assert self.wanted
                return self.wanted
        raise AssertionError(f"revision {number} is not {status} in {self.wanted}")

    def _state(self, number: int) -> Literal["ready", "failed"]:
        return "failed" if number in self.broken else "ready"

    def _counts(self, number: int) -> Counts:
        return self.counts.get(number, Counts())


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    raykqi.init(tmp_path / "workspace")
    with raykqi.open(tmp_path / "workspace") as opened:
        yield opened


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def rollouts(ws: Workspace, stage: Stage) -> Iterator[Rollouts]:
    controller = ws._controller
    assert isinstance(controller, Controller)
    made = Rollouts(controller, Gauging(ws._keeper, ws._store, ws._settings), stage, clock=SystemClock())
    controller.on_commit = made.heard
    made.open()
    yield made
    made.close()
    controller.on_commit = None


def push(ws: Workspace, folder: Path, *tags: str, of: str = "", **files: str) -> str:
    source = folder / f"source-{len(list(folder.iterdir()))}"
    source.mkdir()
    for name, content in files.items():
        (source / name.replace("__", ".")).write_text(content)
    (source / "model.onnx").write_text(source.name)
    return ws.push(source, tags, inputs={"model": of} if of else None).id


def statuses(ws: Workspace) -> dict[int, str]:
    return {each.number: each.status for each in ws.endpoint("digits").revisions}


def test_a_replica_is_told_what_to_load_and_its_word_brings_it_live(
    ws: Workspace, rollouts: Rollouts, stage: Stage, tmp_path: Path
) -> None:
    data = push(ws, tmp_path)
    endpoint = ws.deploy("digits", data=data)
    replica = Replica(rollouts, endpoint.id)

    first = replica.ask()
    assert [(each.number, each.data, each.status, each.share) for each in first.revisions] == [
        (1, data, "loading", 0.0)
    ]
    told = replica.ask_until(1, "live")
    assert [(each.number, each.share) for each in told.revisions] == [(1, 1.0)]
    assert statuses(ws) == {1: "live"}
    until(lambda: "digits" in stage.shapes)


def test_a_model_that_fails_leaves_the_old_one_where_it_is(ws: Workspace, rollouts: Rollouts, tmp_path: Path) -> None:
    good = push(ws, tmp_path, *TAGS)
    replica = Replica(rollouts, ws.deploy("digits", tags=TAGS).id)
    replica.ask_until(1, "live")
    replica.broken[2] = "the file is corrupt"

    push(ws, tmp_path, *TAGS)
    replica.ask_until(2, "loading")
    replica.ask()

    assert statuses(ws) == {1: "live", 2: "failed"}
    shown = ws.endpoint("digits").revisions
    assert shown[1].reason == "the file is corrupt"
    assert replica.wanted
    assert [(each.data, each.share) for each in replica.wanted.revisions] == [(good, 1.0)]


def test_a_model_is_live_only_when_all_replicas_have_it(ws: Workspace, rollouts: Rollouts, tmp_path: Path) -> None:
    endpoint = ws.deploy("digits", data=push(ws, tmp_path))
    one, other = Replica(rollouts, endpoint.id, "one"), Replica(rollouts, endpoint.id, "other")
    one.ask()
    other.ask()

    with ThreadPoolExecutor(1) as pool:
        told: Future[Wanted] = pool.submit(one.ask)  # says that it is ready, and waits for what comes of it
        until(lambda: any(each.revisions for each in rollouts.replicas(endpoint.id)))
        assert statuses(ws) == {1: "loading"}
        other.ask()
        assert told.result(10).revisions[0].status == "live"


def test_a_replica_that_leaves_is_waited_for_no_more(ws: Workspace, rollouts: Rollouts, tmp_path: Path) -> None:
    endpoint = ws.deploy("digits", data=push(ws, tmp_path))
    one, other = Replica(rollouts, endpoint.id, "one"), Replica(rollouts, endpoint.id, "other")
    other.ask()
    one.ask()

    other.ask(is_leaving=True)

    one.ask_until(1, "live")
    assert [each.replica for each in rollouts.replicas(endpoint.id)] == ["one"]


def test_a_canary_gets_its_share_and_what_does_badly_is_taken_back(
    ws: Workspace, rollouts: Rollouts, tmp_path: Path
) -> None:
    push(ws, tmp_path, *TAGS)
    replica = Replica(
        rollouts,
        ws.deploy(
            "digits", tags=TAGS, canary=Canary(share=0.25, seconds=3600), guard=Guard(errors=0.1, requests=20)
        ).id,
    )
    replica.ask_until(1, "live")

    push(ws, tmp_path, *TAGS)
    told = replica.ask_until(2, "canary")
    assert {each.number: each.share for each in told.revisions} == {1: 0.75, 2: 0.25}
    replica.counts[2] = Counts(40, 10, latencies=(40, *[0] * len(LATENCIES_MS)))
    while 2 in {each.number for each in replica.ask().revisions}:
        pass

    assert statuses(ws) == {1: "live", 2: "withdrawn"}
    assert ws.endpoint("digits").revisions[1].reason == "10 of 40 requests failed, more than 0.1 of them"


def test_a_gate_opens_when_an_evaluation_says_that_the_model_is_better(
    ws: Workspace, rollouts: Rollouts, tmp_path: Path
) -> None:
    first = push(ws, tmp_path, *TAGS, "accuracy:0.9")
    replica = Replica(rollouts, ws.deploy("digits", tags=TAGS, gate=Gate(metric="accuracy")).id)
    replica.ask_until(1, "live")

    second = push(ws, tmp_path, *TAGS)
    until(lambda: ws.endpoint("digits").revisions[-1].reason == "waits until accuracy of its model is measured")
    push(ws, tmp_path, of=second, metrics__json=json.dumps({"accuracy": 0.93}))

    replica.ask_until(2, "live")
    assert [each.data for each in ws.endpoint("digits").revisions] == [first, second]


def test_a_paused_endpoint_has_no_application_and_its_replicas_are_told_why(
    ws: Workspace, rollouts: Rollouts, stage: Stage, tmp_path: Path
) -> None:
    endpoint = ws.deploy("digits", data=push(ws, tmp_path))
    replica = Replica(rollouts, endpoint.id)
    replica.ask_until(1, "live")

    ws.pause("digits", reason="it saw bad data")

    assert replica.ask().revisions == ()
    until(lambda: not stage.shapes)
    ws.resume("digits")
    until(lambda: "digits" in stage.shapes)
    replica.ask_until(1, "live")


def test_an_application_that_cannot_be_brought_up_is_tried_again_and_told(
    ws: Workspace, rollouts: Rollouts, stage: Stage, tmp_path: Path
) -> None:
    stage.is_up = False
    stage.reasons["digits"] = "no node has 3 GPUs"
    ws.deploy("digits", data=push(ws, tmp_path))

    stage.is_up = True

    until(lambda: ws.endpoint("digits").reason == "no node has 3 GPUs")
    stage.reasons.clear()
    until(lambda: ws.endpoint("digits").reason == "")


def test_a_later_controller_goes_on_where_the_first_one_was(ws: Workspace, stage: Stage, tmp_path: Path) -> None:
    controller = ws._controller
    assert isinstance(controller, Controller)
    gauging = Gauging(ws._keeper, ws._store, ws._settings)
    first = Rollouts(controller, gauging, stage, clock=SystemClock())
    first.open()
    endpoint = ws.deploy("digits", data=push(ws, tmp_path))
    first.look_around()
    replica = Replica(first, endpoint.id)
    replica.ask()
    first.close()

    stage.is_up = True
    second = Rollouts(controller, gauging, stage, clock=SystemClock())
    controller.on_commit = second.heard
    second.open()
    replica._rollouts = second

    replica.ask_until(1, "live")
    second.close()
    controller.on_commit = None


def test_a_controller_that_has_not_read_what_there_is_says_so(ws: Workspace, stage: Stage, tmp_path: Path) -> None:
    """An answer would make replicas end the models that they have."""
    controller = ws._controller
    assert isinstance(controller, Controller)
    endpoint = ws.deploy("digits", data=push(ws, tmp_path))
    made = Rollouts(controller, Gauging(ws._keeper, ws._store, ws._settings), stage, clock=SystemClock())
    made.close()  # before it has begun

    with pytest.raises(ServerUnavailable, match="not known yet"):
        made.follow(msgspec.msgpack.encode(Report(endpoint.id, "r1", 7)))


def test_a_measure_that_cannot_be_read_holds_up_no_other_endpoint(
    ws: Workspace, rollouts: Rollouts, tmp_path: Path
) -> None:
    push(ws, tmp_path, *TAGS)
    gated = Replica(rollouts, ws.deploy("digits", tags=TAGS, gate=Gate("accuracy")).id)
    gated.ask_until(1, "live")
    second = push(ws, tmp_path)
    broken = ws.show(push(ws, tmp_path, of=second, metrics__json='{"accuracy": 0.9}')).tree
    assert broken
    ws._store.delete([tree_key(broken.hash)])
    ws.tag(second, add=TAGS)

    other = Replica(rollouts, ws.deploy("other", data=push(ws, tmp_path)).id)

    other.ask_until(1, "live")
    assert statuses(ws) == {1: "live", 2: "waiting"}


def test_a_replica_that_died_without_a_word_holds_up_no_new_model(
    ws: Workspace, rollouts: Rollouts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "AWAY", 0.5)
    push(ws, tmp_path, *TAGS)
    endpoint = ws.deploy("digits", tags=TAGS, replicas=2).id
    well, dying = Replica(rollouts, endpoint, "r1"), Replica(rollouts, endpoint, "r2")
    dying.ask()
    well.ask_until(1, "live")
    push(ws, tmp_path, *TAGS)

    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(well.ask_until, 2, "live")  # says that it is ready, then waits for news

        assert told.result(timeout=5)
    assert statuses(ws) == {1: "retired", 2: "live"}


def test_an_endpoint_that_sleeps_is_woken_for_a_new_model_and_for_jobs(
    ws: Workspace, rollouts: Rollouts, stage: Stage, tmp_path: Path
) -> None:
    endpoint = ws.deploy("digits", data=push(ws, tmp_path), replicas=(0, 1))
    until(lambda: "digits" in stage.shapes and stage.shapes["digits"].scale.least == 1)
    replica = Replica(rollouts, endpoint.id)
    replica.ask_until(1, "live")
    until(lambda: stage.shapes["digits"].scale.least == 0)

    request = ws.show(push(ws, tmp_path)).tree
    ws._controller.submit(TakeJob("mika", endpoint.id, request, "predict", "application/json"))

    until(lambda: stage.shapes["digits"].scale.least == 1)
    until(lambda: bool(replica.ask().jobs))


def test_rights_that_change_are_told(ws: Workspace, rollouts: Rollouts, tmp_path: Path) -> None:
    replica = Replica(rollouts, ws.deploy("digits", data=push(ws, tmp_path)).id)
    before = replica.ask_until(1, "live").access

    ws.add_user("aya")

    assert replica.ask().access > before


def test_a_live_model_that_does_badly_gives_way_to_the_one_before(
    ws: Workspace, rollouts: Rollouts, tmp_path: Path
) -> None:
    push(ws, tmp_path, *TAGS)
    replica = Replica(rollouts, ws.deploy("digits", tags=TAGS, guard=Guard(errors=0.1, requests=10)).id)
    replica.ask_until(1, "live")
    push(ws, tmp_path, *TAGS)
    told = replica.ask_until(2, "live")
    assert {each.number: each.share for each in told.revisions} == {1: 0.0, 2: 1.0}  # the first is kept ready

    replica.counts[2] = Counts(10, 9, latencies=(10, *[0] * len(LATENCIES_MS)))

    while replica.ask().revisions[0].status != "live":
        pass
    assert statuses(ws) == {1: "live", 2: "withdrawn"}


def test_what_nobody_can_serve_is_not_waited_for(ws: Workspace, rollouts: Rollouts, tmp_path: Path) -> None:
    endpoint = ws.deploy("digits", data=push(ws, tmp_path))
    replica = Replica(rollouts, endpoint.id)
    replica.ask_until(1, "live")

    ws.remove_endpoint("digits")

    assert replica.ask().reason == "there is no such endpoint any more"
