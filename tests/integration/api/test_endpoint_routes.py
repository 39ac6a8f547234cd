"""Endpoints over HTTP: deployed, changed, rolled out and pulled, by whom it is allowed and once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from raykqi.domain.endpoint import RevisionStatus
from raykqi.engine.endpoint_commands import MoveRevision
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served

SPEC = {"binding": {"tags": [["stage", "prod"], ["type", "model"]]}}
_numbers = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("endpoints"), ApiOptions()) as server:
        yield server


@pytest.fixture
def ken(server: Served) -> Iterator[httpx.Client]:
    """A member."""
    with server.client("ken") as client:
        yield client


@pytest.fixture
def rui(server: Served) -> Iterator[httpx.Client]:
    """A viewer."""
    with server.client("rui") as client:
        yield client


@pytest.fixture
def model(server: Served, tmp_path: Path) -> str:
    return push(server, tmp_path)


def push(server: Served, folder: Path, **inputs: str) -> str:
    file = folder / f"model-{next(_numbers)}.onnx"
    file.write_text(file.name)
    return server.workspace.push(file, inputs=inputs).id


def deploy(client: httpx.Client, model: str) -> str:
    """Under a name of its own."""
    name = f"digits-{next(_numbers)}"
    response = client.post("/endpoints", json={"name": name, "spec": {"binding": {"data": model}}})
    assert response.status_code == 201, response.text
    return name


def move(server: Served, name: str, before: RevisionStatus, status: RevisionStatus, revision: int = 1) -> None:
    id_ = server.workspace.endpoint(name).id
    server.workspace._controller.submit(MoveRevision("raykqi", id_, revision, before, status))


def spec_of(endpoint: dict[str, Any]) -> dict[str, Any]:
    """Without what is as usual."""
    return {key: value for key, value in endpoint["spec"].items() if value != {}}


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["type"].removeprefix("urn:raykqi:error:"))


def test_an_endpoint_is_deployed_found_and_removed(ken: httpx.Client, rui: httpx.Client, model: str) -> None:
    name = deploy(ken, model)

    shown = rui.get(f"/endpoints/{name}").json()
    assert (shown["name"], shown["creator"], spec_of(shown)) == (name, "ken", {"binding": {"data": model}})
    assert [(each["number"], each["data"], each["status"]) for each in shown["revisions"]] == [(1, model, "loading")]
    assert name in [each["name"] for each in rui.get("/endpoints", params={"limit": 1000}).json()["items"]]

    assert ken.delete(f"/endpoints/{name}", params={"reason": "done"}).status_code == 204
    assert error_of(rui.get(f"/endpoints/{name}")) == (404, "UnknownId")


def test_a_deployment_says_where_it_is_and_whether_it_was_there(ken: httpx.Client, model: str) -> None:
    name = deploy(ken, model)

    again = ken.post("/endpoints", json={"name": name, "spec": SPEC})

    assert again.status_code == 200
    assert again.headers["Location"] == f"/api/v1/projects/default/endpoints/{name}"
    assert spec_of(again.json()) == SPEC


def test_a_page_leads_to_the_next(ken: httpx.Client, model: str) -> None:
    names = sorted(deploy(ken, model) for _ in range(2))

    seen, cursor = [], ""
    while True:
        page = ken.get("/endpoints", params={"limit": 1, "cursor": cursor}).json()
        seen += [each["name"] for each in page["items"]]
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    assert [name for name in seen if name in names] == names
    assert seen == sorted(set(seen))


def test_a_change_leaves_the_rest_as_it_was(ken: httpx.Client, model: str) -> None:
    name = deploy(ken, model)

    changed = ken.patch(f"/endpoints/{name}", json={"scale": {"least": 0, "most": 3}, "is_public": True})

    assert changed.status_code == 200
    assert spec_of(changed.json()) == {
        "binding": {"data": model},
        "scale": {"least": 0, "most": 3},
        "is_public": True,
    }
    assert len(changed.json()["revisions"]) == 1


def test_a_change_expects_what_it_was_made_from(ken: httpx.Client, model: str) -> None:
    name = deploy(ken, model)
    shown = ken.get(f"/endpoints/{name}")
    assert ken.get(f"/endpoints/{name}", headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304

    first = ken.patch(f"/endpoints/{name}", json={"surge": False}, headers={"If-Match": shown.headers["ETag"]})
    second = ken.patch(f"/endpoints/{name}", json={"surge": True}, headers={"If-Match": shown.headers["ETag"]})
    paused = ken.post(f"/endpoints/{name}/pause", json={}, headers={"If-Match": shown.headers["ETag"]})

    assert first.status_code == 200
    assert error_of(second) == (412, "PreconditionFailed")
    assert error_of(paused) == (412, "PreconditionFailed")
    assert ken.get(f"/endpoints/{name}").json()["is_paused"] is False


def test_what_is_asked_again_is_done_once(server: Served, ken: httpx.Client, tmp_path: Path) -> None:
    models = [push(server, tmp_path) for _ in range(3)]
    name = deploy(ken, models[0])
    for number, data in enumerate(models, 1):
        if number > 1:
            ken.patch(f"/endpoints/{name}", json={"binding": {"data": data}})
        move(server, name, "loading", "live", number)

    key = {"Idempotency-Key": "back-once"}
    for _ in range(2):
        assert ken.post(f"/endpoints/{name}/rollback", json={"reason": "bad"}, headers=key).status_code == 200

    statuses = {each["number"]: each["status"] for each in ken.get(f"/endpoints/{name}").json()["revisions"]}
    assert statuses == {1: "retired", 2: "loading", 3: "live"}


def test_pause_resume_promote_and_follow(server: Served, ken: httpx.Client, model: str) -> None:
    name = deploy(ken, model)

    paused = ken.post(f"/endpoints/{name}/pause", json={"reason": "bad data"}).json()
    assert (paused["is_paused"], paused["reason"]) == (True, "bad data")
    assert ken.post(f"/endpoints/{name}/resume").json()["is_paused"] is False

    move(server, name, "loading", "canary")
    promoted = ken.post(f"/endpoints/{name}/promote", json={}).json()
    assert [each["status"] for each in promoted["revisions"]] == ["live"]
    assert error_of(ken.post(f"/endpoints/{name}/promote", json={"revision": 7})) == (404, "UnknownId")

    assert ken.post(f"/endpoints/{name}/rollback", json={"data": model}).json()["is_pinned"] is True
    assert ken.post(f"/endpoints/{name}/follow").json()["is_pinned"] is False


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"binding": {}}, "bound to one data or to tags"),
        ({"binding": {"data": "abc"}}, "'abc' is no whole id of data"),
        (SPEC | {"scal": {}}, "unknown field `scal`"),
        (SPEC | {"canary": {"shar": 0.1}}, "unknown field `shar`"),
        (SPEC | {"canary": {"share": 3}}, "canary.share of 3.0 is not possible"),
        ({"binding": {"tags": [["raykqi#id", "x"]]}}, "only the system sets"),
    ],
)
def test_what_no_endpoint_can_be_is_refused(ken: httpx.Client, spec: object, problem: str) -> None:
    response = ken.post("/endpoints", json={"name": "refused", "spec": spec})

    assert response.status_code == 400
    assert problem in response.json()["detail"]
    assert ken.get("/endpoints/refused").status_code == 404


def test_a_token_of_an_endpoint_is_for_that_alone(server: Served, ken: httpx.Client, model: str) -> None:
    name = deploy(ken, model)

    made = ken.post(f"/endpoints/{name}/tokens", json={"name": "shop"})

    assert made.status_code == 201
    token, text = made.json()["token"], made.json()["text"]
    assert (token["endpoint"], token["project"], token["user"]) == (name, "default", "ken")
    caller = server.workspace.caller(text)
    assert (caller.endpoint, caller.roles, caller.is_admin) == (name, {}, False)
    narrow = {"Authorization": f"Bearer {text}"}
    for path in ("/api/v1/me", "/api/v1/projects/default/endpoints", f"/api/v1/projects/default/endpoints/{name}"):
        assert error_of(httpx.get(f"{server.url}{path}", headers=narrow, trust_env=False)) == (403, "Forbidden")
    assert error_of(ken.post("/endpoints/nothing/tokens", json={"name": "x"})) == (404, "UnknownId")

    ken.delete(f"/endpoints/{name}")
    gone = httpx.get(f"{server.url}/api/v1/me", headers=narrow, trust_env=False)
    assert error_of(gone) == (401, "Unauthenticated")


def test_a_token_of_an_endpoint_ends_with_its_users_place_in_the_project(server: Served, model: str) -> None:
    workspace = server.workspace
    workspace.add_user("guest")
    workspace.set_member("guest", "viewer")
    with server.client("guest") as guest, server.client("ken") as ken:
        name = deploy(ken, model)
        text = guest.post(f"/endpoints/{name}/tokens", json={"name": "t"}).json()["text"]
    assert workspace.caller(text).endpoint == name

    workspace.remove_member("guest")

    answer = httpx.get(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {text}"}, trust_env=False)
    assert error_of(answer) == (401, "Unauthenticated")


def test_what_came_of_bad_data_is_found_and_taken_off(server: Served, ken: httpx.Client, tmp_path: Path) -> None:
    bad = push(server, tmp_path)
    spoilt = push(server, tmp_path, data=bad)
    serving, past, other = deploy(ken, spoilt), deploy(ken, spoilt), deploy(ken, push(server, tmp_path))
    for name in (serving, past, other):
        move(server, name, "loading", "live")
    ken.patch(f"/endpoints/{past}", json={"binding": {"data": push(server, tmp_path)}})
    move(server, past, "loading", "live", 2)

    affected = ken.get(f"/lineage/{bad}/endpoints").json()
    assert [each["name"] for each in affected] == sorted([serving, past])
    shown = ken.get(f"/lineage/{bad}", params={"way": "down"}).json()
    assert {node["name"]: node["status"] for node in shown["endpoints"]} == {serving: "live", past: "live"}
    assert {edge["name"] for edge in shown["edges"] if edge["kind"] == "serves"} == {
        "revision 1, live",
        "revision 1, retired",
    }

    pulled = ken.post(f"/lineage/{bad}/endpoints/pull", json={"reason": "labels were swapped"}).json()

    assert [(each["name"], each["reason"]) for each in pulled] == [(serving, "labels were swapped")]
    paused = {name: ken.get(f"/endpoints/{name}").json()["is_paused"] for name in (serving, past, other)}
    assert paused == {serving: True, past: False, other: False}


def test_viewers_see_and_do_not_touch(ken: httpx.Client, rui: httpx.Client, model: str) -> None:
    name = deploy(ken, model)

    assert error_of(rui.post(f"/endpoints/{name}/pause", json={})) == (403, "Forbidden")
    assert error_of(rui.patch(f"/endpoints/{name}", json={"surge": False})) == (403, "Forbidden")
    assert error_of(rui.post(f"/lineage/{model}/endpoints/pull", json={})) == (403, "Forbidden")
    assert rui.get(f"/endpoints/{name}/jobs").json() == {"items": [], "next_cursor": ""}
    assert error_of(rui.get("/jobs/0")) == (404, "UnknownId")
