"""Many at once, and several replicas: one change wins, what was written is read, what has a key is done once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from raykqi.opening import open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, serve, served

AT_ONCE = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("races"), ApiOptions()) as server:
        yield server


@pytest.fixture
def ken(server: Served) -> Iterator[httpx.Client]:
    with server.client("ken") as client:
        yield client


def test_of_many_who_change_what_they_have_read_one_wins(server: Served, ken: httpx.Client) -> None:
    data = server.workspace.push(__file__)
    etag = ken.get(f"/data/{data.id}").headers["etag"]

    def change(number: int) -> int:
        body = {"add": [f"by:{number}"]}
        return ken.patch(f"/data/{data.id}/tags", json=body, headers={"If-Match": etag}).status_code

    with ThreadPoolExecutor(AT_ONCE) as threads:
        statuses = Counter(threads.map(change, range(AT_ONCE)))

    assert statuses == {200: 1, 412: AT_ONCE - 1}
    assert len(ken.get(f"/data/{data.id}").json()["tags"]) == 1


def test_any_state_will_do_for_a_star(server: Served, ken: httpx.Client) -> None:
    data = server.workspace.push(__file__)

    changed = ken.patch(f"/data/{data.id}/tags", json={"add": ["x:y"]}, headers={"If-Match": "*"})

    assert changed.status_code == 200


def test_a_request_that_is_sent_many_times_at_once_is_done_once(server: Served, ken: httpx.Client) -> None:
    plan = "name: once\ncommand: ['true']\ninputs:\n- path: /in\n  tags: [for:once]\n"
    headers = {"Content-Type": "application/yaml", "Idempotency-Key": "all-at-once"}

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda _: ken.post("/plans", content=plan, headers=headers), range(AT_ONCE)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["plan"]["id"] for answer in answers}) == 1
    assert len(server.workspace.plans(name="once")) == 1


def test_what_was_written_at_one_replica_is_read_at_another(server: Served, ken: httpx.Client) -> None:
    settings = Settings(cache_dir=server.root / "other-cache")
    with (
        Workspace(open_parts(server.workspace.url, settings), settings) as second,
        serve(second, ApiOptions()) as other,
    ):
        there = replace(server, url=other)
        with there.client("ken") as reader:
            for number in range(10):
                data = server.workspace.push(__file__)
                written = ken.patch(f"/data/{data.id}/tags", json={"add": [f"n:{number}"]})
                seen = {"Raykqi-Seq": written.headers["raykqi-seq"]}
                assert reader.get(f"/data/{data.id}", headers=seen).json()["tags"] == [["n", str(number)]]


def test_a_right_that_one_replica_takes_away_is_gone_at_another_within_a_second(
    server: Served, ken: httpx.Client
) -> None:
    settings = Settings(cache_dir=server.root / "other-cache")
    with (
        Workspace(open_parts(server.workspace.url, settings), settings) as second,
        serve(second, ApiOptions()) as other,
    ):
        server.workspace.add_user("short-lived")
        server.workspace.set_member("short-lived", "viewer")
        token, text = server.workspace.issue_token("t", user="short-lived")
        with httpx.Client(headers={"Authorization": f"Bearer {text}"}) as client:
            url = f"{other}/api/v1/projects/default/data"
            seq = str(server.workspace.seq)
            assert client.get(url, headers={"Raykqi-Seq": seq}).status_code in (200, 401)
            assert client.get(url).status_code == 200

            server.workspace.revoke_token(token)
            statuses = [client.get(url).status_code for _ in range(200)]

    assert statuses[-1] == 401
    assert statuses == sorted(statuses)


def test_a_server_without_storage_is_not_ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("away")
    with served(folder, ApiOptions()) as server:
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        (folder / "store" / "journal").rename(folder / "store" / "journal-away")
        deadline = time.monotonic() + 5
        while (response := httpx.get(f"{server.url}/readyz", timeout=30)).status_code == 200:
            assert time.monotonic() < deadline  # for a second it is remembered that all was well
        (folder / "store" / "journal-away").rename(folder / "store" / "journal")

    assert response.status_code == 503
    assert str(folder) not in response.text


def test_requests_are_answered_while_the_index_is_made_anew(server: Served, ken: httpx.Client) -> None:
    data = server.workspace.push(__file__)
    with server.client("mika") as mika, ThreadPoolExecutor(4) as threads:
        mika.base_url = httpx.URL(server.url)
        rebuilt = threads.submit(lambda: [mika.post("/api/v1/upkeep/rebuild", json={}) for _ in range(5)])
        answers = []
        while not rebuilt.done():
            answers.append(ken.get(f"/data/{data.id}"))
            answers.append(ken.get("/data"))

    assert {answer.status_code for answer in rebuilt.result()} == {200}
    assert {answer.status_code for answer in answers} == {200}
    assert min(int(answer.headers["raykqi-seq"]) for answer in answers) >= 1
