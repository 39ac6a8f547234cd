"""Each Ray of ours has ports and files of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from raykqi.cluster.port_block import PortBlock, blocks_outside, held_ports
from raykqi.cluster.serve_flags import serve_flags
from raykqi.errors import Conflict

LAST = PortBlock(64_945)  # what starts beside these tests begins with the first


def ports_of(flags: Mapping[str, str]) -> set[int]:
    """Every port that Ray Serve may take with these."""
    ranges = [
        range(
            int(flags[f"RAY_SERVE_DIRECT_INGRESS_MIN_{kind}_PORT"]),
            int(flags[f"RAY_SERVE_DIRECT_INGRESS_MAX_{kind}_PORT"]),
        )
        for kind in ("HTTP", "GRPC")
    ]
    single = ("HAPROXY_STATS", "HAPROXY_METRICS", "FALLBACK_PROXY_HTTP", "FALLBACK_PROXY_GRPC")
    return {int(flags[f"RAY_SERVE_{each}_PORT"]) for each in single}.union(*ranges)


def test_two_rays_beside_each_other_share_no_port_and_no_file(tmp_path: Path) -> None:
    with serve_flags(tmp_path / "a") as one, serve_flags(tmp_path / "b") as other:
        assert len(ports_of(one)) == len(ports_of(other)) == 504
        assert ports_of(one) & ports_of(other) == set()
        files = [{value for value in flags.values() if value.startswith("/")} for flags in (one, other)]
        assert [len(each) for each in files] == [5, 5]
        assert files[0] & files[1] == set()


def test_what_a_process_held_is_free_when_it_was_killed() -> None:
    holds = f"""
from raykqi.cluster.port_block import PortBlock, held_ports
with held_ports([PortBlock({LAST.first})]):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Conflict, match="has one that is taken"), held_ports([LAST]):
            pass
        with held_ports([LAST, PortBlock(LAST.first - 505)]) as next_to_it:
            assert next_to_it.grpc.stop == LAST.first
        other.kill()

    with held_ports([LAST]) as ours:
        assert ours == LAST


@pytest.mark.parametrize("port", [LAST.stats, LAST.http[0], LAST.grpc[-1]])
def test_a_block_in_which_somebody_listens_is_left_alone(port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()

        with pytest.raises(Conflict, match="has one that is taken"), held_ports([LAST]):
            pass


@pytest.mark.parametrize(
    ("ephemeral", "firsts"),
    [
        ((32768, 60999), (20000, 64535)),
        ((21000, 65535), (20000, 20000)),
        ((1024, 65535), (20000, 64945)),  # connections have them all
    ],
)
def test_blocks_lie_outside_of_the_ports_of_connections(ephemeral: tuple[int, int], firsts: tuple[int, int]) -> None:
    blocks = blocks_outside(*ephemeral)

    assert (blocks[0].first, blocks[-1].first) == firsts
    assert all(block.grpc.stop <= 65536 for block in blocks)
