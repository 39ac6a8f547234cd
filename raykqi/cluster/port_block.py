"""A block of ports for one Ray, that no other Ray of ours on this machine takes while this one lives.

The replicas and proxies of Ray Serve share ports (SO_REUSEPORT): two Rays that listen on the same ones would be
dealt each other's requests. A block is held by its first port, which is bound and never listened on: the kernel
sees to it, whoever the other's user is, and gives it back when this process ends, however it ends.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from raykqi.errors import Conflict

__all__ = ["PortBlock", "blocks_outside", "held_ports"]

LOWEST, HIGHEST = 20_000, 65_535  # below, what is known by its port: databases, the workers and clients of Ray
EACH = 250  # replicas on one machine, those that have just gone included
FIRST_OF_REPLICAS = 5
SIZE = 2 * EACH + FIRST_OF_REPLICAS
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
USUAL_EPHEMERAL = (32_768, 60_999)


@dataclass(frozen=True)
class PortBlock:
    first: int

    @property
    def stats(self) -> int:
        return self.first + 1

    @property
    def metrics(self) -> int:
        return self.first + 2

    @property
    def fallback(self) -> tuple[int, int]:
        """HTTP and gRPC of the proxy that is asked for what has no replica at the moment."""
        return self.first + 3, self.first + 4

    @property
    def http(self) -> range:
        return range(self.first + FIRST_OF_REPLICAS, self.first + FIRST_OF_REPLICAS + EACH)

    @property
    def grpc(self) -> range:
        return range(self.http.stop, self.http.stop + EACH)


@contextmanager
def held_ports(among: Sequence[PortBlock] = ()) -> Iterator[PortBlock]:
    """The first block in which nobody listens, of these or of all."""
    for block in among or blocks_outside(*_ephemeral()):
        with socket.socket() as hold:
            try:
                hold.bind(("", block.first))
            except OSError:
                continue
            if all(_is_free(port) for port in range(block.first + 1, block.first + SIZE)):
                yield block
                return
    raise Conflict(
        f"each block of {SIZE} ports between {LOWEST} and {HIGHEST} has one that is taken",
        hint="End what listens there: `ss -ltnp` names it.",
    )


def blocks_outside(lowest_ephemeral: int, highest_ephemeral: int) -> list[PortBlock]:
    """Those without a port that connections are given; all, where none is left."""
    every = [PortBlock(first) for first in range(LOWEST, HIGHEST - SIZE + 2, SIZE)]
    above = [PortBlock(first) for first in range(max(LOWEST, highest_ephemeral + 1), HIGHEST - SIZE + 2, SIZE)]
    below = [block for block in every if block.first + SIZE <= lowest_ephemeral]
    return below + above or every


def _ephemeral() -> tuple[int, int]:
    with suppress(OSError, ValueError):
        lowest, highest = EPHEMERAL.read_text(encoding="ascii").split()
        return int(lowest), int(highest)
    return USUAL_EPHEMERAL


def _is_free(port: int) -> bool:
    """Whether nobody listens there; connections that have ended do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
