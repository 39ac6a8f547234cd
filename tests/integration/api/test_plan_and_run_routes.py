"""Plans and runs over HTTP: apply, check, change, why; what waits; stop, retry, remove."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from raykqi.domain.plan import Definition, PlanInput, PlanOutput
from raykqi.domain.tags import Tag
from raykqi.importers.draft import Draft
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served

YAML = {"Content-Type": "application/yaml"}
PLAN = """
name: NAME
command: [echo, "{params.word}"]
inputs:
- path: /in
  tags: [for:NAME]
outputs:
- path: /out
  tags: [by:NAME]
params:
  word: hello
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("plans"), ApiOptions(dashboard="http://127.0.0.1:8265")) as server:
        yield server


@pytest.fixture
def ken(server: Served) -> Iterator[httpx.Client]:
    with server.client("ken") as client:
        yield client


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["type"].removeprefix("urn:raykqi:error:"))


def apply(ken: httpx.Client, name: str, **query: object) -> httpx.Response:
    return ken.post("/plans", content=PLAN.replace("NAME", name), headers=YAML, params=query)  # type: ignore[arg-type]


def test_a_plan_file_is_applied_as_it_is(ken: httpx.Client) -> None:
    made = apply(ken, "made", param="word=bye")

    assert made.status_code == 201
    plan = made.json()["plan"]
    assert made.headers["location"] == f"/api/v1/projects/default/plans/{plan['id']}"
    assert plan["definition"]["params"] == [{"name": "word", "value": "bye"}]
    assert plan["creator"] == "ken"
    assert ken.get("/plans/made").json()["id"] == plan["id"]
    assert ken.get(f"/plans/{plan['id'][:20]}").json()["id"] == plan["id"]


def test_the_same_plan_twice_is_refused_unless_told_otherwise(ken: httpx.Client) -> None:
    first = apply(ken, "twice").json()["plan"]

    assert error_of(apply(ken, "twice")) == (409, "PlanExists")
    assert apply(ken, "twice", exist_ok="true").json()["plan"]["id"] == first["id"]


def test_a_draft_is_applied_as_json(ken: httpx.Client) -> None:
    draft = Draft(
        Definition(
            name="drafted",
            command=("true",),
            inputs=(PlanInput("in", "/in", (Tag("for", "drafted"),)),),
            outputs=(PlanOutput("out", "/out"),),
        )
    )

    made = ken.post("/plans", content=msgspec.json.encode({"draft": draft}))

    assert made.json()["plan"]["definition"]["name"] == "drafted"


def test_a_dry_run_tells_the_runs_that_it_would_make(server: Served, ken: httpx.Client) -> None:
    data = server.workspace.push(__file__, ["for:dry"])

    dry = apply(ken, "dry", dry_run="true")

    assert (dry.status_code, dry.json()["plan"]) == (200, None)
    assert [run["inputs"][0]["data"] for run in dry.json()["runs"]] == [data.id]
    assert error_of(ken.get("/plans/dry")) == (404, "UnknownId")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[",
        "command: [true]\nsource: /etc\n",
        "command: [true]\nsource: git+https://example.com/x@main\n",
        "command: [true]\nruntime_env: {working_dir: /etc}\n",
        "command: [true]\nruntime_env: {pip: /etc/passwd}\n",
        "inputs: []\n",
        "command: [true]\nnonsense: 1\n",
        "\0",
        "{a: &a [*a]}",
    ],
)
def test_a_plan_that_breaks_a_rule_or_means_files_of_the_server_is_refused(ken: httpx.Client, text: str) -> None:
    status, error = error_of(ken.post("/plans", content=text, headers=YAML))

    assert (status, error) == (400, "InvalidInput")


