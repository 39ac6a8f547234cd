"""What Ray Serve reads from the environment before a Ray of our own starts, so that its API is quick and our own."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

__all__ = ["FAST", "serve_flags"]

# HAProxy before the replicas, and replicas that run the API on their own loop: seven times as many requests.
FAST = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
DRAINING = "3"  # seconds for which a replica that goes still answers; half a minute by default


def serve_flags(folder: Path) -> dict[str, str]:
    """With files in `folder`, for by default all Rays of a machine share those of its temporary folder.

    Their names are short: Serve puts the 56 letters of a node's id between, and a socket's path may have 97.
    """
    stats, metrics = _free_ports(2)
    return FAST | {
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": DRAINING,
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": DRAINING,
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "a.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "m.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
    }


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_:
        sockets = [open_.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]
