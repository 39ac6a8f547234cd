"""The port of an API, which two that start at the same time must not both take.

What listens on it later shares ports (SO_REUSEPORT), so the second one would not fail there: each would be dealt
requests of the other. Until then, and for as long as it lives, the port is held by a name in the kernel.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from raykqi.errors import Conflict

__all__ = ["held_port"]


@contextmanager
def held_port(host: str, wanted: int | None, *, usual: int) -> Iterator[int]:
    """That port, or any for 0. When none is wanted: the usual one, or any if that is taken."""
    with socket.socket(socket.AF_UNIX) as name:
        try:
            port = _held(name, host, usual if wanted is None else wanted)
        except Conflict:
            if wanted is not None:
                raise
            port = _held(name, host, 0)
        yield port


def _held(name: socket.socket, host: str, wanted: int) -> int:
    """Whoever takes it in between, and does not know of the name, makes the start fail."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]"), wanted))
            port = int(probe.getsockname()[1])
            if sys.platform == "linux":  # elsewhere such names do not go when their process is killed
                name.bind(f"\0raykqi-api-{port}")
    except OSError as error:
        raise Conflict(
            f"port {wanted} of {host} cannot be used: {error.strerror}",
            hint="Choose another --port; 0 takes any that is free.",
        ) from error
    return port
