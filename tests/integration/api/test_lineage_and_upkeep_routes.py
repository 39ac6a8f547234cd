"""Lineage in all its forms, upkeep for administrators, and what the server says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from raykqi import __version__
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("lineage"), ApiOptions()) as server:
        yield server


@pytest.fixture
def rui(server: Served) -> Iterator[httpx.Client]:
    with server.client("rui") as client:
        yield client


@pytest.fixture
def mika(server: Served) -> Iterator[httpx.Client]:
    with server.client("mika") as client:
        client.base_url = server.url
        yield client


@pytest.fixture(scope="module")
def family(server: Served) -> tuple[str, str]:
    """A data and what was made of it by hand; tags that would be scripts in a page."""
    mother = server.workspace.push(__file__, ["name:<script>alert(1)</script>"])
    child = server.workspace.push(__file__, ["of:her"], inputs={"mother": mother.id})
    return mother.id, child.id


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["type"].removeprefix("urn:raykqi:error:"))


def test_lineage_goes_as_far_and_the_way_that_is_asked_for(rui: httpx.Client, family: tuple[str, str]) -> None:
    mother, child = family

    both = rui.get(f"/lineage/{child}").json()
    down = rui.get(f"/lineage/{child}?way=down").json()

    assert {node["id"] for node in both["data"]} == {mother, child}
    assert {node["id"] for node in down["data"]} == {child}
    assert rui.get(f"/lineage/{child}?as_of=2099-01-01&depth=1&siblings=true").status_code == 200


@pytest.mark.parametrize(
    ("form", "media", "begins"),
    [
        ("json", "application/json", '{"start"'),
        ("mermaid", "text/vnd.mermaid; charset=utf-8", ""),
        ("dot", "text/vnd.graphviz; charset=utf-8", "digraph"),
        ("svg", "image/svg+xml", "<svg"),
        ("text", "text/plain; charset=utf-8", ""),
        ("openlineage", "application/x-ndjson", '{"'),
    ],
)
def test_lineage_comes_in_every_form(
    rui: httpx.Client, family: tuple[str, str], form: str, media: str, begins: str
) -> None:
    shown = rui.get(f"/lineage/{family[1]}?format={form}")

    assert (shown.status_code, shown.headers["content-type"]) == (200, media)
    assert shown.text.lstrip().startswith(begins)
    if form == "svg":
        assert "<script>" not in shown.text
        assert "sandbox" in shown.headers["content-security-policy"]
    if form == "openlineage":
        assert all(json.loads(line) for line in shown.text.splitlines())


def test_ways_and_differences_between_two(rui: httpx.Client, family: tuple[str, str]) -> None:
    mother, child = family

    path = rui.get("/lineage/path", params={"ancestor": mother, "descendant": child}).json()
    back = rui.get("/lineage/path", params={"ancestor": child, "descendant": mother}).json()
    compared = rui.get("/lineage/compare", params={"left": mother, "right": child}).json()

    assert len(path["edges"]) == 2
    assert back["edges"] == []
    assert {node["id"] for node in compared["only_right"]} >= {mother} or compared["shared"]


@pytest.mark.parametrize("query", ["depth=0", "depth=x", "way=sideways", "as_of=x", "format=png", "nonsense=1"])
def test_a_question_about_lineage_that_cannot_be_is_refused(
    rui: httpx.Client, family: tuple[str, str], query: str
) -> None:
    assert error_of(rui.get(f"/lineage/{family[0]}?{query}"))[0] == 400


def test_administrators_look_after_the_workspace(mika: httpx.Client) -> None:
    def do(what: str, **body: object) -> httpx.Response:
        return mika.post(f"/api/v1/upkeep/{what}", json=body)

    assert do("gc", dry_run=True).json()["dry_run"] is True
    assert do("fsck").json()["problems"] == []
    assert do("snapshot").json()["key"].startswith("snapshots/")
    assert do("compact").json()["entries"] >= 0
    assert do("rebuild").json()["seq"] == int(mika.get("/api/v1").headers["raykqi-seq"])
    assert {finding["state"] for finding in mika.get("/api/v1/upkeep/doctor").json()} <= {"good", "warning"}
    assert error_of(do("gc", grace_seconds=-1)) == (400, "InvalidInput")
    assert error_of(do("gc", nonsense=1)) == (400, "InvalidInput")


def test_the_server_says_what_it_is(server: Served) -> None:
    about = httpx.get(f"{server.url}/api/v1").json()

    assert (about["name"], about["version"], about["api"]) == ("raykqi", __version__, 1)
    assert about["workspace"] == server.workspace.id
    assert httpx.get(f"{server.url}/openapi.json").json()["openapi"] == "3.1.0"
    assert httpx.get(f"{server.url}/", follow_redirects=True).status_code == 200


def test_metrics_tell_of_requests_and_runs_of_ones_own_projects(server: Served, mika: httpx.Client) -> None:
    server.workspace.create_project("other")
    server.workspace.acting(user="mika", project="other").push(__file__)
    server.workspace.push(__file__)
    with server.client("rui") as rui:
        rui.base_url = httpx.URL(server.url)
        own = rui.get("/metrics").text

    everything = mika.get("/metrics").text
    assert 'raykqi_runs{project="other",status="done"} 1.0' in everything
    assert 'project="other"' not in own
    assert 'raykqi_runs{project="default",status="done"}' in own
    assert 'raykqi_http_requests_total{method="GET",route="/metrics",status="200"}' in everything
    for name in (
        "raykqi_http_request_seconds_bucket",
        "raykqi_index_seq",
        "raykqi_commits_total",
        "raykqi_queue_length",
    ):
        assert name in everything
