"""Bytes from a server that errs or lies: nothing of them appears."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from raykqi.client.pulling import Pull
from raykqi.client.reading import open_file
from raykqi.client.transport import Transport
from raykqi.errors import Damaged, UnsafePath
from raykqi.settings import Settings
from raykqi.storage.progress import SilentProgress
from tests.unit.client.scripted import Scripted, give

DATA = "/api/v1/projects/default/data/01939c1c"
HASH = blake3(b"good").hexdigest()
NO_URLS = give({"items": [], "next_cursor": ""})


def listed(*items: dict[str, object]) -> object:
    return give({"items": list(items), "next_cursor": ""})


def entry(path: str, **more: object) -> dict[str, object]:
    return {"path": path, "kind": "file", "mode": 0o644, "size": 4, "hash": HASH, **more}


def sent(body: bytes) -> object:
    return give(body=body, headers={"ETag": f'"{HASH}"', "Content-Type": "application/octet-stream"})


def pull(transport: Transport, target: Path) -> None:
    settings = Settings(cache_dir=target.parent / "cache")
    Pull(transport, DATA, settings, SilentProgress()).run(target, (), overwrite=False, allow_unsafe_links=False)


def test_what_is_as_it_was_pushed_appears(server: Scripted, transport: Transport, tmp_path: Path) -> None:
    server.will(listed(entry("a", mode=0o755)), NO_URLS, sent(b"good"))  # type: ignore[arg-type]

    pull(transport, tmp_path / "out")

    assert (tmp_path / "out" / "a").read_bytes() == b"good"
    assert (tmp_path / "out" / "a").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("body", [b"evil", b"goo", b"good and more"])
def test_other_bytes_never_appear(server: Scripted, transport: Transport, tmp_path: Path, body: bytes) -> None:
    server.will(listed(entry("a")), NO_URLS, sent(body))  # type: ignore[arg-type]

    with pytest.raises(Damaged, match="the bytes of 'a' are not what was stored"):
        pull(transport, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../a", "/a", "b/../../a", ""])
def test_nothing_is_written_outside_of_the_target(
    server: Scripted, transport: Transport, tmp_path: Path, path: str
) -> None:
    server.will(listed(entry(path)), NO_URLS, sent(b"good"))  # type: ignore[arg-type]

    with pytest.raises(UnsafePath):
        pull(transport, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_out_is_refused(server: Scripted, transport: Transport, tmp_path: Path) -> None:
    target = "/etc/passwd"
    link = entry("l", kind="link", size=len(target), hash=blake3(target.encode()).hexdigest(), target=target)
    server.will(listed(link), NO_URLS)  # type: ignore[arg-type]

    with pytest.raises(UnsafePath, match="the link 'l' leads to '/etc/passwd'"):
        pull(transport, tmp_path / "out")


def test_the_end_of_other_bytes_is_never_given_out(server: Scripted, transport: Transport) -> None:
    server.will(sent(b"evil"))  # type: ignore[arg-type]

    with pytest.raises(Damaged, match="the bytes of 'a' are not what was stored"):
        list(open_file(transport, DATA, "a"))
