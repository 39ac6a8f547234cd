"""What replicas of endpoints write, read as it is and followed as it comes, here and from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.client import RemoteWorkspace
from raykqi.errors import InvalidInput, UnknownId
from raykqi.workspace import Workspace
from tests.integration.over_http import over_http
from tests.integration.shop import PROD, Shop, shop

__all__ = ["shop"]  # the fixture


@pytest.fixture
def remote(shop: Shop) -> Iterator[RemoteWorkspace]:
    with over_http(shop.ws, "mika", shop.lab.folder) as found:
        yield found


@pytest.fixture(params=["here", "elsewhere"])
def ws(request: pytest.FixtureRequest, shop: Shop) -> Workspace | RemoteWorkspace:
    if request.param == "here":
        return shop.ws
    found: RemoteWorkspace = request.getfixturevalue("remote")
    return found


def write(shop: Shop, replica: str, number: int, text: str) -> None:
    shop.ws._store.put(f"logs/{shop.ws.endpoint('digits').id}/{replica}/{number:08d}.log", text.encode())


def test_a_log_is_followed_over_all_replicas_until_the_endpoint_is_removed(
    shop: Shop, ws: Workspace | RemoteWorkspace
) -> None:
    shop.ws.deploy("digits", tags=PROD)
    write(shop, "r1", 0, "one\n")

    pieces = ws.endpoint_log("digits", follow=True)

    assert next(pieces) == b"one\n"
    write(shop, "r2", 0, "two\n")
    assert next(pieces) == b"two\n"
    write(shop, "r1", 1, "三\n")
    assert next(pieces) == "三\n".encode()
    write(shop, "r2", 1, "last\n")
    shop.ws.remove_endpoint("digits")
    assert b"".join(pieces) == b"last\n"


def test_a_log_as_it_is_holds_what_is_left_of_each_replica(shop: Shop, ws: Workspace | RemoteWorkspace) -> None:
    shop.ws.deploy("digits", tags=PROD)
    for replica, number in (("r1", 7), ("r1", 8), ("r2", 0)):  # the older ones have gone
        write(shop, replica, number, f"{replica} {number}\n")

    assert b"".join(ws.endpoint_log("digits")) == b"r1 7\nr1 8\nr2 0\n"
    assert b"".join(ws.endpoint_log("digits", replica="r2")) == b"r2 0\n"
    for follow in (False, True):
        with pytest.raises(UnknownId):
            next(ws.endpoint_log("nothing", follow=follow))


def test_reading_goes_on_from_where_it_was_broken_off(shop: Shop) -> None:
    shop.ws.deploy("digits", tags=PROD)
    write(shop, "r1", 0, "one\n")
    first = shop.ws.replica_logs("digits")
    assert list(first.more()) == [b"one\n"]
    write(shop, "r1", 1, "two\n")

    assert list(shop.ws.replica_logs("digits", place=first.place).more()) == [b"two\n"]
    with pytest.raises(InvalidInput, match="no place in these logs"):
        shop.ws.replica_logs("digits", place="r1=x")
