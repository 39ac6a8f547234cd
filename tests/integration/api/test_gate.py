"""What every request passes: names of the server, pages of others, ids, tokens in addresses, gzip, and the log."""

from __future__ import annotations

import gzip
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve_api.access_log import Note, log_to, tell_failure
from serve_api.addresses import is_own_address
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("gate"), ApiOptions(origins=("https://lab.example",))) as server:
        yield server


@pytest.fixture
def mika(server: Served) -> Iterator[httpx.Client]:
    with server.client("mika") as client:
        yield client


def error_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["type"].removeprefix("urn:raykqi:error:"))


def token_of(client: httpx.Client) -> str:
    return client.headers["authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "[::2]:80", "", "localhost.evil"])
def test_a_server_answers_to_its_own_names_alone(mika: httpx.Client, host: str) -> None:
    response = mika.get("/data", headers={"Host": host})

    assert (response.status_code, error_of(response)) == (403, "Forbidden")


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "[::1]:8000", "127.0.0.1"])
def test_every_name_of_this_machine_is_its_own(mika: httpx.Client, host: str) -> None:
    assert mika.get("/data", headers={"Host": host}).status_code == 200


def test_health_is_told_to_those_who_know_the_address_alone(server: Served) -> None:
    assert httpx.get(f"{server.url}/healthz", headers={"Host": "10.0.0.7"}).json() == {"status": "alive"}
    assert httpx.get(f"{server.url}/readyz", headers={"Host": "10.0.0.7"}).json() == {"status": "ready"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_page_of_another_origin_changes_nothing(mika: httpx.Client, headers: dict[str, str]) -> None:
    response = mika.post("/runs/statuses", json={"runs": []}, headers=headers)

    assert (response.status_code, error_of(response)) == (403, "Forbidden")


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://lab.example"}, {"Sec-Fetch-Site": "same-origin"}], ids=str)
def test_pages_of_the_server_and_named_ones_may(mika: httpx.Client, headers: dict[str, str]) -> None:
    response = mika.post("/tags", json={"data": []}, headers=headers)

    assert error_of(response) == "InvalidInput"


def test_a_page_of_the_server_itself_may(server: Served, mika: httpx.Client) -> None:
    response = mika.post("/tags", json={"data": []}, headers={"Origin": server.url})

    assert error_of(response) == "InvalidInput"


def test_addresses_of_other_machines_are_not_ours() -> None:
    assert is_own_address("127.0.0.1")
    assert is_own_address("::1")
    assert not is_own_address("192.0.2.1")
    assert not is_own_address("no address")


def test_a_request_keeps_its_id_or_gets_one(mika: httpx.Client) -> None:
    assert mika.get("/data", headers={"X-Request-Id": "from-a-proxy_1"}).headers["x-request-id"] == "from-a-proxy_1"
    made = mika.get("/nothing", headers={"X-Request-Id": "with space"})
    assert len(made.headers["x-request-id"]) == 16
    assert made.json()["request_id"] == made.headers["x-request-id"]


def test_every_answer_says_how_far_the_index_is(server: Served, mika: httpx.Client) -> None:
    before = int(mika.get("/data").headers["raykqi-seq"])

    data = server.workspace.push(__file__)

    after = mika.get(f"/data/{data.id}", headers={"Raykqi-Seq": str(before + 1)})
    assert int(after.headers["raykqi-seq"]) >= before + 1
    assert after.json()["id"] == data.id


def test_a_number_that_is_none_is_refused(mika: httpx.Client) -> None:
    assert error_of(mika.get("/data", headers={"Raykqi-Seq": "-1"})) == "InvalidInput"


def test_an_entry_that_never_comes_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with served(tmp_path, ApiOptions(wait_for_seq=0.05)) as server, server.client("mika") as mika:
        response = mika.get("/data", headers={"Raykqi-Seq": "99999"})

    assert (response.status_code, error_of(response)) == (503, "ServerUnavailable")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer nonsense", "Basic bWlrYTp4", "Bearer rkq_x_y", "Bearer é"]
)
def test_without_a_valid_token_nothing_is_told(server: Served, authorization: str) -> None:
    headers = {"Authorization": authorization.encode()} if authorization else {}
    response = httpx.get(f"{server.url}/api/v1/projects/default/data", headers=headers)

    assert (response.status_code, error_of(response)) == (401, "Unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_browser_brings_its_token_once_and_keeps_it_as_a_cookie(server: Served, mika: httpx.Client) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as browser:
        first = browser.get(f"/docs?token={token_of(mika)}&x=1", headers={"Accept": "text/html"})
        assert (first.status_code, first.headers["location"]) == (303, "/docs?x=1")
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie

        assert browser.get("/api/v1/projects/default/data").status_code == 200


def test_a_wrong_token_in_an_address_makes_no_cookie(server: Served) -> None:
    response = httpx.get(f"{server.url}/docs?token=wrong", headers={"Accept": "text/html"})

    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_a_token_in_an_address_leads_to_no_other_host(server: Served, mika: httpx.Client) -> None:
    url = f"{server.url}//evil.example/x?token={token_of(mika)}"
    response = httpx.get(url, headers={"Accept": "text/html"})

    assert response.headers["location"] == "/evil.example/x"


def test_large_answers_are_packed_for_those_who_take_them(server: Served, mika: httpx.Client) -> None:
    for number in range(8):
        server.workspace.push(__file__, [f"number:{number}"])
    with mika.stream("GET", "/data", headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    plain = mika.get("/data", headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content)


def test_paths_and_methods_that_are_not_there_are_problems(server: Served) -> None:
    assert error_of(httpx.get(f"{server.url}/api/v1/nothing")) == "NotFound"
    response = httpx.post(f"{server.url}/healthz")
    assert (error_of(response), response.headers["allow"]) == ("MethodNotAllowed", "GET")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with served(tmp_path, ApiOptions(max_body=1000)) as server, server.client("mika") as mika:
        told = mika.post("/tags", content=b"x" * 1001)
        untold = mika.post("/tags", content=iter([b"x" * 600, b"x" * 600]))

    assert (told.status_code, untold.status_code) == (413, 413)
    assert error_of(told) == "TooLarge"


def test_a_body_of_somebody_without_a_token_is_small(server: Served) -> None:
    response = httpx.post(f"{server.url}/api/v1/login", content=b"x" * 100_000)

    assert (response.status_code, error_of(response)) == (413, "TooLarge")


def test_methods_that_somebody_makes_up_are_not_counted_one_by_one(server: Served, mika: httpx.Client) -> None:
    for method in ("PROPFIND", "MKCOL"):
        assert httpx.request(method, f"{server.url}/healthz").status_code == 405

    counted = httpx.get(f"{server.url}/metrics", headers=mika.headers).text
    assert 'method="OTHER"' in counted
    assert "PROPFIND" not in counted


def test_a_failure_is_told_with_the_id_of_its_request() -> None:
    stream = io.StringIO()
    log_to(stream)
    logger = logging.getLogger("raykqi")
    try:
        tell_failure(Note("seen", {}), ValueError("why"))
    finally:
        logger.removeHandler(logger.handlers[-1])
        logger.setLevel(logging.NOTSET)
        logging.getLogger("raykqi.api.access").setLevel(logging.NOTSET)

    line = json.loads(stream.getvalue())
    assert (line["level"], line["request_id"]) == ("error", "seen")
    assert "ValueError: why" in line["error"]


def test_a_line_of_the_log_tells_who_asked_for_what_and_no_secret(server: Served, mika: httpx.Client) -> None:
    stream = io.StringIO()
    log_to(stream)
    logger = logging.getLogger("raykqi")
    try:
        token = token_of(mika)
        data = server.workspace.push(__file__)
        mika.get(f"/data/{data.id}?fields=id", headers={"X-Request-Id": "seen"})
        httpx.get(f"{server.url}/docs?token={token}", headers={"Accept": "text/html"})
        httpx.get(f"{server.url}/docs?token=rkq_wrong_secret", headers={"Accept": "text/html"})
        httpx.get(f"{server.url}/api/v1/projects/default/data", headers={"Authorization": "Bearer rkq_wrong_secret"})
        mika.post("/data/purge", json={"data": ["x"], "reason": "not to be logged"})
    finally:
        logger.removeHandler(logger.handlers[-1])
        logger.setLevel(logging.NOTSET)
        logging.getLogger("raykqi.api.access").setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]

    (line,) = [line for line in lines if line["request_id"] == "seen"]
    assert (line["user"], line["project"], line["status"], line["method"]) == ("mika", "default", 200, "GET")
    assert line["route"] == "/api/v1/projects/{project}/data/{data}"
    assert line["path"] == f"/api/v1/projects/default/data/{data.id}"
    everything = stream.getvalue()
    assert token not in everything
    assert token.split("_", 2)[2] not in everything
    for secret in ("secret", "fields=id", "not to be logged"):
        assert secret not in everything


def test_the_reference_that_a_server_shows_runs_no_scripts(server: Served) -> None:
    page = httpx.get(f"{server.url}/docs", headers={"Accept": "text/html"})

    assert (page.status_code, page.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "POST /api/v1/login" in page.text
