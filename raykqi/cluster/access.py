"""Whether a Ray lets us in, asked before it is joined: Ray tries for long, and then says that it is not there."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
from ray._private.grpc_utils import init_grpc_channel
from ray._private.services import canonicalize_bootstrap_address
from ray.exceptions import AuthenticationError

from raykqi.errors import Conflict, InvalidInput

__all__ = ["check_access"]

PATIENCE = 5.0
QUESTION = "/ray.rpc.NodeInfoGcsService/GetClusterId"  # any would do that changes nothing


def check_access(address: str) -> None:
    """Refuses where a token is asked for that this process does not have; anything else is for Ray to say."""
    whole: Any = canonicalize_bootstrap_address
    try:
        found = str(whole(address))
    except ValueError as error:
        raise InvalidInput(f"{address!r} is not the address of a Ray", hint="Write HOST:PORT, or auto.") from error
    try:
        channel = init_grpc_channel(found)
        try:
            channel.unary_unary(QUESTION)(b"", timeout=PATIENCE)
        finally:
            channel.close()
    except AuthenticationError as error:
        _refuse(found, "this process has none", error)
    except grpc.RpcError as error:
        answer: Any = error
        if answer.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            _refuse(found, "what this process has is not it", error)


def _refuse(address: str, why: str, error: Exception) -> NoReturn:
    raise Conflict(
        f"the Ray at {address} asks for a token, and {why}",
        hint="Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the file that holds its token.",
    ) from error
