"""A stock client of the Open Inference Protocol, against the bare runtime: equal to the last bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton

from tests.integration.serving.fronts import TOKEN, Fronted

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def client(digits: Fronted) -> Iterator[triton.InferenceServerClient]:
    made = triton.InferenceServerClient(digits.url.removeprefix("http://"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def session(digits: Fronted) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(digits.folder / "mlp" / "model.onnx", providers=["CPUExecutionProvider"])


def test_the_client_finds_the_server_and_the_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits", headers=dict(HEADERS))
    assert client.is_model_ready("digits", "3", headers=dict(HEADERS))
    assert not client.is_model_ready("digits", "9", headers=dict(HEADERS))
    assert client.get_server_metadata(headers=dict(HEADERS))["extensions"] == ["binary_tensor_data", "classification"]
    metadata = client.get_model_metadata("digits", headers=dict(HEADERS))
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]


@pytest.mark.parametrize("is_binary", [False, True], ids=["json", "binary"])
@pytest.mark.parametrize("packed", [None, "gzip"])
def test_its_answers_are_those_of_the_runtime(
    client: triton.InferenceServerClient,
    session: onnxruntime.InferenceSession,
    is_binary: bool,
    packed: str | None,
) -> None:
    random = np.random.default_rng(7)
    for batch in (1, 2, 3, 7, 16, 33, 64):
        values = random.normal(size=(batch, 4)).astype(np.float32)
        given = triton.InferInput("x", [batch, 4], "FP32")
        given.set_data_from_numpy(values, binary_data=is_binary)
        wanted = triton.InferRequestedOutput("probabilities", binary_data=is_binary)

        answer = client.infer(
            "digits",
            [given],
            outputs=[wanted],
            headers=dict(HEADERS),
            request_id=f"batch-{batch}",
            request_compression_algorithm=packed,
            response_compression_algorithm=packed,
        )

        assert answer.get_response()["id"] == f"batch-{batch}"
        assert answer.get_response()["model_version"] == "3"
        found = answer.as_numpy("probabilities")
        assert np.array_equal(found, session.run(None, {"x": values})[0])


def test_a_mistake_is_told_in_the_words_that_the_client_shows(client: triton.InferenceServerClient) -> None:
    given = triton.InferInput("x", [1, 3], "FP32")
    given.set_data_from_numpy(np.zeros((1, 3), np.float32))

    with pytest.raises(triton.InferenceServerException, match="4"):
        client.infer("digits", [given], headers=dict(HEADERS))
    with pytest.raises(triton.InferenceServerException, match="no model 'letters'"):
        client.infer("letters", [given], headers=dict(HEADERS))
    with pytest.raises(triton.InferenceServerException, match="no token was given"):
        client.infer("digits", [given])
