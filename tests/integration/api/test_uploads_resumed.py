"""Uploads in pieces over HTTP: broken off and gone on with, at any server, and made data of exactly once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from blake3 import blake3

from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api"), ApiOptions()) as server:
        yield server


@pytest.fixture
def ken(server: Served) -> Iterator[httpx.Client]:
    with server.client("ken") as client:
        yield client


def begin(ken: httpx.Client, **draft: object) -> str:
    answer = ken.post("/uploads", json=draft)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"].endswith(f"/uploads/{answer.json()['id']}")
    return f"/uploads/{answer.json()['id']}"


def pieces_of(server: Served) -> list[str]:
    return [info.key for info in server.workspace._store.list("uploads") if "/files/" in info.key]


def test_files_sent_in_pieces_become_data_with_folders_links_and_modes(server: Served, ken: httpx.Client) -> None:
    upload = begin(ken, tags=["type:dataset", "題:秋"], name="photos")
    data = bytes(range(256)) * 40_000
    assert ken.put(f"{upload}/files/写真/一枚目.png?offset=0", content=data[:5_000_000]).json() == {
        "path": "写真/一枚目.png",
        "size": 5_000_000,
        "beyond": [],
    }
    ken.put(f"{upload}/files/写真/一枚目.png?offset=5000000", content=data[5_000_000:])
    ken.put(f"{upload}/files/run.sh", content=b"#!/bin/sh\n")
    state = ken.get(upload).json()
    answer = ken.post(
        f"{upload}/commit",
        json={
            "files": [
                {"path": "写真/一枚目.png", "size": len(data), "hash": blake3(data).hexdigest()},
                {"path": "run.sh", "size": 10, "mode": 0o755},
            ],
            "folders": [{"path": "empty", "mode": 0o700}],
            "links": [{"path": "start", "target": "run.sh"}],
        },
    )

    assert [(file["path"], file["size"]) for file in state["files"]] == [("run.sh", 10), ("写真/一枚目.png", len(data))]
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert found["tags"] == [["name", "photos"], ["type", "dataset"], ["題", "秋"]]
    assert [(entry.path, f"{entry.mode:o}") for entry in server.workspace.ls(found["id"])] == [
        ("empty", "700"),
        ("run.sh", "755"),
        ("start", "777"),
        ("写真", "755"),
        ("写真/一枚目.png", "644"),
    ]
    assert b"".join(server.workspace.cat(found["id"], "写真/一枚目.png")) == data
    assert server.staged == []


def test_a_commit_that_is_asked_again_answers_the_same_data(server: Served, ken: httpx.Client) -> None:
    upload = begin(ken)
    ken.put(f"{upload}/files/a", content=b"x")
    answers: list[httpx.Response] = []
    asking = [threading.Thread(target=lambda: answers.append(ken.post(f"{upload}/commit", json={}))) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    later = ken.post(f"{upload}/commit", json={})

    assert {(answer.status_code, answer.json()["id"]) for answer in [*answers, later]} == {(201, later.json()["id"])}, [
        answer.text for answer in answers
    ]
    assert ken.get(upload).json()["upload"]["data"] == later.json()["id"]
    assert pieces_of(server) == []
    assert ken.put(f"{upload}/files/a?offset=1", content=b"y").status_code == 409


def test_a_broken_connection_keeps_what_has_come(server: Served, ken: httpx.Client) -> None:
    upload = begin(ken)
    data = bytes(range(256)) * (20 * 4096)
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80)) as broken:
        broken.sendall(
            b"PUT /api/v1/projects/default%s/files/a HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\n"
            b"Content-Length: %d\r\n\r\n" % (upload.encode(), ken.headers["Authorization"].encode(), len(data))
        )
        broken.sendall(data[: 12 * MIB])
    deadline = time.monotonic() + 20
    while (come := sum(file["size"] for file in ken.get(upload).json()["files"])) < 8 * MIB:
        assert time.monotonic() < deadline
    answer = ken.put(f"{upload}/files/a?offset={8 * MIB}", content=data[8 * MIB :])

    assert come >= 8 * MIB
    assert answer.json()["size"] == len(data)
    committed = ken.post(f"{upload}/commit", json={"files": [{"path": "a", "size": len(data)}]})
    assert b"".join(server.workspace.cat(committed.json()["id"], "a")) == data


def test_a_gap_and_other_bytes_are_conflicts(ken: httpx.Client) -> None:
    upload = begin(ken)
    ken.put(f"{upload}/files/a", content=b"01234")

    gap = ken.put(f"{upload}/files/a?offset=7", content=b"789")
    other = ken.put(f"{upload}/files/a?offset=3", content=b"x")
    again = ken.put(f"{upload}/files/a?offset=0", content=b"01234")

    assert (gap.status_code, gap.json()["type"]) == (409, "urn:raykqi:error:UploadGap")
    assert gap.json()["hint"] == "Go on at offset 5."
    assert other.status_code == 409
    assert (again.status_code, again.json()["size"]) == (200, 5)


@pytest.mark.parametrize(
    ("commit", "status", "says"),
    [
        ({"files": [{"path": "a", "size": 6}]}, 409, "5 of 6 bytes"),
        ({"files": [{"path": "a", "size": 4}]}, 409, "not as it was declared"),
        ({"files": [{"path": "a", "size": 5, "hash": "0" * 64}]}, 409, "not as it was declared"),
        ({"files": [{"path": "never", "size": 1}]}, 409, "0 of 1 bytes"),
        ({"files": [{"path": "../a", "size": 0}]}, 400, "leads out"),
        ({"files": [{"path": "a", "size": 1 << 62}]}, 413, "more than"),
        ({"links": [{"path": "l", "target": "/etc/passwd"}]}, 400, "outside"),
        ({"folders": [{"path": "a"}]}, 400, "comes twice"),
        ({"file": []}, 400, "unknown field"),
    ],
)
def test_what_is_not_as_declared_makes_no_data(
    server: Served, ken: httpx.Client, commit: object, status: int, says: str
) -> None:
    upload = begin(ken)
    ken.put(f"{upload}/files/a", content=b"01234")
    before = ken.get("/data/count").json()

    answer = ken.post(f"{upload}/commit", json=commit)

    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    assert ken.get("/data/count").json() == before
    assert server.staged == []
    assert ken.get(upload).json()["files"][0]["size"] == 5


def test_an_upload_is_its_owners_alone(server: Served, ken: httpx.Client) -> None:
    upload = begin(ken)
    with server.client("mika") as mika:
        answers = [
            mika.get(upload),
            mika.put(f"{upload}/files/a", content=b"x"),
            mika.post(f"{upload}/commit", json={}),
            mika.post(f"{upload}/urls", json={"pieces": []}),
            mika.delete(upload),
        ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert ken.get(upload).status_code == 200


def test_an_upload_that_is_given_up_leaves_nothing(server: Served, ken: httpx.Client) -> None:
    upload = begin(ken)
    ken.put(f"{upload}/files/a", content=b"x")

    assert ken.delete(upload).status_code == 204
    assert ken.get(upload).status_code == 404
    assert not [info for info in server.workspace._store.list("uploads") if upload.rpartition("/")[2] in info.key]


@pytest.mark.parametrize("path", ["..%2Fx", "a%2F..%2F..%2Fx", "%2Fetc%2Fpasswd", "a%00b", "x" * 300])
def test_a_path_that_no_data_can_have_is_refused(ken: httpx.Client, path: str) -> None:
    assert ken.put(f"{begin(ken)}/files/{path}", content=b"x").status_code in (400, 404)


def test_gc_leaves_uploads_alone_that_are_under_way(server: Served, ken: httpx.Client) -> None:
    upload = begin(ken)
    ken.put(f"{upload}/files/a", content=b"x")
    server.workspace._store.put("uploads/left/files/behind", b"x")

    collected = server.workspace.gc(grace_seconds=0).objects

    assert "uploads/left/files/behind" in collected
    assert not server.workspace._store.exists("uploads/left/files/behind")
    assert ken.get(upload).json()["files"][0]["size"] == 1
    assert server.workspace.fsck().problems == ()


def test_fsck_tells_of_an_upload_that_nobody_can_go_on_with(server: Served) -> None:
    server.workspace._store.put("uploads/0193/upload.json", b"{")

    [problem] = server.workspace.fsck(repair=True).problems

    assert problem.object == "uploads/0193/upload.json"
    assert problem.repaired.startswith("deleted")
    assert server.workspace.fsck().problems == ()


def test_without_a_bucket_there_are_no_urls(ken: httpx.Client) -> None:
    upload = begin(ken)

    answer = ken.post(f"{upload}/urls", json={"pieces": [{"path": "a", "offset": 0, "size": 5}]})

    assert answer.json() == {"items": [], "expires": None}
