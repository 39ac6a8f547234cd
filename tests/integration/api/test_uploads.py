"""Bytes in over HTTP: a folder as a tar or a form becomes data, or nothing is left of it."""

from __future__ import annotations

import gzip
import os
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from serve_api.bytes.limits import UploadLimits
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served
from tests.unit.serve_api.archives import member, tar

MIB = 1 << 20
LIMITS = UploadLimits(bytes=600 * MIB, entries=500, ratio=20, free=MIB, reserve=0, large_at_once=2, patience=5.0)
TAR = {"Content-Type": "application/x-tar"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api"), ApiOptions(uploads=LIMITS)) as server:
        yield server


@pytest.fixture
def ken(server: Served) -> Iterator[httpx.Client]:
    with server.client("ken") as client:
        yield client


def until(holds: object) -> None:
    """Wait for what another thread brings about."""
    deadline = time.monotonic() + 20
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def count(ken: httpx.Client) -> int:
    found: int = ken.get("/data/count").json()["count"]
    return found


def test_a_tar_becomes_data_that_is_the_folder(server: Served, ken: httpx.Client, tmp_path: Path) -> None:
    body = tar(
        member("bin", kind=tarfile.DIRTYPE, mode=0o750),
        member("bin/run", b"#!/bin/sh\n", mode=0o755),
        member("bin/again", kind=tarfile.SYMTYPE, to="run"),
        member("空", kind=tarfile.DIRTYPE, mode=0o755),
        member("写真/紅葉 1.png", b"x" * (2 * MIB)),
    )

    answer = ken.post("/data?tags=type:dataset&tags=題:秋&name=photos", content=gzip.compress(body, 0), headers=TAR)

    assert answer.status_code == 201, answer.text
    id_ = answer.json()["id"]
    assert answer.headers["Location"] == f"/api/v1/projects/default/data/{id_}"
    assert answer.json()["tags"] == [["name", "photos"], ["type", "dataset"], ["題", "秋"]]
    assert answer.json()["creator"] == "ken"
    server.workspace.pull(id_, tmp_path / "out")
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")) == [
        "bin",
        "bin/again",
        "bin/run",
        "写真",
        "写真/紅葉 1.png",
        "空",
    ]
    assert (tmp_path / "out/bin/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/bin").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "out/bin/again").readlink() == Path("run")
    assert server.staged == []


def test_a_large_file_is_not_copied_when_it_lies_by_the_store(server: Served, ken: httpx.Client) -> None:
    content = bytes(range(256)) * (80 * 1024)
    body = tar(member("big", content, mode=0o600), member("same", kind=tarfile.LNKTYPE, to="big"))

    answers = [ken.post("/data", content=body, headers=TAR) for _ in range(2)]
    alone = ken.post("/data", content=tar(member("big", content[::-1], mode=0o600)), headers=TAR)

    for answer, expected in ((answers[0], content), (answers[1], content), (alone, content[::-1])):
        assert answer.status_code == 201, answer.text
        entry = server.workspace.ls(answer.json()["id"])[0]
        assert entry.mode == 0o600
        assert b"".join(server.workspace.cat(answer.json()["id"], "big")) == expected
        place = server.workspace._store.local_path(entry.object)
        assert place is not None
        assert place.stat().st_nlink == 1
        assert place.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert server.staged == []
    assert server.workspace.fsck(deep=True).problems == ()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_form_becomes_data(server: Served, ken: httpx.Client) -> None:
    made_of = ken.post("/data", content=tar(member("a", b"x")), headers=TAR).json()["id"]

    answer = ken.post(
        "/data",
        data={"tags": ["type:form", "題:秋"], "name": "photos", "inputs": f"source={made_of}"},
        files=[("files", ("写真/一枚目.png", b"png")), ("files", ("a.txt", b"text"))],
    )

    assert answer.status_code == 201, answer.text
    id_ = answer.json()["id"]
    assert [(entry.path, entry.size) for entry in server.workspace.ls(id_) if entry.kind == "file"] == [
        ("a.txt", 4),
        ("写真/一枚目.png", 3),
    ]
    assert answer.json()["tags"] == [["name", "photos"], ["type", "form"], ["題", "秋"]]
    assert made_of in {node.id for node in server.workspace.lineage(id_, way="up").data}


def test_the_same_key_makes_one_data(ken: httpx.Client) -> None:
    before = count(ken)
    headers = {**TAR, "Idempotency-Key": "once"}

    one = ken.post("/data?tags=a:b", content=tar(member("a", b"x")), headers=headers)
    again = ken.post("/data?tags=a:b", content=tar(member("a", b"x")), headers=headers)
    other = ken.post("/data?tags=c:d", content=tar(member("a", b"x")), headers=headers)
    other_bytes = ken.post("/data?tags=a:b", content=tar(member("a", b"y")), headers=headers)

    assert (one.status_code, again.status_code, other.status_code, other_bytes.status_code) == (201, 201, 409, 409)
    assert one.json() == again.json()
    assert count(ken) == before + 1


