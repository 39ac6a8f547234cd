"""Bytes that go straight between client and bucket, where the server signs URLs, and by way of the server where not."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from raykqi.client import RemoteWorkspace
from tests.integration.lab import Lab, Opened
from tests.integration.over_http import connected, serving_http
from tests.integration.tcp_proxy import TcpProxy
from tests.servers import S3Server

MIB = 1 << 20
LARGE = 66 * MIB  # more than is sent in one stream


@pytest.fixture
def opened(make_lab: Callable[..., Lab], s3: S3Server) -> Opened:
    return make_lab(url=s3.url(uuid.uuid4().hex), s3_endpoint=s3.endpoint).open()


@pytest.fixture
def proxy(opened: Opened) -> Iterator[TcpProxy]:
    with serving_http(opened.ws) as url, TcpProxy(url) as proxy:
        yield proxy


@pytest.fixture
def remote(opened: Opened, proxy: TcpProxy, lab: Lab) -> Iterator[RemoteWorkspace]:
    opened.ws.add_user("mika", is_admin=True)
    _, token = opened.ws.issue_token("tests", user="mika")
    with connected(proxy.url, token, lab.folder, timeout=60.0) as remote:
        yield remote


def test_large_data_bypass_the_server_both_ways(remote: RemoteWorkspace, proxy: TcpProxy, lab: Lab) -> None:
    block = os.urandom(MIB)
    source = lab.files("source", {"large": block * (LARGE // MIB), "日本": b"small", "empty": b""})
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)

    data = remote.push(source, ["a:1"])
    written = remote.pull(data, lab.folder / "out")

    assert (data.tree.files, data.tree.size) == (4, LARGE + 5 + 10)
    assert (written.files, written.size) == (4, data.tree.size)
    for name in ("large", "日本", "empty", "run.sh"):
        assert (lab.folder / "out" / name).read_bytes() == (source / name).read_bytes()
    assert (lab.folder / "out" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert proxy.carried["up"] < MIB
    assert proxy.carried["down"] < MIB


def test_small_files_come_from_their_packs(remote: RemoteWorkspace, proxy: TcpProxy, lab: Lab) -> None:
    source = lab.files("source", {f"f{number:03}": os.urandom(2_000) for number in range(300)})
    data = remote.push(source)
    before = proxy.carried["down"]

    remote.pull(data, lab.folder / "out", patterns=["f0*"])

    assert sorted(path.name for path in (lab.folder / "out").iterdir()) == [f"f{number:03}" for number in range(100)]
    assert all((lab.folder / "out" / name).read_bytes() == (source / name).read_bytes() for name in ("f000", "f099"))
    assert proxy.carried["down"] - before < 300_000
