"""What a request asks: its headers, query and body as values, strictly decoded, and in whose name it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from raykqi.domain.access import Caller
from raykqi.errors import InvalidInput, InvalidQuery, TooLarge
from serve_api.addresses import address_of

if TYPE_CHECKING:
    from raykqi.workspace import Workspace
    from serve_api.api import Api

__all__ = ["Asked", "decode_body", "decode_query", "read_body"]

Given = ParamSpec("Given")
Found = TypeVar("Found")
MOST_PARAMETERS = 1_000
JSON_TYPES = ("application/json", "")


class Asked:
    """`workspace` acts as the caller, in the project of the path; `answer_headers` go along with the answer."""

    __slots__ = (
        "answer_headers",
        "answer_status",
        "api",
        "caller",
        "headers",
        "path",
        "receive",
        "request_id",
        "scope",
        "send",
        "token",
        "workspace",
    )

    def __init__(
        self,
        api: Api,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        headers: dict[str, str],
        request_id: str,
        caller: Caller,
        token: str,
        workspace: Workspace,
    ) -> None:
        self.api = api
        self.scope, self.receive, self.send = scope, receive, send
        self.headers = headers
        self.request_id = request_id
        self.caller = caller
        self.token = token
        self.workspace = workspace
        self.path: dict[str, str] = scope["path_params"]
        self.answer_headers: dict[str, str] = {}
        self.answer_status = 0

    @property
    def project(self) -> str:
        return self.path.get("project", "")

    @property
    def request(self) -> Request:
        """For those who read the body piece by piece."""
        return Request(self.scope, self.receive)

    @property
    def peer(self) -> str:
        """The address that this comes from, or "" where a proxy does not tell."""
        client = self.scope.get("client")
        return address_of(client[0] if client else "", self.headers, is_proxy=self.api.options.is_cluster)

    async def in_thread(
        self, function: Callable[Given, Found], /, *arguments: Given.args, **named: Given.kwargs
    ) -> Found:
        """What blocks, out of the loop that serves everybody else."""
        if not self.caller.user:
            threads = self.api.strangers
        else:
            threads = self.api.readers if self.scope["method"] in ("GET", "HEAD") else self.api.writers
        return await asyncio.get_running_loop().run_in_executor(threads, lambda: function(*arguments, **named))


def decode_query(text: bytes, kind: type | None) -> Any:
    """A Struct of the query's parameters; one that the route does not know is refused."""
    try:
        pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise InvalidQuery(f"more than {MOST_PARAMETERS} parameters", hint="Ask for less at once.") from None
    known = _parameters(kind) if kind else {}
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name not in known:
            hint = f"It takes {', '.join(sorted(known))}." if known else "It takes none."
            raise InvalidQuery(f"there is no parameter {name!r} here", hint=hint)
        if "\0" in value:
            raise InvalidQuery(f"the parameter {name!r} holds NUL", hint="Remove the NUL character.")
        if known[name]:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise InvalidQuery(f"the parameter {name!r} is there twice", hint="Give it once.")
        else:
            given[name] = value
    if kind is None:
        return None
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidQuery(f"the query cannot be understood: {error}", hint="See /docs for what it may hold.") from None


@cache
def _parameters(kind: type) -> dict[str, bool]:
    """The parameters of a Struct, and whether one may be there several times."""
    return {name: get_origin(hint) is tuple for name, hint in get_type_hints(kind).items()}


def decode_body(body: bytes, content_type: str, kind: Any) -> Any:
    if content_type.partition(";")[0].strip().lower() not in JSON_TYPES:
        raise InvalidInput(f"a body of {content_type!r} is not taken here", hint="Send JSON as application/json.")
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"the body cannot be understood: {error}", hint="See /docs for what it may hold.") from None
    except (UnicodeDecodeError, RecursionError):
        raise InvalidInput("the body is no JSON", hint="Send JSON in UTF-8.") from None


async def read_body(receive: Receive, headers: dict[str, str], most: int) -> bytes:
    """All of it, unless it is larger than bodies may be here."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("the connection ended before the body did", hint="Send it again.")
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"a body here may have {most:,} bytes", hint="Upload bytes as data, or ask for less at once.")