@pytest.mark.parametrize(
    ("query", "headers", "body", "status", "says"),
    [
        ("", TAR, tar(member("../x", b"x")), 400, "leads out"),
        ("", TAR, tar(member("a", kind=tarfile.SYMTYPE, to="/etc/passwd")), 400, "outside"),
        ("", TAR, tar(member("a", kind=tarfile.FIFOTYPE)), 400, "FIFO"),
        ("", TAR, tar(member("a", b"x" * 9_000))[:5_000], 400, "ends early"),
        ("", TAR, gzip.compress(tar(member("a", bytes(40 * MIB))), mtime=0), 413, "20 times"),
        ("", TAR, tar(*(member(f"{n}") for n in range(501))), 413, "500 files"),
        ("", TAR, b"", 400, "empty"),
        ("", {"Content-Type": "application/json"}, b"{}", 400, "is no upload"),
        ("", {"Content-Type": "multipart/form-data"}, b"", 400, "boundary"),
        ("", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\n", 400, "ends early"),
        ("?tags=nonsense", TAR, tar(member("a", b"x")), 400, "nonsense"),
        ("?tags=raykqi%23id:x", TAR, tar(member("a", b"x")), 400, "raykqi#"),
        ("?inputs=x", TAR, tar(member("a", b"x")), 400, "NAME=DATA"),
        ("?inputs=x=01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33", TAR, tar(member("a", b"x")), 404, "01939c1c"),
        ("?name=a%0Ab", TAR, tar(member("a", b"x")), 400, "name"),
        ("?tag=a:b", TAR, tar(member("a", b"x")), 400, "no parameter"),
    ],
)
def test_what_is_refused_leaves_nothing(
    server: Served, ken: httpx.Client, query: str, headers: dict[str, str], body: bytes, status: int, says: str
) -> None:
    before = count(ken)

    answer = ken.post(f"/data{query}", content=body, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert says in answer.json()["detail"]
    assert answer.json()["hint"]
    assert count(ken) == before
    assert server.staged == []


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(server: Served, ken: httpx.Client) -> None:
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80)) as plain:
        plain.sendall(
            b"POST /api/v1/projects/default/data HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-tar\r\n"
            b"Authorization: %s\r\nContent-Length: 99999999999\r\n\r\n" % ken.headers["Authorization"].encode()
        )
        assert plain.recv(100).startswith(b"HTTP/1.1 413")


def test_a_viewer_may_not_upload(server: Served) -> None:
    with server.client("rui") as rui:
        for path in ("/data", "/uploads"):
            assert rui.post(path, content=tar(member("a", b"x")), headers=TAR).status_code == 403


class Open:
    """An upload that has begun and does not end by itself."""

    def __init__(self, server: Served, ken: httpx.Client) -> None:
        address = httpx.URL(server.url)
        self.socket = socket.create_connection((address.host, address.port or 80))
        self.socket.settimeout(30)
        self.socket.sendall(
            b"POST /api/v1/projects/default/data HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-tar\r\n"
            b"Authorization: %s\r\nContent-Length: 9000000\r\n\r\n" % ken.headers["Authorization"].encode()
        )
        with suppress(ConnectionError):
            self.socket.sendall(tar(member("a", bytes(4 * MIB)))[: 2 * MIB])

    def __enter__(self) -> Open:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_a_client_that_goes_away_leaves_nothing(server: Served, ken: httpx.Client) -> None:
    before = count(ken)
    with Open(server, ken):
        until(lambda: len(server.staged) == 1)

    until(lambda: server.staged == [])
    assert count(ken) == before


def test_a_client_that_stops_sending_is_told_so_and_leaves_nothing(server: Served, ken: httpx.Client) -> None:
    with Open(server, ken) as stalled:
        assert stalled.socket.recv(100).startswith(b"HTTP/1.1 408")

    assert server.staged == []


def test_more_large_uploads_than_places_are_asked_to_come_again_and_small_ones_go_on(
    server: Served, ken: httpx.Client
) -> None:
    with ExitStack() as others:
        for _ in range(LIMITS.large_at_once):
            others.enter_context(Open(server, ken))
        until(lambda: len(server.staged) == LIMITS.large_at_once)

        with Open(server, ken) as refused:
            answer = refused.socket.recv(2_000)
        small = ken.post("/data", content=tar(member("a", b"x")), headers=TAR)

    assert answer.startswith(b"HTTP/1.1 429")
    assert b"retry-after: 1" in answer.lower()
    assert small.status_code == 201
    until(lambda: server.staged == [])
    text = httpx.get(f"{server.url}/metrics", headers=ken.headers, trust_env=False).text
    assert 'raykqi_transfers_total{direction="in",outcome="refused"} 1.0' in text
    assert 'raykqi_transfers_under_way{direction="in"} 0.0' in text


def test_a_large_upload_does_not_sit_in_memory(server: Served, ken: httpx.Client) -> None:
    """The server runs in this process, and so does the client, which makes its body piece by piece."""
    size = 256 * MIB
    header = member("big", size=size)
    piece = bytes(range(256)) * 4096

    def body() -> Iterator[bytes]:
        yield header
        for _ in range(size // len(piece)):
            yield piece
        yield bytes(1024)

    ken.post("/data", content=tar(member("a", b"x")), headers=TAR)
    process = psutil.Process()
    before = process.memory_info().rss
    peaks: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peaks.append(process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    answer = ken.post("/data", content=body(), headers=TAR, timeout=300)
    ended.set()
    watching.join()

    assert answer.status_code == 201, answer.text
    assert answer.json()["tree"]["size"] == size
    assert max(peaks) - before < 100 * MIB
