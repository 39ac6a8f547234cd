"""Requests that are answered later, kept as data and done by the replica that is told to."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from raykqi.domain.endpoint import Binding, EndpointSpec
from raykqi.domain.rollout import JobOrder
from raykqi.engine.endpoint_commands import DeployEndpoint
from tests import models
from tests.integration.serving.fronts import Fronted, eventually

WORDS = """
import os
class Predictor:
    def predict(self, inputs):
        if inputs == 'bad':
            raise ValueError('this text is bad')
        return {'words': len(inputs.split())}
"""


@pytest.fixture
def deployed(front: Fronted) -> Fronted:
    """Of an endpoint that the workspace knows."""
    model = models.custom(front.folder / "words", body=WORDS).parent
    wanted = front.revision(1, model)
    spec = EndpointSpec(Binding(data=wanted.data))
    [event, *_] = front.controller.parts.controller.submit(DeployEndpoint("tester", "digits", spec))
    front.controller.show(wanted, endpoint=event.endpoint)  # type: ignore[union-attr]
    front.until_ready(1)
    return front


def leave(front: Fronted, inputs: str, **more: Any) -> httpx.Response:
    answer = front.client.post("/jobs", json={"inputs": inputs}, **more)
    assert answer.status_code == 202, answer.text
    return answer


def order(front: Fronted, *jobs: str) -> None:
    """Have it do these, as the controller does with those that wait."""
    data = front.workspace.find("type:request")
    requests = {each.id: each for each in data}
    orders = []
    for job in jobs:
        found = front.job(job)
        orders.append(JobOrder(job, found.request, requests[found.request].tree.hash, found.kind, found.content_type))
    front.controller.change(jobs=tuple(orders))


def test_a_job_is_done_and_its_result_made_of_request_and_model(deployed: Fronted) -> None:
    left = leave(deployed, "three small words")
    id_ = left.json()["id"]
    assert left.headers["location"] == f"/endpoints/digits/jobs/{id_}"
    waiting = deployed.client.get(f"/jobs/{id_}")
    assert (waiting.status_code, waiting.headers["raykqi-job"]) == (202, "waiting")
    assert waiting.json()["status"] == "waiting"

    order(deployed, id_)

    eventually(lambda: deployed.client.get(f"/jobs/{id_}").status_code == 200, "the job was done")
    done = deployed.client.get(f"/jobs/{id_}")
    direct = deployed.client.post("/predict", json={"inputs": "three small words"})
    assert done.content == direct.content
    assert done.headers["content-type"] == "application/json"
    assert (done.headers["raykqi-job"], done.headers["raykqi-revision"]) == ("done", "1")
    [result] = deployed.workspace.find("type:result")
    assert done.headers["raykqi-result"] == result.id
    job = deployed.job(id_)
    made_of = {each.data for each in deployed.workspace.run(result.upstream.run).inputs}
    assert made_of == {job.request, deployed.controller.wanted.revisions[0].data}
    assert deployed.controller.reports[-1].jobs == (id_,)
    deployed.controller.change(jobs=())
    eventually(lambda: deployed.controller.reports[-1].jobs == ())


def test_a_job_that_the_model_cannot_do_fails_with_its_words(deployed: Fronted) -> None:
    id_ = leave(deployed, "bad").json()["id"]

    order(deployed, id_)

    eventually(lambda: deployed.job(id_).status == "failed")
    answer = deployed.client.get(f"/jobs/{id_}")
    assert answer.status_code == 500
    assert "this text is bad" in answer.json()["error"]


def test_jobs_wait_while_nothing_is_ready(deployed: Fronted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_api.inference.jobs.AGAIN", 0.01)
    id_ = leave(deployed, "one").json()["id"]
    wanted = deployed.controller.wanted.revisions
    deployed.controller.change(revisions=(), reason="paused")
    eventually(lambda: deployed.client.get("/health").status_code == 503)
    order(deployed, id_)
    eventually(lambda: tries(deployed))
    for _ in range(5):
        deployed.client.get("/health")

    deployed.controller.change(revisions=wanted, reason="")

    eventually(lambda: deployed.job(id_).status == "done")
    assert all("revision 1 is loading" in line for line in tries(deployed)[1:])  # nothing is said again and again
    assert len(tries(deployed)) <= 3


def tries(front: Fronted) -> list[str]:
    return [line for line in front.replica.lines.newest if "tried again" in line]


def test_what_is_no_job_is_refused(deployed: Fronted) -> None:
    client = deployed.client

    assert client.get("/jobs/019b0000-0000-7000-8000-00000000aaaa").status_code == 404
    assert client.get("/jobs/").status_code == 404
    assert client.post("/jobs?kind=stream", json={"inputs": 1}).status_code == 400
    assert client.post("/jobs", content=b"x", headers={"content-encoding": "gzip"}).status_code == 400
    assert client.post("/jobs", json={}, headers={"authorization": ""}).status_code == 401
    assert deployed.workspace.find("type:request") == []
