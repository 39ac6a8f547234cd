"""URLs straight to the bucket: what they open, and that they open nothing else.

rclone's server checks signatures; moto's does not, and shows that URLs are well formed for another server.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from blake3 import blake3

from raykqi.controller.uploading import UPLOADED
from raykqi.storage.filesystem import Store
from raykqi.storage.push import push_listing
from raykqi.storage.trees import Tree
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served
from tests.servers import S3Server

MIB = 1 << 20


@pytest.fixture
def server(s3: S3Server, tmp_path: Path) -> Iterator[Served]:
    settings = s3.settings(cache_dir=tmp_path / "cache")
    with served(tmp_path, ApiOptions(), url=s3.url(uuid.uuid4().hex), settings=settings) as server:
        yield server


@pytest.fixture
def ken(server: Served) -> Iterator[httpx.Client]:
    with server.client("ken") as client:
        yield client


def fetch(found: dict[str, object]) -> bytes:
    headers = found.get("headers", {})
    assert isinstance(headers, dict)
    answer = httpx.get(str(found["url"]), headers=headers, trust_env=False)
    assert answer.status_code in (200, 206), answer.text
    offset, size = found.get("offset", 0), found["size"]
    assert isinstance(offset, int)
    assert isinstance(size, int)
    return answer.content[offset : offset + size]


def test_every_file_can_be_fetched_from_the_bucket(server: Served, ken: httpx.Client, tmp_path: Path) -> None:
    files = {"big": os.urandom(2 * MIB), "写真/一枚目": b"one", "写真/二枚目": b"two!", "none": b""}
    for path, content in files.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_bytes(content)
    data = server.workspace.push(tmp_path / "source").id

    page = ken.get(f"/data/{data}/urls").json()

    found = {item["path"]: item for item in page["items"]}
    assert page["expires"]
    assert {path: fetch(item) for path, item in found.items() if item["size"]} == {
        path: content for path, content in files.items() if content
    }
    assert found["写真/一枚目"]["url"] == found["写真/二枚目"]["url"]
    assert found["none"].get("url", "") == ""
    assert found["big"]["hash"] == blake3(files["big"]).hexdigest()


def test_a_url_of_a_piece_never_covers_the_neighbours_of_others(
    server: Served, ken: httpx.Client, tmp_path: Path
) -> None:
    """Three files in one pack; data that holds the outer two must not open the one between."""
    (tmp_path / "all").mkdir()
    for name, content in (("a", b"mine-one"), ("b", b"SECRET"), ("c", b"mine-two")):
        (tmp_path / "all" / name).write_bytes(content)
    workspace = server.workspace
    whole = workspace.ls(workspace.push(tmp_path / "all"))
    assert len({entry.object for entry in whole}) == 1
    pushed = push_listing(workspace._store, Tree.of([entry for entry in whole if entry.path != "b"]))
    upload = workspace._upload(None)
    data = upload._record(UPLOADED, "/upload", lambda: (pushed.tree, pushed.reused), (), ()).id

    items = ken.get(f"/data/{data}/urls").json()["items"]

    assert [fetch(item) for item in items] == [b"mine-one", b"mine-two"]
    for item in items:
        answer = httpx.get(item["url"], headers=item["headers"], trust_env=False)
        assert b"SECRET" not in answer.content


def test_pieces_go_straight_to_the_bucket_and_become_data(server: Served, ken: httpx.Client) -> None:
    upload = f"/uploads/{ken.post('/uploads', json={'tags': ['a:b']}).json()['id']}"
    content = os.urandom(3 * MIB)
    pieces = [
        {"path": "写真/一枚目", "offset": offset, "size": min(MIB, len(content) - offset)}
        for offset in range(0, len(content), MIB)
    ]
    signed = ken.post(f"{upload}/urls", json={"pieces": pieces}).json()
    for item in reversed(signed["items"]):
        request, offset = item["request"], item["offset"]
        body = content[offset : offset + item["size"]]
        answer = httpx.request(
            request["method"], request["url"], headers=request["headers"], content=body, trust_env=False
        )
        assert answer.status_code == 200, answer.text

    assert ken.get(upload).json()["files"] == [{"path": "写真/一枚目", "size": len(content), "beyond": []}]
    declared = {"path": "写真/一枚目", "size": len(content), "hash": blake3(content).hexdigest()}
    answer = ken.post(f"{upload}/commit", json={"files": [declared]})
    assert answer.status_code == 201, answer.text
    assert b"".join(server.workspace.cat(answer.json()["id"], "写真/一枚目")) == content


@pytest.fixture
def checking(rclone: S3Server) -> Iterator[Store]:
    """A store at a server that checks signatures."""
    store = rclone.store()
    yield store
    store.close()


def status(url: str, **headers: str) -> int:
    return httpx.get(url, headers=headers, trust_env=False).status_code


def test_a_server_that_checks_refuses_another_range_key_or_method(checking: Store) -> None:
    checking.put("packs/ab/one", b"0123456789")
    checking.put("packs/ab/two", b"secret")
    signed = checking.presign_get("packs/ab/one", 60, 2, 5)
    assert signed is not None

    mine = httpx.get(signed.url, headers=signed.headers, trust_env=False)

    assert mine.content == b"234"
    assert signed.headers == {"Range": "bytes=2-4"}
    assert status(signed.url, Range="bytes=2-5") == 403
    assert status(signed.url) == 403
    assert status(signed.url.replace("packs/ab/one", "packs/ab/two"), Range="bytes=2-4") == 403
    assert httpx.put(signed.url, headers=signed.headers, content=b"x", trust_env=False).status_code == 403
    assert checking.get("packs/ab/one") == b"0123456789"


def test_a_server_that_checks_refuses_what_is_over_its_time(checking: Store) -> None:
    checking.put("blobs/ab/one", b"x")
    signed = checking.presign_get("blobs/ab/one", 1)
    assert signed is not None
    assert status(signed.url) == 200
    deadline = time.monotonic() + 20

    while (answer := status(signed.url)) == 200:
        assert time.monotonic() < deadline

    assert answer in (400, 403)  # rclone says 400 where others say 403


def test_a_server_that_checks_refuses_more_bytes_or_another_place_than_were_signed(checking: Store) -> None:
    signed = checking.presign_put("uploads/u/files/f/0", 5, 60)
    assert signed is not None

    def put(url: str, body: bytes) -> int:
        return httpx.put(url, content=body, trust_env=False).status_code

    assert put(signed.url, b"123456") == 403
    assert put(signed.url.replace("/f/0", "/f/1"), b"12345") == 403
    assert list(checking.list("")) == []
    assert put(signed.url, b"12345") == 200
    assert checking.get("uploads/u/files/f/0") == b"12345"


def test_stores_without_urls_say_so(tmp_path: Path) -> None:
    from raykqi.settings import Settings
    from raykqi.storage.filesystem import open_store

    for url in (str(tmp_path), "memory://no-urls"):
        store = open_store(url, Settings())
        assert store.presign_get("blobs/ab/one", 60) is None
        assert store.presign_put("uploads/u", 5, 60) is None
