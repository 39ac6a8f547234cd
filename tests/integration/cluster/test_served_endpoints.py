"""Endpoints of a workspace as `raykqi up` serves it: what needs Serve, its proxy and the controller together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

import raykqi
from raykqi.client import RemoteWorkspace
from raykqi.domain.endpoint import Sampling
from raykqi.domain.tags import Tag
from raykqi.errors import RaykqiError
from tests import models
from tests.integration.cluster.served_api import ServedApi, serve_api

SOON = 60.0
LOOKING = """
name: look
command: cat {inputs.in}/*.jsonl > {outputs.out}/seen
inputs:
- path: /in
  tags: [for:review]
outputs:
- path: /out
  tags: [type:seen]
"""
TELLING = "import os\nclass Predictor:\n    def predict(self, inputs):\n        return dict(os.environ)\n"
ROW = [[0.5, -1.0, 2.0, 0.25]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[ServedApi]:
    with serve_api(folder / "workspace", folder, "--gpus", "2") as served:  # as Ray believes
        yield served


@pytest.fixture(scope="module")
def ws(api: ServedApi) -> Iterator[RemoteWorkspace]:
    with raykqi.connect(api.url, token=api.token) as connected:
        yield connected


@pytest.fixture(scope="module")
def model(ws: RemoteWorkspace, folder: Path) -> raykqi.Data:
    models.mlp(folder / "mlp")
    return ws.push(folder / "mlp", ["type:model"])


@pytest.fixture(scope="module")
def digits(ws: RemoteWorkspace, model: raykqi.Data) -> str:
    ws.deploy("digits", data=model, cpu=0)
    ws.wait_endpoint("digits", timeout=SOON)
    return "digits"


def ask(api: ServedApi, name: str, path: str = "predict", *, token: str = "", **more: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or api.token}"}
    body = json.dumps(more or {"inputs": {"x": ROW}}).encode()
    return httpx.post(f"{api.url}/endpoints/{name}/{path}", content=body, headers=headers, timeout=SOON)


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_stock_client_gets_what_onnxruntime_gives_bit_for_bit(api: ServedApi, digits: str, folder: Path) -> None:
    (file,) = (folder / "mlp").glob("*.onnx")
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    headers = {"Authorization": f"Bearer {api.token}"}  # to which the client adds what a request was
    address = api.url.removeprefix("http://")
    for place in (address, f"{address}/endpoints/{digits}"):
        with triton.InferenceServerClient(place) as client:
            assert client.is_server_live(headers)
            assert client.is_model_ready(digits, headers=headers)
            described = client.get_model_metadata(digits, headers=headers)
            assert [each["name"] for each in described["inputs"]] == ["x"]
            for size in (1, 7, 64) if place == address else range(1, 65):
                given = np.random.default_rng(size).normal(size=(size, 4)).astype(np.float32)
                expected = session.run(None, {"x": given})[0]
                for is_binary in (True, False):
                    tensor = triton.InferInput("x", list(given.shape), "FP32")
                    tensor.set_data_from_numpy(given, binary_data=is_binary)
                    wanted = [triton.InferRequestedOutput("probabilities", binary_data=is_binary)]
                    answer = client.infer(digits, [tensor], outputs=wanted, headers=dict(headers))
                    assert np.array_equal(answer.as_numpy("probabilities"), expected), (size, is_binary)
            wrong = triton.InferInput("x", [1, 3], "FP32")
            wrong.set_data_from_numpy(np.zeros((1, 3), np.float32))
            with pytest.raises(InferenceServerException, match=r"3"):
                client.infer(digits, [wrong], headers=dict(headers))


def test_every_answer_says_which_model_gave_it(api: ServedApi, digits: str, model: raykqi.Data) -> None:
    answer = ask(api, digits)

    assert (answer.status_code, answer.headers["raykqi-data"], answer.headers["raykqi-revision"]) == (
        200,
        model.id,
        "1",
    )


def test_sampled_requests_become_data_that_start_a_plan(
    api: ServedApi, ws: RemoteWorkspace, model: raykqi.Data
) -> None:
    ws.apply(LOOKING)
    sampling = Sampling(share=1.0, rows=3, seconds=600, tags=(Tag("for", "review"),), leave_out=("name",))
    ws.deploy("sampled", data=model, cpu=0, sampling=sampling)
    ws.wait_endpoint("sampled", timeout=SOON)

    for number in range(3):
        assert ask(api, "sampled", inputs={"x": [[number, 0, 0, 0]]}).status_code == 200

    until(lambda: ws.runs(status="done"))
    (seen,) = ws.find("type:seen")
    lines = [json.loads(line) for line in b"".join(ws.cat(seen, "seen")).splitlines()]
    assert sorted(line["request"]["inputs"]["x"][0][0] for line in lines) == [0, 1, 2]
    assert {line["data"] for line in lines} == {model.id}
    assert model.id in [node.id for node in ws.lineage(seen, way="up").data]


def test_a_job_is_answered_later_and_its_result_is_data_with_lineage(
    api: ServedApi, ws: RemoteWorkspace, digits: str, model: raykqi.Data
) -> None:
    left = ask(api, digits, "jobs")
    assert left.status_code == 202
    job = left.json()["id"]

    until(lambda: [each for each in ws.jobs(digits) if each.id == job and each.status != "waiting"])

    ended = ws.job(job)
    assert ended.status == "done", ended.reason
    url = f"{api.url}/endpoints/{digits}/jobs/{job}"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {api.token}"})
    assert answer.json()["outputs"] == ask(api, digits).json()["outputs"]
    made_of = {node.id for node in ws.lineage(ended.result, way="up").data}
    assert {model.id, ended.request} <= made_of


def test_a_token_of_an_endpoint_asks_that_one_and_nothing_else(
    api: ServedApi, ws: RemoteWorkspace, digits: str
) -> None:
    issued, token = ws.issue_token("robot", endpoint=digits)
    assert ask(api, digits, token=token).status_code == 200
    assert httpx.get(
        f"{api.url}/api/v1/projects/default/data", headers={"Authorization": f"Bearer {token}"}
    ).status_code in (403, 404)

    ws.revoke_token(issued.id)

    until(lambda: ask(api, digits, token=token).status_code == 401)


@pytest.mark.parametrize(
    ("write", "reason"), [(models.corrupt, "onnx"), (models.too_new, "opset"), (models.failing_init, "")]
)
def test_a_model_that_cannot_be_loaded_leaves_the_old_one_serving(
    api: ServedApi, ws: RemoteWorkspace, folder: Path, model: raykqi.Data, write: Callable[[Path], Path], reason: str
) -> None:
    name = f"bad-{write.__name__.replace('_', '-')}"
    ws.tag(model, add=[f"for:{name}"])
    ws.deploy(name, tags=[f"for:{name}"], cpu=0)
    ws.wait_endpoint(name, timeout=SOON)
    write(folder / name)

    bad = ws.push(folder / name, [f"for:{name}"])

    with pytest.raises(RaykqiError, match="(?i)" + reason):
        ws.wait_endpoint(name, timeout=SOON)
    assert {each.data: each.status for each in ws.endpoint(name).revisions} == {model.id: "live", bad.id: "failed"}
    assert ask(api, name).headers["raykqi-data"] == model.id
    ws.remove_endpoint(name)


def test_a_paused_endpoint_says_so_until_it_is_resumed(api: ServedApi, ws: RemoteWorkspace, model: raykqi.Data) -> None:
    ws.deploy("resting", data=model, cpu=0)
    ws.wait_endpoint("resting", timeout=SOON)

    ws.pause("resting", reason="it saw bad data")

    def says_so() -> bool:
        answer = ask(api, "resting")
        return answer.status_code == 503 and "it saw bad data" in answer.text and "retry-after" in answer.headers

    until(says_so)

    ws.resume("resting")
    until(lambda: ask(api, "resting").status_code == 200)
    ws.remove_endpoint("resting")
    until(lambda: ask(api, "resting").status_code == 404)


@pytest.mark.soak
def test_a_request_that_waits_for_a_replica_does_not_wait_for_ever(
    api: ServedApi, ws: RemoteWorkspace, model: raykqi.Data
) -> None:
    ws.deploy("coming", data=model, cpu=8)  # which no node has
    until(lambda: "taken more than" in ws.endpoint("coming").reason)
    began = time.monotonic()

    answer = ask(api, "coming")

    assert answer.status_code == 503
    assert "no replica was ready within 30 s" in answer.text
    assert answer.headers["retry-after"]
    assert 25 < time.monotonic() - began < 45
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        waiting = pool.submit(ask, api, "coming")
        ws.pause("coming")
        assert "it was taken off" in waiting.result().text or "it is paused" in waiting.result().text
    assert time.monotonic() - began < 20
    ws.remove_endpoint("coming")


def test_one_that_sleeps_wakes_for_a_request(api: ServedApi, ws: RemoteWorkspace, model: raykqi.Data) -> None:
    ws.deploy("sleepy", data=model, cpu=0, scale=raykqi.Scale(least=0, most=1, idle=1.0))
    ws.wait_endpoint("sleepy", timeout=SOON)
    until(lambda: not ws.endpoint_replicas("sleepy"))

    assert ask(api, "sleepy").status_code == 200

    ws.remove_endpoint("sleepy")


@pytest.mark.parametrize(("gpu", "seen"), [(0.0, ""), (0.5, "0")])
def test_a_model_sees_the_gpus_of_its_replica_and_nothing_of_ray(
    api: ServedApi, ws: RemoteWorkspace, folder: Path, gpu: float, seen: str
) -> None:
    models.custom(folder / "telling", body=TELLING)
    name = f"telling-{bool(gpu)}".lower()
    ws.deploy(name, data=ws.push(folder / "telling"), cpu=0, gpu=gpu)
    ws.wait_endpoint(name, timeout=SOON)

    told = ask(api, name, x=1).json()["outputs"]

    assert told["CUDA_VISIBLE_DEVICES"] == seen
    assert [key for key in told if key.startswith(("RAY_", "RAYKQI_", "AWS_"))] == []
    ws.remove_endpoint(name)


def test_prometheus_is_told_of_revisions(api: ServedApi, digits: str) -> None:
    ask(api, digits)
    of = 'raykqi_endpoint_answers_total{endpoint="digits",outcome="done",project="default",revision="1"}'

    until(lambda: of in httpx.get(f"{api.url}/metrics", headers={"Authorization": f"Bearer {api.token}"}).text)


def test_a_log_tells_what_replicas_and_models_say(ws: RemoteWorkspace, digits: str) -> None:
    until(lambda: b"revision 1 is ready" in b"".join(ws.endpoint_log(digits)))
