"""The server's own view of endpoints: why one does not answer, and the protocol for all of them at its root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from starlette.types import Receive, Scope, Send

from raykqi.domain.endpoint import Binding, EndpointSpec
from raykqi.domain.tags import Tag
from raykqi.engine.endpoint_commands import ChangeEndpoint, DeployEndpoint, RemoveEndpoint
from raykqi.workspace import Workspace
from serve_api.app import create_app
from serve_api.options import ApiOptions
from tests.integration.cluster.served_api import free_port
from tests.integration.lab import Lab
from tests.integration.serving.fronts import NAME, TOKEN, Fronted, listening

SPEC = EndpointSpec(Binding(tags=(Tag("type", "model"),)))


@pytest.fixture
def workspace(lab: Lab) -> Workspace:
    workspace = lab.open().ws
    for user, role in (("rui", "viewer"), ("ken", None)):
        workspace.add_user(user)
        if role:
            workspace.set_member(user, role)
    return workspace


@pytest.fixture
def url(workspace: Workspace) -> Iterator[str]:
    with listening(create_app(workspace, ApiOptions())) as url:
        yield url


def deploy(workspace: Workspace, name: str, spec: EndpointSpec = SPEC) -> str:
    [event, *_] = workspace._controller.submit(DeployEndpoint("tester", name, spec))
    return str(event.endpoint)  # type: ignore[union-attr]


def ask(workspace: Workspace, url: str, path: str, user: str = "", method: str = "POST") -> httpx.Response:
    token = workspace.issue_token("test", user=user)[1] if user else ""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.request(method, url + path, headers=headers, trust_env=False)


def test_an_endpoint_without_replicas_says_why(workspace: Workspace, url: str) -> None:
    id_ = deploy(workspace, "digits")

    waiting = ask(workspace, url, "/endpoints/digits/predict", "rui")
    assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "1")
    assert "no data has its tags yet" in waiting.json()["error"]

    workspace._controller.submit(ChangeEndpoint("tester", id_, paused=True, reason="it is wrong"))
    paused = ask(workspace, url, "/endpoints/digits/v2/models/digits/infer", "rui")
    assert paused.status_code == 503
    assert "it is paused" in paused.json()["error"]

    workspace._controller.submit(RemoveEndpoint("tester", id_))
    assert ask(workspace, url, "/endpoints/digits/predict", "rui").status_code == 404


def test_who_may_not_see_an_endpoint_hears_nothing_of_it(workspace: Workspace, url: str) -> None:
    deploy(workspace, "digits")
    deploy(workspace, "open", EndpointSpec(SPEC.binding, is_public=True))

    assert ask(workspace, url, "/endpoints/digits/predict").status_code == 401
    assert ask(workspace, url, "/endpoints/unknown/predict").status_code == 401
    foreign = ask(workspace, url, "/endpoints/digits/predict", "ken")
    unknown = ask(workspace, url, "/endpoints/unknown/predict", "ken")
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.json()["detail"].replace("digits", "unknown") == unknown.json()["detail"]
    assert ask(workspace, url, "/endpoints/open/predict").status_code == 503


def test_the_index_lists_what_the_asker_may_see(workspace: Workspace, url: str) -> None:
    deploy(workspace, "digits")

    mine = ask(workspace, url, "/v2/repository/index", "rui")
    foreign = ask(workspace, url, "/v2/repository/index", "ken")

    assert mine.json() == [
        {"name": "digits", "version": "", "state": "UNAVAILABLE", "reason": "no data has its tags yet"}
    ]
    assert foreign.json() == []
    assert ask(workspace, url, "/v2/repository/index").status_code == 401


def test_the_root_of_the_protocol_answers_for_the_server(workspace: Workspace, url: str) -> None:
    assert ask(workspace, url, "/v2", method="GET").json()["name"] == "raykqi"
    assert ask(workspace, url, "/v2/health/live", method="GET").status_code == 200
    assert ask(workspace, url, "/v2/health/ready", method="GET").json() == {"ready": True}
    assert ask(workspace, url, "/v2/health/live").status_code == 405
    assert ask(workspace, url, "/v2/models/digits/..%2F..%2Fapi", "rui").status_code == 404


def test_models_are_asked_at_the_root_of_the_server_as_at_their_endpoint(digits: Fronted) -> None:
    """Both stand behind one address, as behind the proxy of a cluster."""
    port = free_port()
    api = create_app(digits.workspace, ApiOptions(inside_url=f"http://127.0.0.1:{port}"))

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        is_endpoint = scope["type"] == "http" and scope["path"].startswith(f"/endpoints/{NAME}/")
        await (passed(digits, scope, receive, send) if is_endpoint else api(scope, receive, send))

    with listening(proxy, port) as url:
        client = triton.InferenceServerClient(url.removeprefix("http://"))
        try:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            assert client.is_server_ready()
            assert client.is_model_ready("digits", headers=dict(headers))
            values = np.random.default_rng(3).normal(size=(64, 4)).astype(np.float32)
            given = triton.InferInput("x", [64, 4], "FP32")
            given.set_data_from_numpy(values)
            answer = client.infer("digits", [given], headers=dict(headers))
            direct = digits.client.post("/predict", json={"inputs": {"x": values.tolist()}}).json()
            expected = np.array(direct["outputs"]["probabilities"], np.float32)
            assert np.array_equal(answer.as_numpy("probabilities"), expected)
            with pytest.raises(triton.InferenceServerException, match="no token"):
                client.infer("digits", [given])
        finally:
            client.close()
        raw = httpx.get(f"{url}/v2/models/digits", headers=headers | {"x-request-id": "r-7"}, trust_env=False)
        assert raw.headers["raykqi-revision"] == "3"
        assert raw.headers["x-request-id"] == "r-7"


def test_what_is_passed_on_says_no_more_than_the_asker_did(workspace: Workspace) -> None:
    """An answer must not be packed for who did not say that they unpack it."""
    port = free_port()
    api = create_app(workspace, ApiOptions(inside_url=f"http://127.0.0.1:{port}"))
    seen: dict[str, str] = {}

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/endpoints/"):
            seen.update({key.decode(): value.decode() for key, value in scope["headers"]})
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
        else:
            await api(scope, receive, send)

    with listening(proxy, port) as url, httpx.Client(trust_env=False) as client:
        del client.headers["accept-encoding"], client.headers["user-agent"]
        assert client.post(f"{url}/v2/models/digits/infer", content=b"{}").status_code == 200

    assert seen.keys() - {"host", "connection"} == {"accept", "content-length", "x-request-id"}


def test_a_server_that_does_not_know_itself_passes_nothing_on(workspace: Workspace, url: str) -> None:
    """Whoever asks must not choose where it asks."""
    deploy(workspace, "digits")

    answer = ask(workspace, url, "/v2/models/digits/infer", "rui")

    assert (answer.status_code, "does not know how to reach its endpoints" in answer.text) == (503, True)


async def passed(digits: Fronted, scope: Scope, receive: Receive, send: Send) -> None:
    """To the front in its own loop, as a proxy does."""
    body = b""
    while True:
        message: Any = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"].removeprefix(f"/endpoints/{NAME}")
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = [(key, value) for key, value in scope["headers"] if key not in (b"host", b"content-length")]
        answer = await client.request(scope["method"], digits.url + path, headers=headers, content=body)
    own = [(key, value) for key, value in answer.headers.raw if key.lower() != b"content-encoding"]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": own})
    await send({"type": "http.response.body", "body": answer.content})
