"""Whose attempts to sign in are counted together: those of one address, where a proxy tells it."""

from __future__ import annotations

import pytest

from serve_api.addresses import address_of


@pytest.mark.parametrize(
    ("peer", "forwarded", "is_proxy", "address"),
    [
        ("192.0.2.7", "203.0.113.9", False, "192.0.2.7"),  # anybody could claim to come from elsewhere
        ("192.0.2.7", "203.0.113.9", True, "203.0.113.9"),
        ("192.0.2.7", "198.51.100.1, 203.0.113.9", True, "203.0.113.9"),  # what the nearest proxy has seen
        ("127.0.0.1", "203.0.113.9", False, "203.0.113.9"),
        ("127.0.0.1", "", False, ""),
        ("192.0.2.7", "", True, ""),
    ],
)
def test_an_address_is_taken_from_proxies_of_ours_alone(
    peer: str, forwarded: str, is_proxy: bool, address: str
) -> None:
    assert address_of(peer, {"x-forwarded-for": forwarded}, is_proxy=is_proxy) == address
