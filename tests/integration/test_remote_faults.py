"""Clients whose connections break: nothing is lost, nothing is doubled, and what has come need not come again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.client import RemoteWorkspace
from raykqi.errors import Damaged, ServerUnavailable, SourceChanged
from raykqi.storage.progress import SilentProgress
from tests.integration.lab import Lab, Opened
from tests.integration.over_http import connected, free_port, serving_http
from tests.integration.tcp_proxy import TcpProxy

MIB = 1 << 20


@pytest.fixture
def opened(lab: Lab) -> Opened:
    return lab.open()


@pytest.fixture
def token(opened: Opened) -> str:
    opened.ws.add_user("mika", is_admin=True)
    return opened.ws.issue_token("tests", user="mika")[1]


@pytest.fixture
def proxy(opened: Opened) -> Iterator[TcpProxy]:
    with serving_http(opened.ws) as url, TcpProxy(url) as proxy:
        yield proxy


@pytest.fixture
def remote(proxy: TcpProxy, token: str, lab: Lab) -> Iterator[RemoteWorkspace]:
    with connected(proxy.url, token, lab.folder) as remote:
        yield remote


@pytest.fixture
def small(lab: Lab) -> Path:
    return lab.files("small", {"a": os.urandom(3 * MIB), "b/写真": os.urandom(MIB), "c/empty": b""})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_push_that_breaks_in_the_middle_is_sent_again(
    remote: RemoteWorkspace, proxy: TcpProxy, opened: Opened, small: Path
) -> None:
    proxy.break_after(up=2 * MIB)

    data = remote.push(small, ["a:1"])

    assert proxy.broken == 1
    assert opened.ws.find() == [data]
    assert proxy.carried["up"] > 5 * MIB


def test_a_push_whose_answer_is_lost_makes_one_data(
    remote: RemoteWorkspace, proxy: TcpProxy, opened: Opened, small: Path
) -> None:
    remote.find()
    proxy.break_after(down=1)

    data = remote.push(small, ["a:1"])

    assert proxy.broken == 1
    assert opened.ws.find() == [data]


def test_a_plan_whose_answer_is_lost_is_applied_once(remote: RemoteWorkspace, proxy: TcpProxy, opened: Opened) -> None:
    remote.find()
    proxy.break_after(down=1)

    plan = remote.apply("command: [/bin/sh, -c, 'true']\ninputs: [{path: /in/d, tags: ['a:1']}]\n")

    assert proxy.broken == 1
    assert [each.id for each in opened.ws.plans()] == [plan.id]


def test_a_change_of_tags_whose_answer_is_lost_is_made_once(
    remote: RemoteWorkspace, proxy: TcpProxy, opened: Opened, small: Path
) -> None:
    data = remote.push(small, ["a:1"])
    proxy.break_after(down=1)

    remote.tag(data, add=["b:2"], remove=["a:1"])

    assert proxy.broken == 1
    assert [str(tag) for tag in opened.ws.show(data).tags] == ["b:2"]


def test_a_large_push_that_breaks_costs_a_piece_and_not_the_whole(
    remote: RemoteWorkspace, proxy: TcpProxy, opened: Opened, lab: Lab
) -> None:
    folder = lab.files("large", {"small": b"1", "sub/empty": b""})
    with (folder / "large").open("wb") as large:
        for number in range(72):
            large.write(bytes([number]) * MIB)
    (folder / "sub" / "link").symlink_to("../small")
    proxy.break_after(up=30 * MIB)

    data = remote.push(folder, ["a:1"], name=True)

    assert proxy.broken == 1
    assert proxy.carried["up"] < 72 * MIB + 6 * 8 * MIB
    assert (data.name, data.tree.files, data.tree.size) == ("large", 3, 72 * MIB + 1)
    assert opened.ws.find() == [data]
    opened.ws.pull(data, lab.folder / "out")
    assert contents(lab.folder / "out") == contents(folder)


def test_what_changes_while_it_is_sent_is_refused_and_not_stored(
    remote: RemoteWorkspace, opened: Opened, lab: Lab
) -> None:
    folder = lab.files("changing", {"large": bytes(66 * MIB), "zzz": b"before"})

    class Spoiling(SilentProgress):
        def advance(self, files: int, size: int) -> None:
            (folder / "zzz").write_bytes(b"after")

    with pytest.raises(SourceChanged, match="zzz changed while it was pushed"):
        remote.push(folder, progress=Spoiling())

    assert opened.ws.find() == []


@pytest.mark.parametrize("count", [3, 60], ids=["file by file", "as an archive"])
def test_a_pull_that_breaks_in_the_middle_comes_whole(
    remote: RemoteWorkspace, proxy: TcpProxy, lab: Lab, count: int
) -> None:
    source = lab.files("source", {f"f{number}/data": os.urandom(6 * MIB // count) for number in range(count)})
    data = remote.push(source)
    before = proxy.carried["down"]
    proxy.break_after(down=3 * MIB)

    written = remote.pull(data, lab.folder / "out")

    assert proxy.broken == 1
    assert (written.files, written.size) == (count, 6 * MIB // count * count)
    assert contents(lab.folder / "out") == contents(source)
    assert proxy.carried["down"] - before < 12 * MIB


def test_a_file_that_breaks_in_the_middle_is_read_on(remote: RemoteWorkspace, proxy: TcpProxy, lab: Lab) -> None:
    content = os.urandom(32 * MIB)
    data = remote.push(lab.files("source", {"a": content}))
    before = proxy.carried["down"]
    proxy.break_after(down=20 * MIB)

    assert b"".join(remote.cat(data, "a")) == content

    assert proxy.broken == 1
    assert proxy.carried["down"] - before < 44 * MIB  # what was under way when it broke is lost


def test_what_is_damaged_where_it_is_stored_never_appears(
    remote: RemoteWorkspace, opened: Opened, lab: Lab, small: Path
) -> None:
    data = remote.push(small)
    (blob,) = [path for path in (lab.root / "blobs").rglob("*") if path.is_file() and path.stat().st_size == 3 * MIB]
    blob.chmod(0o600)
    blob.write_bytes(bytes(3 * MIB))

    with pytest.raises((Damaged, ServerUnavailable)):
        remote.pull(data, lab.folder / "out")

    assert not (lab.folder / "out").exists()
    assert [path for path in lab.folder.iterdir() if path.name.startswith(".raykqi-")] == []


def test_a_pull_that_is_repeated_over_what_is_there_fetches_little(
    remote: RemoteWorkspace, proxy: TcpProxy, lab: Lab, small: Path
) -> None:
    data = remote.push(small)
    remote.pull(data, lab.folder / "out")
    (lab.folder / "out" / "b" / "写真").write_bytes(b"changed")
    before = proxy.carried["down"]

    remote.pull(data, lab.folder / "out", overwrite=True)

    assert contents(lab.folder / "out") == contents(small)
    assert proxy.carried["down"] - before < 2 * MIB


def test_a_server_that_is_restarted_is_waited_for(opened: Opened, token: str, lab: Lab, small: Path) -> None:
    port = free_port()
    with serving_http(opened.ws, port=port) as url:
        remote = connected(url, token, lab.folder)
        data = remote.push(small)
    found: list[object] = []
    asking = threading.Thread(target=lambda: found.extend(remote.find()))
    asking.start()

    with serving_http(opened.ws, port=port):
        asking.join(20)
        assert found == [data]
        remote.close()


def test_news_go_on_after_a_broken_connection(
    remote: RemoteWorkspace, proxy: TcpProxy, opened: Opened, small: Path
) -> None:
    news = threading.Semaphore(0)

    def heard(within: float) -> bool:
        """Something is told, and then nothing more."""
        told = news.acquire(timeout=within)
        while news.acquire(timeout=0.3):
            pass
        return told

    with remote.watching(news.release):
        assert heard(10)
        opened.ws.push(small)
        assert heard(10)
        proxy.break_all()
        assert heard(10)
        opened.ws.push(small)
        assert heard(10)