@pytest.mark.parametrize(
    "more", [{"source": "/etc"}, {"source": "git+https://example.com/x@main"}, {"source_files": ["x"]}, {}]
)
def test_a_draft_that_means_files_of_the_server_is_refused(ken: httpx.Client, more: dict[str, object]) -> None:
    plan_input = {"name": "in", "path": "/in", "tags": [["a", "b"]]}
    definition: dict[str, object] = {"name": "d", "command": ["true"], "inputs": [plan_input]}
    assert ken.post("/plans/check", json={"draft": {"definition": definition}}).status_code == 200
    draft = {"definition": definition if more else definition | {"runtime_env": {"working_dir": "/etc"}}}

    for url in ("/plans", "/plans/check"):
        response = ken.post(url, json={"draft": draft | more})
        assert error_of(response) == (400, "InvalidInput")
        assert response.json()["detail"] == "a draft that is sent names no source"


def test_a_plan_is_checked_without_being_applied(ken: httpx.Client) -> None:
    checked = ken.post("/plans/check", content=PLAN.replace("NAME", "checked"), headers=YAML)

    assert checked.json()["definition"]["outputs"] == [{"name": "out", "path": "/out", "tags": [["by", "checked"]]}]
    assert error_of(ken.get("/plans/checked")) == (404, "UnknownId")


def test_plans_are_listed_by_what_they_take_and_make(ken: httpx.Client) -> None:
    plan = apply(ken, "listed").json()["plan"]

    def found(**query: str) -> list[str]:
        return [item["id"] for item in ken.get("/plans", params=query).json()["items"]]

    assert found(in_tag="for:listed") == [plan["id"]]
    assert found(out_tag="by:listed", active="true") == [plan["id"]]
    assert found(name="listed", active="false") == []
    assert error_of(ken.get("/plans?active=perhaps")) == (400, "InvalidQuery")
    assert error_of(ken.get("/plans?annotation=x")) == (400, "InvalidInput")


def test_a_plan_is_changed_in_one_step_and_only_as_it_was_read(ken: httpx.Client) -> None:
    apply(ken, "changed")
    etag = ken.get("/plans/changed").headers["etag"]
    change = {
        "active": False,
        "resources": {"cpu": "2", "memory": "2Gi"},
        "running": 3,
        "add_annotations": ["owner=ken"],
    }

    changed = ken.patch("/plans/changed", json=change, headers={"If-Match": etag})
    again = ken.patch("/plans/changed", json={"active": True}, headers={"If-Match": etag})

    settings = changed.json()["settings"]
    assert settings["active"] is False
    assert settings["resources"] == {"cpu": 2000, "memory": 2 * 1024**3}
    assert settings["limits"] == {"running": 3}
    assert settings["annotations"] == [["owner", "ken"]]
    assert error_of(again) == (412, "PreconditionFailed")
    assert changed.headers["etag"] == ken.get("/plans/changed").headers["etag"] != etag


@pytest.mark.parametrize(
    "change",
    [
        {"running": -1},
        {"pending": 0},
        {"running": 10**30},
        {"resources": {"cpu": "many"}},
        {"nonsense": 1},
        {"add_annotations": ["x"]},
        {"service_account": "\0"},
    ],
    ids=str,
)
def test_a_change_that_cannot_be_is_refused(ken: httpx.Client, change: dict[str, object]) -> None:
    apply(ken, "refused", exist_ok="true")

    assert error_of(ken.patch("/plans/refused", json=change)) == (400, "InvalidInput")


def test_it_is_told_why_data_is_taken_or_not(server: Served, ken: httpx.Client) -> None:
    apply(ken, "why")
    data = server.workspace.push(__file__, ["for:nothing"])

    why = ken.get("/plans/why/why", params={"data": data.id}).json()

    assert why["is_match"] is False
    assert why["inputs"][0]["missing"] == [["for", "why"]]
    assert ken.get(f"/data/{data.id}/matches").json() == []


def test_plans_that_feed_each_other_are_a_graph(ken: httpx.Client) -> None:
    first = apply(ken, "feeds").json()["plan"]["id"]
    text = PLAN.replace("for:NAME", "by:feeds").replace("NAME", "fed")
    second = ken.post("/plans", content=text, headers=YAML).json()["plan"]["id"]

    links = ken.get("/plans/graph", params={"plan": "feeds"}).json()["links"]

    assert links == [{"source": first, "output": "out", "target": second, "input": "in"}]


