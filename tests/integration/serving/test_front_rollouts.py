"""Revisions in a replica: brought up beside each other, taken back, begun again when they die."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from raykqi.domain.endpoint import Batching, RequestLimits
from raykqi.domain.rollout import WantedRevision
from tests import models
from tests.integration.serving.fronts import Fronted, eventually, spec

BODY = """
import os, pathlib
class Predictor:
    def predict(self, inputs):
        if inputs == 'die':
            os._exit(3)
        if inputs == 'die once':
            mark = pathlib.Path('/proc/self/cwd')
            flag = pathlib.Path({flag!r})
            if not flag.exists():
                flag.touch()
                os.kill(os.getpid(), 9)
        return {{'answer': {answer!r}, 'pid': os.getpid()}}
"""


def model(front: Fronted, number: int, answer: str, *, share: float = 1.0, status: str = "live") -> WantedRevision:
    folder = front.folder / f"model-{number}"
    models.custom(folder, body=BODY.format(answer=answer, flag=str(front.folder / f"flag-{number}")))
    return front.revision(number, folder, share=share, status=status)


def ask(front: Fronted, what: str = "") -> httpx.Response:
    return front.client.post("/predict", json={"inputs": what})


def answer_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["outputs"]["answer"] if "outputs" in response.json() else response.json()["answer"])


class Asking:
    """Asks without a pause until it is left, and keeps what was answered."""

    def __init__(self, front: Fronted, clients: int = 2) -> None:
        self.statuses: Counter[int] = Counter()
        self.revisions: Counter[str] = Counter()
        self._front, self._over = front, threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._each = [self._pool.submit(self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        while not self._over.is_set():
            response = ask(self._front)
            self.statuses[response.status_code] += 1
            self.revisions[response.headers.get("raykqi-revision", response.text)] += 1

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._each:
            each.result()
        self._pool.shutdown()


def files(front: Fronted) -> set[str]:
    """The trees that the replica holds as files."""
    return {path.name for path in (front.folder / "cache" / "serving").glob("*/*") if path.is_dir()}


def test_a_new_revision_takes_over_without_a_failed_request_and_the_old_one_leaves_nothing(front: Fronted) -> None:
    old, new = model(front, 1, "old"), model(front, 2, "new", share=0.0, status="loading")
    front.controller.show(old)
    front.until_ready(1)
    pid = front.pid(1)
    with Asking(front) as asking:
        front.controller.show(old, new)
        front.until_ready(1, 2)
        assert answer_of(ask(front)) == "old"  # nothing goes to one without a share

        front.controller.show(front_live(new))
        eventually(lambda: asking.revisions["2"] > 20)
        eventually(lambda: front.controller.last(1) is None)

    assert set(asking.statuses) == {200}
    assert answer_of(ask(front)) == "new"
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), "the old process ended")
    eventually(lambda: files(front) == {new.tree}, "the old files are gone")


def front_live(revision: WantedRevision, share: float = 1.0) -> WantedRevision:
    import msgspec

    return msgspec.structs.replace(revision, status="live", share=share)


def test_a_tenth_is_every_tenth(front: Fronted) -> None:
    front.controller.show(model(front, 1, "live", share=0.9), model(front, 2, "canary", share=0.1, status="canary"))
    front.until_ready(1, 2)

    answers = [answer_of(ask(front)) for _ in range(30)]

    assert Counter(answers) == {"live": 27, "canary": 3}
    for at in range(0, 30, 10):
        assert answers[at : at + 10].count("canary") == 1
    chosen = front.client.post("/v2/models/digits/versions/2/infer", json={"inputs": []})
    assert chosen.headers["raykqi-revision"] == "2"


def test_one_that_cannot_be_loaded_is_reported_and_harms_no_other(front: Fronted, tmp_path: Path) -> None:
    old = model(front, 1, "old")
    bad = front.revision(2, models.failing_init(tmp_path / "bad").parent, share=0.0, status="loading")
    front.controller.show(old)
    front.until_ready(1)
    pid = front.pid(1)

    front.controller.show(old, bad)

    eventually(lambda: front.controller.state(2) == "failed")
    said = front.controller.last(2)
    assert said is not None
    assert "the vocabulary is missing" in said.reason
    assert answer_of(ask(front)) == "old"
    assert front.pid(1) == pid
    tries = "\n".join(front.replica.lines.newest).count("revision 2 is failed")
    front.controller.change(access=1)  # what does not concern it
    eventually(lambda: front.controller.reports[-1].version == front.controller.wanted.version)
    assert front.controller.state(2) == "failed"
    assert "\n".join(front.replica.lines.newest).count("revision 2 is failed") == tries == 1

    front.controller.show(old)
    eventually(lambda: front.controller.last(2) is None)
    front.controller.show(old, bad)  # somebody wants it again

    eventually(lambda: "\n".join(front.replica.lines.newest).count("revision 2 is failed") == 2)


def test_without_room_for_two_the_new_one_takes_the_place_of_the_old_and_requests_wait(front: Fronted) -> None:
    alone = spec(surge=False)
    old, new = model(front, 1, "old"), model(front, 2, "new", share=0.0, status="loading")
    front.controller.show(old, spec=alone)
    front.until_ready(1)
    with Asking(front) as asking:
        front.controller.show(old, new, spec=alone)
        eventually(lambda: front.controller.state(2) == "ready")
        assert [held.number for held in front.replica.revisions.ready] == [2]
        front.controller.show(front_live(new), spec=alone)
        eventually(lambda: asking.revisions["2"] > 5)

    assert set(asking.statuses) == {200}
    assert answer_of(ask(front)) == "new"


def test_without_room_for_two_the_old_one_comes_back_when_the_new_one_fails(front: Fronted, tmp_path: Path) -> None:
    alone = spec(surge=False)
    old = model(front, 1, "old")
    bad = front.revision(2, models.failing_init(tmp_path / "bad").parent, share=0.0, status="loading")
    front.controller.show(old, spec=alone)
    front.until_ready(1)

    front.controller.show(old, bad, spec=alone)

    eventually(lambda: front.controller.state(2) == "failed" and front.controller.state(1) == "ready")
    assert answer_of(ask(front)) == "old"


def test_a_process_that_dies_is_begun_again_and_asked_once_more(front: Fronted) -> None:
    front.controller.show(model(front, 1, "alive"))
    front.until_ready(1)
    before = front.pid(1)

    answer = ask(front, "die once")

    assert answer_of(answer) == "alive"
    assert front.pid(1) != before
    said = "\n".join(front.replica.lines.newest)
    assert "process was killed by SIGKILL" in said

    os.kill(front.pid(1), signal.SIGKILL)
    assert answer_of(ask(front)) == "alive"


def test_a_request_that_kills_twice_is_refused_and_costs_others_nothing(front: Fronted) -> None:
    front.controller.show(model(front, 1, "alive"), spec=spec(batching=Batching(most=1)))
    front.until_ready(1)
    with Asking(front, clients=3) as asking:
        eventually(lambda: asking.statuses[200] > 20)

        answer = ask(front, "die")

        assert answer.status_code == 500
        assert "ended twice" in answer.json()["error"]
        done = asking.statuses[200]
        eventually(lambda: asking.statuses[200] > done + 20)

    assert set(asking.statuses) == {200}
    eventually(lambda: front.controller.counts(1).errors == 1)


def test_a_change_of_how_it_runs_begins_another_process_before_the_old_one_ends(front: Fronted) -> None:
    wanted = model(front, 1, "same")
    front.controller.show(wanted)
    front.until_ready(1)
    before = front.pid(1)
    with Asking(front) as asking:
        front.controller.show(wanted, spec=spec(batching=Batching(most=2)))
        eventually(lambda: not os.path.exists(f"/proc/{before}"))
        eventually(lambda: asking.statuses[200] > 20)

    assert set(asking.statuses) == {200}


def test_the_end_of_a_replica_waits_for_requests_and_leaves_no_process_and_no_file(
    front: Fronted, tmp_path: Path
) -> None:
    slow = (
        "import time\nclass Predictor:\n    def predict(self, inputs):\n        time.sleep(1)\n        return 'late'\n"
    )
    models.custom(tmp_path / "slow", body=slow)
    front.controller.show(front.revision(1, tmp_path / "slow"), spec=spec(limits=RequestLimits(timeout=20)))
    front.until_ready(1)
    pid = front.pid(1)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(ask, front)
        eventually(lambda: front.replica.asking == 1)
        front.stop()
        assert late.result().status_code == 200

    assert front.controller.reports[-1].is_leaving
    assert not os.path.exists(f"/proc/{pid}")
    assert files(front) == set()


@pytest.mark.parametrize("what", ["away", "back"])
def test_while_the_controller_is_away_requests_are_answered(front: Fronted, what: str) -> None:
    front.controller.show(model(front, 1, "alive"))
    front.until_ready(1)
    assert answer_of(ask(front)) == "alive"

    front.controller.leave(away=True)
    eventually(lambda: any("does not answer" in line for line in front.replica.lines.newest))
    assert answer_of(ask(front)) == "alive"
    if what == "back":
        front.controller.leave(away=False)
        front.controller.show(model(front, 2, "next"))
        eventually(lambda: front.controller.state(2) == "ready")
        assert answer_of(ask(front)) == "next"
