"""Data over HTTP: find, count, show, tag, give up; each with what is wrong about a request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from raykqi.domain.data import Data
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data"), ApiOptions()) as server:
        yield server


@pytest.fixture
def ken(server: Served) -> Iterator[httpx.Client]:
    with server.client("ken") as client:
        yield client


@pytest.fixture
def mika(server: Served) -> Iterator[httpx.Client]:
    with server.client("mika") as client:
        yield client


@pytest.fixture
def push(server: Served, tmp_path: Path) -> object:
    def push(*tags: str, content: str = "x") -> Data:
        (tmp_path / "file").write_text(content)
        return server.workspace.push(tmp_path / "file", tags)

    return push


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["type"].removeprefix("urn:raykqi:error:"))


def ids(response: httpx.Response) -> list[str]:
    return [item["id"] for item in response.json()["items"]]


def test_data_are_found_by_tags_that_must_and_must_not_be_there(ken: httpx.Client, push: object) -> None:
    cats = push("find:yes", "of:cats")  # type: ignore[operator]
    dogs = push("find:yes", "of:dogs")  # type: ignore[operator]

    assert ids(ken.get("/data?tag=find:yes")) == [dogs.id, cats.id]
    assert ids(ken.get("/data?tag=find:yes&order=oldest")) == [cats.id, dogs.id]
    assert ids(ken.get("/data?tag=find:yes&tag=of:cats")) == [cats.id]
    assert ids(ken.get("/data?tag=find:yes&without=of:cats")) == [dogs.id]
    assert ids(ken.get("/data?tag=find:yes&tag=!of:dogs")) == [cats.id]
    assert ken.get("/data/count?tag=find:yes").json() == {"count": 2}


def test_data_are_found_by_everything_else(ken: httpx.Client, push: object) -> None:
    small = push("else:yes", "name:日本語", content="x")  # type: ignore[operator]
    large = push("else:yes", content="x" * 5000)  # type: ignore[operator]

    def found(**more: str) -> list[str]:
        return ids(ken.get("/data", params={"tag": "else:yes", **more}))

    assert found(min_size="1000") == [large.id]
    assert found(max_size="1000") == [small.id]
    assert found(name="日本語") == [small.id]
    assert found(id=large.id[:20]) == [large.id]
    assert found(creator="nobody") == []
    assert found(upstream_run=small.upstream.run) == [small.id]
    assert found(since=large.created.isoformat()) == [large.id]
    assert found(until=large.created.isoformat()) == [small.id]


def test_a_long_list_comes_page_by_page(ken: httpx.Client, push: object) -> None:
    made = [push("paged:yes").id for _ in range(5)]  # type: ignore[operator]

    url, seen = "/data?tag=paged:yes&limit=2", []
    while url:
        page = ken.get(url)
        seen += ids(page)
        url = page.links["next"]["url"].partition("/default")[2] if "next" in page.links else ""

    assert seen == made[::-1]


def test_fields_may_be_chosen(ken: httpx.Client, push: object) -> None:
    data = push("fields:yes")  # type: ignore[operator]

    assert ken.get("/data?tag=fields:yes&fields=id,project").json()["items"] == [{"id": data.id, "project": "default"}]
    assert ken.get(f"/data/{data.id}?fields=status").json() == {"status": "done"}
    assert ken.get("/data?fields=id").headers["content-type"] == "application/vnd.raykqi.fields+json"
    assert error_of(ken.get("/data?fields=")) == (400, "InvalidQuery")
    assert error_of(ken.get("/data?fields=id,nonsense")) == (400, "InvalidQuery")
    assert error_of(ken.get("/data?fields=id&fields=tags")) == (400, "InvalidQuery")


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=1&limit=2",
        "cursor=x",
        "tag=nocolon",
        "since=yesteryear",
        "order=random",
        "min_size=x",
        "id=%00",
        "name=%00",
        "tag=raykqi%23nothing:x",
    ],
)
def test_a_query_that_cannot_be_is_refused(ken: httpx.Client, query: str) -> None:
    status, error = error_of(ken.get(f"/data?{query}"))

    assert status == 400
    assert error in ("InvalidQuery", "InvalidTag", "InvalidInput")


def test_one_data_is_shown_by_the_beginning_of_its_id(ken: httpx.Client, push: object) -> None:
    data = push("shown:yes")  # type: ignore[operator]

    shown = ken.get(f"/data/{data.id[:23]}")

    assert shown.json()["tags"] == [["shown", "yes"]]
    assert shown.json()["tree"]["files"] == 1


def test_data_that_has_not_changed_is_not_sent_again(ken: httpx.Client, push: object) -> None:
    data = push("etag:yes")  # type: ignore[operator]
    etag = ken.get(f"/data/{data.id}").headers["etag"]

    same = ken.get(f"/data/{data.id}", headers={"If-None-Match": etag})
    ken.patch(f"/data/{data.id}/tags", json={"add": ["more:yes"]})
    other = ken.get(f"/data/{data.id}", headers={"If-None-Match": etag})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200
    assert other.headers["etag"] != etag


@pytest.mark.parametrize("id_", ["ffffffff", "x", "%00", "%2e%2e", "%2F"])
def test_an_id_of_nothing_is_not_there(ken: httpx.Client, id_: str) -> None:
    assert error_of(ken.get(f"/data/{id_}"))[0] in (400, 404)


def test_tags_are_changed_and_a_dry_run_only_tells(ken: httpx.Client, push: object) -> None:
    data = push("a:1", "b:1")  # type: ignore[operator]

    dry = ken.patch(f"/data/{data.id}/tags", json={"add": ["c:1"], "remove": ["a:1"], "dry_run": True})
    wet = ken.patch(f"/data/{data.id}/tags", json={"add": ["c:1"], "remove": ["a:1"], "remove_keys": ["b"]})

    assert dry.json() == {"changes": [{"data": data.id, "removed": [["a", "1"]], "added": [["c", "1"]]}], "runs": []}
    assert wet.json()["changes"] == [{"data": data.id, "removed": [["a", "1"], ["b", "1"]], "added": [["c", "1"]]}]
    assert ken.get(f"/data/{data.id}").json()["tags"] == [["c", "1"]]


def test_many_data_are_tagged_in_one_step(ken: httpx.Client, push: object) -> None:
    two = [push("bulk:yes").id for _ in range(2)]  # type: ignore[operator]

    ken.post("/tags", json={"data": two, "add": ["stage:prod"]})

    assert ken.get("/data/count?tag=bulk:yes&tag=stage:prod").json() == {"count": 2}
    assert {"key": "bulk", "value": "yes", "count": 2} in ken.get("/tags?key=bulk").json()


def test_a_dry_run_of_tags_tells_the_runs_that_it_would_make(ken: httpx.Client, push: object) -> None:
    plan = "name: preview\ncommand: [echo, hi]\ninputs:\n- path: /in\n  tags: [preview:yes]\n"
    ken.post("/plans", content=plan, headers={"Content-Type": "application/yaml"}).raise_for_status()
    data = push()  # type: ignore[operator]

    runs = ken.patch(f"/data/{data.id}/tags", json={"add": ["preview:yes"], "dry_run": True}).json()["runs"]

    assert [[each["data"] for each in run["inputs"]] for run in runs] == [[data.id]]
    assert ken.get("/runs/count?plan=preview").json() == {"count": 0, "by_status": {}}


@pytest.mark.parametrize(
    "body",
    [
        '{"add":["x:y"],"nonsense":1}',
        '{"add":"x:y"}',
        '{"add":["nocolon"]}',
        '{"add":["raykqi#id:x"]}',
        "{",
        "[]",
        '"x"',
        '{"add":["x:\\u0000"]}',
        '{"add":["\\ud800:x"]}',
        "\xff",
        '{"dry_run":"yes"}',
        '{"add":[null]}',
    ],
)
def test_a_body_that_cannot_be_is_refused(ken: httpx.Client, push: object, body: str) -> None:
    data = push()  # type: ignore[operator]

    status, error = error_of(ken.patch(f"/data/{data.id}/tags", content=body.encode("latin-1")))

    assert status == 400
    assert error in ("InvalidInput", "InvalidTag")


def test_a_form_is_no_json(ken: httpx.Client, push: object) -> None:
    data = push()  # type: ignore[operator]

    assert error_of(ken.patch(f"/data/{data.id}/tags", data={"add": "x:y"})) == (400, "InvalidInput")


def test_data_is_purged_and_removed_with_a_reason(ken: httpx.Client, mika: httpx.Client, push: object) -> None:
    data = push("gone:soon")  # type: ignore[operator]

    assert error_of(ken.post("/data/purge", json={"data": [data.id], "reason": "x"})) == (403, "Forbidden")
    assert error_of(mika.post("/data/purge", json={"data": [data.id], "reason": " "})) == (400, "InvalidInput")
    assert error_of(mika.post("/data/purge", json={"data": [data.id]})) == (400, "InvalidInput")
    body = {"data": [data.id], "reason": "taken without consent"}
    assert mika.post("/data/purge", json=body | {"dry_run": True}).json() == [data.id]
    assert mika.post("/data/purge", json=body).json() == [data.id]
    key = {"Idempotency-Key": "remove"}
    assert [mika.post("/data/remove", json=body, headers=key).json() for _ in range(2)] == [[data.id]] * 2
    shown = ken.get(f"/data/{data.id}").json()
    assert shown["status"] == "removed"
    assert [(each["kind"], each["by"], each["reason"]) for each in shown["tombstones"]] == [
        ("purged", "mika", "taken without consent"),
        ("removed", "mika", "taken without consent"),
    ]


def test_ids_are_made_whole(ken: httpx.Client, push: object) -> None:
    data, *_ = [push() for _ in range(12)]  # type: ignore[operator]

    assert ken.get("/resolve", params={"prefix": data.id[:28]}).json() == {"id": data.id}
    assert ken.get("/resolve", params={"prefix": data.upstream.run, "kind": "run"}).json() == {"id": data.upstream.run}
    assert error_of(ken.get("/resolve", params={"prefix": data.upstream.run, "kind": "data"})) == (404, "UnknownId")
    status, error = error_of(ken.get("/resolve?prefix=0"))
    assert (status, error) == (409, "AmbiguousId")
    assert len(ken.get("/resolve?prefix=0").json()["candidates"]) == 10
    assert error_of(ken.get("/resolve")) == (400, "InvalidQuery")