def test_runs_are_listed_counted_shown_and_removed(server: Served, ken: httpx.Client) -> None:
    apply(ken, "runs")
    data = [server.workspace.push(__file__, ["for:runs"]) for _ in range(3)]

    listed = ken.get("/runs?plan=runs&limit=2").json()
    run = listed["items"][0]
    assert listed["next_cursor"]
    assert (run["status"], run["inputs"][0]["data"]) == ("waiting", data[-1].id)
    assert ken.get("/runs/count?plan=runs").json() == {"count": 3, "by_status": {"waiting": 3}}
    assert ken.get(f"/runs?input={data[0].id}").json()["items"][0]["plan"] == run["plan"]
    shown = ken.get(f"/runs/{run['id']}").json()
    assert shown["links"]["log"] == f"/api/v1/projects/default/runs/{run['id']}/log"
    assert "dashboard" not in shown["links"]  # it has not begun
    page = ken.get(f"/runs/{run['id']}/dashboard")
    assert (page.status_code, page.headers["location"]) == (303, "http://127.0.0.1:8265/#/actors")
    assert ken.get(f"/runs/{run['id']}/beat").json() is None
    assert ken.get(f"/runs/{run['id']}/files").json() == []
    assert error_of(ken.get(f"/runs/{run['id']}/log")) == (409, "Conflict")
    assert ken.post("/runs/statuses", json={"runs": [run["id"]]}).json() == {run["id"]: "waiting"}

    stopped = ken.post("/runs/stop", json={"runs": [run["id"]], "fail": True}).json()
    assert [each["status"] for each in stopped] == ["failed"]
    assert error_of(ken.post("/runs/stop", json={"runs": [run["id"]]})) == (409, "Conflict")
    retried = ken.post("/runs/retry", json={"runs": [run["id"]]}, headers={"Idempotency-Key": "again"}).json()
    assert [each["status"] for each in retried] == ["waiting"]
    ken.post("/runs/stop", json={"runs": [run["id"]], "fail": True})
    assert ken.post("/runs/remove", json={"runs": [run["id"]], "reason": "wrong"}).json() == [run["id"]]
    assert ken.get(f"/runs/{run['id']}").json()["status"] == "invalidated"
    assert error_of(ken.get(f"/runs/{run['id']}/log")) == (410, "DataGone")


@pytest.mark.parametrize("query", ["status=happy", "plan=nothing", "input=ffffffff", "limit=0", "cursor=x"])
def test_a_query_for_runs_that_cannot_be_is_refused(ken: httpx.Client, query: str) -> None:
    assert error_of(ken.get(f"/runs?{query}"))[0] in (400, 404)


@pytest.mark.parametrize("body", [{}, {"runs": []}, {"runs": ["x"]}, {"runs": ["ffffffff"]}, {"runs": "x"}])
def test_runs_that_are_not_there_are_not_stopped(ken: httpx.Client, body: dict[str, object]) -> None:
    assert error_of(ken.post("/runs/stop", json=body))[0] in (400, 404)


def test_a_request_with_a_key_is_done_once(server: Served, ken: httpx.Client, tmp_path: Path) -> None:
    key = {"Idempotency-Key": "apply-once"}
    text = PLAN.replace("NAME", "once")

    first = ken.post("/plans", content=text, headers=YAML | key)
    again = ken.post("/plans", content=text, headers=YAML | key)
    other = ken.post("/plans", content=text.replace("hello", "other"), headers=YAML | key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert error_of(other) == (409, "Conflict")
    with server.client("mika") as mika:  # keys of others are theirs
        assert error_of(mika.post("/plans", content=text, headers=YAML | key)) == (409, "PlanExists")
    assert error_of(ken.post("/plans", content=text, headers=YAML | {"Idempotency-Key": "k" * 300})) == (
        400,
        "InvalidInput",
    )
