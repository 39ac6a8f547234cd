"""Bytes out over HTTP: listings, files, ranges and archives, each verified, none of them a page to run."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from blake3 import blake3

from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served

MIB = 1 << 20
BIG = bytes(range(256)) * (48 * 1024)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api"), ApiOptions()) as server:
        yield server


@pytest.fixture(scope="module")
def rui(server: Served) -> Iterator[httpx.Client]:
    with server.client("rui") as client:
        yield client


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "photos"
    (folder / "写真").mkdir(parents=True)
    (folder / "empty").mkdir(mode=0o750)
    (folder / "写真/紅葉 1枚目.txt").write_text("こんにちは")
    (folder / "page.html").write_text("<script>alert(1)</script>")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "nothing").touch()
    (folder / "start").symlink_to("run.sh")
    (folder / "big.bin").write_bytes(BIG)
    for number in range(40):
        (folder / f"small-{number:02}").write_bytes(os.urandom(1000))
    return folder


@pytest.fixture(scope="module")
def data(server: Served, source: Path) -> str:
    return server.workspace.push(source, ["type:photos"], name=True).id


def test_a_listing_comes_in_pages(rui: httpx.Client, data: str) -> None:
    paths: list[str] = []
    cursor = ""
    while True:
        page = rui.get(f"/data/{data}/files?limit=7&cursor={cursor}").json()
        assert len(page["items"]) <= 7
        paths += [item["path"] for item in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break

    assert len(paths) == 48
    assert paths == sorted(paths)
    found = rui.get(f"/data/{data}/files?pattern=写真/**&pattern=st*").json()["items"]
    assert [(item["path"], item["kind"], item.get("target", "")) for item in found] == [
        ("start", "link", "run.sh"),
        ("写真/紅葉 1枚目.txt", "file", ""),
    ]
    assert rui.get(f"/data/{data}/files?cursor=%21").status_code == 400
    assert rui.get(f"/data/{data}/files?limit=0").status_code == 400


@pytest.mark.parametrize("query", ["pattern=" + "a*" * 5, "pattern=" + "a" * 1_001, "&".join(["pattern=a"] * 101)])
def test_patterns_that_could_take_long_are_refused(rui: httpx.Client, data: str, query: str) -> None:
    for place in ("files", "urls", "archive"):
        assert rui.get(f"/data/{data}/{place}?{query}").status_code == 400


def test_a_file_comes_with_its_hash_and_its_name(rui: httpx.Client, data: str) -> None:
    answer = rui.get(f"/data/{data}/files/写真/紅葉 1枚目.txt")

    text = "こんにちは".encode()
    assert (answer.status_code, answer.content) == (200, text)
    assert answer.headers["ETag"] == f'"{blake3(text).hexdigest()}"'
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "filename*=UTF-8''%E7%B4%85%E8%91%89%201%E6%9E%9A%E7%9B%AE.txt" in answer.headers["Content-Disposition"]
    assert rui.get(f"/data/{data}/files/start").content == b"#!/bin/sh\n"
    assert rui.get(f"/data/{data}/files/nothing").content == b""


def test_stored_html_does_not_run_here(rui: httpx.Client, data: str) -> None:
    headers = rui.get(f"/data/{data}/files/page.html").headers

    assert headers["Content-Disposition"] == 'attachment; filename="page.html"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("0-0", 0, 1), ("5000000-9000000", 5000000, 9000001), ("-5", -5, None)]
)
def test_a_range_of_a_large_file(rui: httpx.Client, data: str, asked: str, start: int, end: int | None) -> None:
    answer = rui.get(f"/data/{data}/files/big.bin", headers={"Range": f"bytes={asked}"})

    assert (answer.status_code, answer.content) == (206, BIG[start:end])
    first = start % len(BIG)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(BIG)}"


def test_conditions_of_a_range(rui: httpx.Client, data: str) -> None:
    path = f"/data/{data}/files/run.sh"
    etag = rui.get(path).headers["ETag"]

    def ask(**headers: str) -> tuple[int, bytes]:
        answer = rui.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return answer.status_code, answer.content

    assert ask(Range="bytes=2-3") == (206, b"/b")
    assert ask(Range="bytes=2-3", If_Range=etag) == (206, b"/b")
    assert ask(Range="bytes=2-3", If_Range='"old"') == (200, b"#!/bin/sh\n")
    assert ask(If_None_Match=etag) == (304, b"")
    beyond = rui.get(path, headers={"Range": "bytes=10-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */10")


def test_a_question_for_headers_brings_no_bytes(rui: httpx.Client, data: str) -> None:
    answer = rui.head(f"/data/{data}/files/big.bin")

    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, str(len(BIG)), b"")
    assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("path", "status"),
    [("none", 404), ("写真", 400), ("..%2F..%2Fworkspace.json", 404), ("%2Fetc%2Fpasswd", 404), ("a%00b", 404)],
)
def test_what_is_no_file_of_the_data_is_not_answered(rui: httpx.Client, data: str, path: str, status: int) -> None:
    assert rui.get(f"/data/{data}/files/{path}").status_code == status


@pytest.mark.parametrize("format_", ["tar", "tar.gz", "zip"])
def test_an_archive_holds_the_whole_data(
    rui: httpx.Client, data: str, source: Path, tmp_path: Path, format_: str
) -> None:
    answer = rui.get(f"/data/{data}/archive?format={format_}")

    assert answer.headers["Content-Disposition"] == f'attachment; filename="photos.{format_}"'
    file = tmp_path / f"photos.{format_}"
    file.write_bytes(answer.content)
    out = tmp_path / "out"
    out.mkdir()
    if format_ == "zip":
        assert zipfile.ZipFile(file).testzip() is None
        subprocess.run(["unzip", "-q", str(file), "-d", str(out)], check=True)
    else:
        subprocess.run(["tar", "-xf", str(file), "-C", str(out)], check=True)
    assert _seen(out) == _seen(source)


def _seen(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}"
        if path.is_symlink()
        else f"{path.stat().st_mode:o} {'' if path.is_dir() else blake3(path.read_bytes()).hexdigest()}"
        for path in folder.rglob("*")
    }


def test_a_part_of_the_data_as_an_archive(rui: httpx.Client, data: str) -> None:
    answer = rui.get(f"/data/{data}/archive?pattern=small-0*&pattern=empty")

    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == ["empty", *(f"small-{number:02}" for number in range(10))]


def test_an_archive_of_more_than_four_gib_could_be_written() -> None:
    from datetime import UTC, datetime

    from raykqi.domain.tree import Entry
    from serve_api.bytes.archive import archive

    entry = Entry("big", "file", 0o644, 5 << 30, "", "blobs/x")
    beginning = next(archive([(entry, (bytes(MIB) for _ in range(1)))], datetime(2026, 1, 1, tzinfo=UTC), "zip"))

    assert beginning[:4] == b"PK\x03\x04"
    assert beginning[4:6] == (45).to_bytes(2, "little")  # needs zip64


def damage(server: Served, data: str, path: str) -> None:
    entry = next(entry for entry in server.workspace.ls(data) if entry.path == path)
    file = server.workspace._store.local_path(entry.object)
    assert file is not None
    with file.open("r+b") as opened:
        opened.seek(entry.offset + entry.size - 1)
        last = opened.read(1)
        opened.seek(entry.offset + entry.size - 1)
        opened.write(bytes([last[0] ^ 1]))


def test_damage_is_an_error_that_nobody_takes_for_the_file(server: Served, rui: httpx.Client, tmp_path: Path) -> None:
    folder = tmp_path / "doomed"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(20 * MIB))
    (folder / "small").write_bytes(os.urandom(1000))
    data = server.workspace.push(folder).id
    for path in ("large", "small"):
        damage(server, data, path)

    with pytest.raises(httpx.RemoteProtocolError):
        rui.get(f"/data/{data}/files/large")
    small = rui.get(f"/data/{data}/files/small")
    part = rui.get(f"/data/{data}/files/small", headers={"Range": "bytes=0-3"})
    for format_ in ("tar", "tar.gz", "zip"):
        with pytest.raises(httpx.RemoteProtocolError):
            rui.get(f"/data/{data}/archive?format={format_}")

    assert (small.status_code, small.json()["type"]) == (500, "urn:raykqi:error:Damaged")
    assert part.status_code == 500


def test_damage_among_small_files_breaks_an_archive_off(server: Served, rui: httpx.Client, tmp_path: Path) -> None:
    folder = tmp_path / "doomed"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}").write_bytes(os.urandom(1000))
    data = server.workspace.push(folder).id
    damage(server, data, "3")

    for format_ in ("tar", "tar.gz", "zip"):
        answer = rui.get(f"/data/{data}/archive?format={format_}")
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:raykqi:error:Damaged")


def test_what_is_lost_or_given_up_is_told(server: Served, rui: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(2 * MIB))
    lost = server.workspace.push(tmp_path / "file")
    entry = server.workspace.ls(lost)[0]
    server.workspace._store.delete([entry.object])
    purged = server.workspace.push(tmp_path / "file", ["a:b"])
    server.workspace._store.delete([entry.object])
    server.workspace.purge(purged, "no more needed")

    assert rui.get(f"/data/{lost.id}/files/file").status_code == 404
    assert rui.get(f"/data/{purged.id}/files/file").status_code == 410
    assert rui.get(f"/data/{purged.id}/archive").status_code == 410


def test_data_of_another_project_is_not_there(server: Served, rui: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret")
    server.workspace.create_project("other")
    foreign = server.workspace.acting(user="mika", project="other").push(tmp_path / "file").id

    for path in ("files", "files/file", "archive", "urls"):
        assert rui.get(f"/data/{foreign}/{path}").status_code == 404


def test_a_large_download_does_not_sit_in_memory(server: Served, rui: httpx.Client, tmp_path: Path) -> None:
    size = 256 * MIB
    with (tmp_path / "big").open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    data = server.workspace.push(tmp_path / "big").id
    process = psutil.Process()
    before = process.memory_info().rss
    peak = 0
    come = 0
    with rui.stream("GET", f"/data/{data}/files/big") as answer:
        for piece in answer.iter_raw():
            come += len(piece)
            peak = max(peak, process.memory_info().rss)

    assert come == size
    assert peak - before < 100 * MIB


def test_a_client_that_goes_away_ends_its_download(server: Served, rui: httpx.Client, data: str) -> None:
    with rui.stream("GET", f"/data/{data}/files/big.bin") as answer:
        next(answer.iter_raw())
    deadline = threading.Event()
    for _ in range(1_000):
        text = httpx.get(f"{server.url}/metrics", headers=rui.headers, trust_env=False).text
        if 'raykqi_transfers_under_way{direction="out"} 0.0' in text:
            return
        deadline.wait(0.01)
    raise AssertionError("the download did not end")
