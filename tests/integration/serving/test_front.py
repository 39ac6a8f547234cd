"""What an endpoint answers, and how: predictions, health, metadata, refusals."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest

from raykqi.domain.endpoint import RequestLimits
from raykqi.domain.rollout import LATENCIES_MS
from tests.integration.serving.fronts import SPEC, Fronted, eventually, spec

ROW = [0.5, -1.0, 2.0, 0.25]
V2 = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": ROW}]}


def by_hand(front: Fronted, row: list[float]) -> Any:
    session = onnxruntime.InferenceSession(front.folder / "mlp" / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array([row], np.float32)})[0]


def test_a_prediction_says_which_model_and_revision_gave_it(digits: Fronted) -> None:
    answer = digits.client.post("/predict", json={"inputs": {"x": [ROW]}}, headers={"x-request-id": "r-1"})

    assert answer.status_code == 200, answer.text
    assert answer.headers["raykqi-data"] == digits.controller.wanted.revisions[0].data
    assert answer.headers["raykqi-revision"] == "3"
    assert answer.headers["raykqi-endpoint"] == "digits"
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["content-type"] == "application/json"
    found = np.array(answer.json()["outputs"]["probabilities"], np.float32)
    assert np.array_equal(found, by_hand(digits, ROW))


def test_labels_and_the_sample_of_the_card_are_answered(digits: Fronted) -> None:
    label = digits.client.post("/predict/label", json={"inputs": {"x": [ROW]}})
    tested = [digits.client.request(method, "/predict/test") for method in ("GET", "POST")]

    assert label.status_code == 200, label.text
    assert "one" in label.text or "two" in label.text or "zero" in label.text
    assert [each.status_code for each in tested] == [200, 200]


def test_who_asks_for_the_model_is_told_its_card(digits: Fronted) -> None:
    said = digits.client.get("/metadata")

    assert said.status_code == 200
    assert said.headers["raykqi-revision"] == "3"
    about = said.json()
    assert (about["endpoint"], about["revision"], about["kind"], about["batches"]) == ("digits", 3, "onnx", True)
    assert about["title"] == "digits"
    assert about["labels"] == ["zero", "one", "two"]
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]


def test_health_is_told_without_a_token(digits: Fronted) -> None:
    for path in ("/health", "/v2/health/live", "/v2/health/ready"):
        answer = httpx.get(digits.url + path, trust_env=False)
        assert answer.status_code == 200, path
        assert answer.headers["raykqi-endpoint"] == "digits"
    assert httpx.get(f"{digits.url}/health", trust_env=False).json() == {
        "status": "ready",
        "endpoint": "digits",
        "revisions": [3],
    }


def test_the_protocol_knows_revisions_as_versions(digits: Fronted) -> None:
    client = digits.client

    assert client.get("/v2").json()["name"] == "raykqi"
    assert client.get("/v2/models/digits").json() == {
        "name": "digits",
        "versions": ["3"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert client.get("/v2/models/digits/versions/3/ready").status_code == 200
    answer = client.post("/v2/models/digits/versions/3/infer", json=V2)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["model_name"], answer.json()["model_version"]) == ("digits", "3")
    assert client.post("/v2/repository/index").json() == [{"name": "digits", "version": "3", "state": "READY"}]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v2/models/digits/versions/2", 404, "revision 2 of digits is not served"),
        ("POST", "/v2/models/digits/versions/2/infer", 404, "Those that are: 3"),
        ("POST", "/v2/models/digits/versions/x/infer", 404, "revision x"),
        ("GET", "/v2/models/letters", 404, "there is no model 'letters' here"),
        ("GET", "/v2/models/digits/config", 404, "there is nothing at"),
        ("GET", "/predictions", 404, "POST /predict"),
        ("GET", "/", 404, "POST /predict"),
        ("GET", "/predict", 405, "GET is not for this path"),
        ("PUT", "/v2/models/digits/infer", 405, "It takes POST"),
        ("POST", "/health", 405, "It takes GET"),
    ],
)
def test_what_is_not_there_is_told_as_a_problem(
    digits: Fronted, method: str, path: str, status: int, words: str
) -> None:
    answer = digits.client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["error"]
    assert answer.json()["status"] == status
    assert answer.json()["instance"] == f"/endpoints/digits{path}"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    if status == 405:
        assert "OPTIONS" in answer.headers["allow"]


def test_head_and_options_are_answered(digits: Fronted) -> None:
    head = digits.client.head("/metadata")
    options = digits.client.options("/predict")

    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(digits.client.get("/metadata").content)
    assert (options.status_code, options.headers["allow"]) == (204, "POST, OPTIONS")


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"inputs": {"y": [[1, 2, 3, 4]]}}', "application/json", 400),
        (b'{"inputs": {"x": [[1, 2, 3]]}}', "application/json", 400),
        (b'{"inputs": ', "application/json", 400),
        (b"<xml/>", "application/xml", 415),
    ],
)
def test_a_mistake_of_the_asker_is_told_by_the_model_and_counts_as_refused(
    digits: Fronted, content: bytes, content_type: str, status: int
) -> None:
    before = digits.counted(3)

    answer = digits.client.post("/predict", content=content, headers={"content-type": content_type})

    assert answer.status_code == status
    assert answer.json()["error"]
    assert answer.headers["raykqi-revision"] == "3"
    eventually(lambda: digits.controller.counts(3).refused == before.refused + 1, "the refusal was reported")


def test_packed_bodies_are_understood(digits: Fronted) -> None:
    packed = gzip.compress(json.dumps(V2).encode())

    answer = digits.client.post("/v2/models/digits/infer", content=packed, headers={"content-encoding": "gzip"})

    assert answer.status_code == 200, answer.text
    assert np.array_equal(np.array([answer.json()["outputs"][0]["data"]], np.float32), by_hand(digits, ROW))


def test_answers_are_counted_and_reported(digits: Fronted) -> None:
    before = digits.counted(3)

    for _ in range(5):
        assert digits.client.post("/predict", json={"inputs": {"x": [ROW]}}).status_code == 200

    counts = eventually(
        lambda: now if (now := digits.controller.counts(3)).answers == before.answers + 5 else None, "all five"
    )
    assert counts.errors == before.errors
    assert sum(counts.latencies) == counts.answers
    assert len(counts.latencies) == len(LATENCIES_MS) + 1
    assert counts.seconds > before.seconds
    assert counts.batches == before.batches + 5


def test_a_body_in_pieces_is_taken_together(digits: Fronted) -> None:
    body = json.dumps({"inputs": {"x": [ROW]}}).encode()

    answer = digits.client.post(
        "/predict", content=iter([body[:10], body[10:]]), headers={"content-type": "application/json"}
    )

    assert answer.status_code == 200, answer.text


def test_a_body_that_is_too_large_is_refused_before_it_is_read(digits: Fronted) -> None:
    digits.controller.change(spec=spec(limits=RequestLimits(body=1_000)))
    eventually(lambda: digits.replica.spec.limits.body == 1_000)
    try:
        # Only its length is sent.
        host, port = digits.address
        with socket.create_connection((host, port), timeout=10) as raw:
            raw.sendall(
                b"POST /endpoints/digits/predict HTTP/1.1\r\nhost: x\r\nauthorization: Bearer rk_good\r\n"
                b"content-type: application/json\r\ncontent-length: 1073741824\r\n\r\n"
            )
            assert raw.recv(100).startswith(b"HTTP/1.1 413")
        chunked = digits.client.post("/predict", content=iter([b"x" * 600, b"x" * 600]))
        assert chunked.status_code == 413
        assert "1,000 bytes" in chunked.json()["error"]
    finally:
        digits.controller.change(spec=SPEC)
        eventually(lambda: digits.replica.spec.limits.body != 1_000)
        digits.until_ready(3)
