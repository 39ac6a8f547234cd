"""Where a request comes from, as far as that can be told behind proxies."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["address_of", "is_own_address"]


def address_of(peer: str, headers: Mapping[str, str], *, is_proxy: bool) -> str:
    """Of whoever asked a proxy of ours, as a proxy before that has told it; "" when none has."""
    if not (is_proxy or is_own_address(peer)):
        return peer
    return headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:64]


@lru_cache(4096)
def is_own_address(address: str) -> bool:
    """Whether this machine has the address: only then can something be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address.removeprefix("::ffff:") if family == socket.AF_INET else address, 0))
    except OSError:
        return False
    return True
