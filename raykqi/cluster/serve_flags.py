"""What Ray Serve reads from the environment before a Ray of our own starts, so that its API is quick and our own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from raykqi.cluster.port_block import PortBlock, held_ports
from raykqi.cluster.proxies import end_proxies

__all__ = ["FAST", "serve_flags"]

# HAProxy before the replicas, and replicas that run the API on their own loop: seven times as many requests.
FAST = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
# What HAProxy notes of each request takes Serve a sixth of a core; replicas count by themselves.
UNCOUNTED = {"RAY_SERVE_HAPROXY_METRICS_ENABLED": "0"}
# A request for an endpoint without a replica waits, but not for ever. A room above this one, found by its name.
WAITING = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_api.inference.waiting.middlewares"}
LOOKING = "1"  # seconds between looks at the proxy; after three in vain another one begins
DRAINING = "3"  # seconds for which a replica that goes still answers; half a minute by default


@contextmanager
def serve_flags(folder: Path) -> Iterator[Mapping[str, str]]:
    """With files in `folder`, and with ports that no other Ray of ours on this machine has for as long as this lasts.

    By default all Rays of a machine share both. The names of the files are short: Serve puts the 56 letters of a
    node's id between, and a socket's path may have 97.
    """
    with held_ports() as ports:
        try:
            yield (
                FAST
                | UNCOUNTED
                | WAITING
                | _of_ports(ports)
                | _of_files(folder)
                | {"RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": LOOKING}
            )
        finally:
            end_proxies(folder)


def _of_ports(ports: PortBlock) -> dict[str, str]:
    return {
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback[0]),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.fallback[1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.http.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.http.stop),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(ports.grpc.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(ports.grpc.stop),
    }


def _of_files(folder: Path) -> dict[str, str]:
    return {
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": DRAINING,
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": DRAINING,
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "a.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "m.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
    }
