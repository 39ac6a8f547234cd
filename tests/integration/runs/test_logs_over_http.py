"""Logs followed from elsewhere: every byte once, whatever becomes of the connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from raykqi.client import RemoteWorkspace
from raykqi.errors import Conflict, DataGone, UnknownId
from tests.integration.over_http import connected, serving_http
from tests.integration.runs.bench import SOON, Bench
from tests.integration.tcp_proxy import TcpProxy

LINES = [f"line {number}" for number in range(40)]
SAYS = "for i in $(seq 0 39); do echo line $i; sleep 0.05; done"


@pytest.fixture
def proxy(plain_bench: Bench) -> Iterator[TcpProxy]:
    with serving_http(plain_bench.ws) as url, TcpProxy(url) as proxy:
        yield proxy


@pytest.fixture
def remote(plain_bench: Bench, proxy: TcpProxy) -> Iterator[RemoteWorkspace]:
    plain_bench.ws.add_user("mika", is_admin=True)
    _, token = plain_bench.ws.issue_token("tests", user="mika")
    with connected(proxy.url, token, plain_bench.lab.folder) as remote:
        yield remote


def test_a_log_is_followed_over_broken_connections(
    plain_bench: Bench, remote: RemoteWorkspace, proxy: TcpProxy
) -> None:
    plain_bench.serve()
    plain_bench.plan(SAYS)
    plain_bench.push("a:1")
    (run,) = remote.runs()
    said = b""

    for piece in remote.logs(run, follow=True):
        before, said = said.count(b"\n"), said + piece
        if before // 10 != said.count(b"\n") // 10:
            proxy.break_all()

    assert said.decode().splitlines() == LINES
    assert proxy.connections > 3
    assert b"".join(remote.logs(run)) == said
    assert [each.status for each in remote.wait(run, timeout=SOON)] == ["done"]


def test_a_run_that_has_not_begun_is_waited_for(plain_bench: Bench, remote: RemoteWorkspace) -> None:
    plain_bench.plan("echo 始まり")
    plain_bench.push("a:1")
    (run,) = remote.runs()
    said: list[bytes] = []
    following = threading.Thread(target=lambda: said.extend(remote.logs(run.id[:18], follow=True)))
    following.start()

    plain_bench.serve()

    following.join(SOON)
    assert b"".join(said).decode() == "始まり\n"


def test_what_cannot_be_read_is_refused_at_once_and_in_the_same_words(
    plain_bench: Bench, remote: RemoteWorkspace
) -> None:
    plain_bench.plan()
    plain_bench.push("a:1")
    (run,) = remote.runs()

    for ws in (plain_bench.ws, remote):
        with pytest.raises(Conflict, match="has written nothing yet: it is waiting"):
            ws.logs(run)
        with pytest.raises(Conflict, match="has no attempt 7; its last one is 0"):
            ws.logs(run, attempt=7)
        with pytest.raises(UnknownId):
            ws.logs("ffff")
    remote.stop(run, fail=True)
    remote.remove_runs(run, "not needed")
    for ws in (plain_bench.ws, remote):
        with pytest.raises(DataGone, match="was removed, and its logs with it"):
            ws.logs(run)
