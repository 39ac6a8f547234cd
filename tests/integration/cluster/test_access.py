"""Joining a Ray that lets nobody in without its token."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from raykqi.cluster.access import check_access
from raykqi.errors import Conflict, InvalidInput


@contextmanager
def answering(code: grpc.StatusCode) -> Iterator[str]:
    """The address of what answers every question so, as the head of a Ray might."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, _: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(code, "as the test wants it"))

    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads, handlers=[Handler()])
        port = server.add_insecure_port("0.0.0.0:0")  # Ray turns 127.0.0.1 into another address
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


def test_a_ray_that_asks_for_a_token_is_told_from_one_that_is_not_there() -> None:
    with answering(grpc.StatusCode.UNAUTHENTICATED) as address, pytest.raises(Conflict) as refused:
        check_access(address)

    assert "asks for a token, and what this process has is not it" in refused.value.message
    assert "RAY_AUTH_MODE=token" in refused.value.hint
    assert "RAY_AUTH_TOKEN_PATH" in refused.value.hint


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE])
def test_anything_else_is_left_to_ray(code: grpc.StatusCode) -> None:
    with answering(code) as address:
        check_access(address)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'everywhere' is not the address of a Ray"):
        check_access("everywhere")
