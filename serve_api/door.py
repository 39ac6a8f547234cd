"""From a request to its route's function and back: who asks, may they, what do they ask, and the answer's bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from raykqi.domain.access import Caller
from raykqi.domain.etag import etag_of
from raykqi.errors import Forbidden, InvalidInput, InvalidQuery, ServerUnavailable, Unauthenticated, UnknownId
from raykqi.workspace import Workspace
from serve_api.access_log import Note
from serve_api.answering import CHOSEN, JSON, Encoded, encode, matches, select, send_bytes
from serve_api.api import Api
from serve_api.asking import Asked, decode_body, decode_query, read_body
from serve_api.callers import NOBODY, cookie_name, token_of
from serve_api.routing import Route

__all__ = ["Door"]

PUBLIC_BODY = 64 * 1024
_WORD = re.compile(r"[!-~]{1,255}\Z")


class Door:
    """All routes of one path, as an ASGI application."""

    def __init__(self, api: Api, routes: Mapping[str, Route]) -> None:
        self._api = api
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        route = self._routes.get(method)
        if route is None:
            raise HTTPException(405, f"{scope['method']} is not for this path", {"Allow": ", ".join(self._routes)})
        api, note = self._api, scope["raykqi"]
        note.route = route.path
        project = scope["path_params"].get("project", "")
        caller, token = await self._caller(route, note)
        _authorise(route, caller, project)
        # Others are in no project that is not there.
        if caller.is_admin and project and not await api.has_project(project):
            raise _no_project(project)
        await self._keep_up(note)
        key: object = None
        if route.remembered:
            key = (scope["path"], scope["query_string"])
            known = api.answers.get(key, api.workspace.seq)
            if known:
                await _send(send, route.status, known, {}, note.headers)
                return
        query, fields = _split(scope["query_string"], route)
        body = await read_body(receive, note.headers, self._most(route)) if route.body is not None else b""
        workspace = self._workspace(route, note, caller, project, scope["path"], query + b"\0" + body)
        asked = Asked(
            api,
            scope,
            receive,
            send,
            headers=note.headers,
            request_id=note.request_id,
            caller=caller,
            token=token,
            workspace=workspace,
        )
        seq = api.workspace.seq
        answer = await self._answer(route, asked, query, body)
        if isinstance(answer, Response):
            for name, value in asked.answer_headers.items():
                answer.headers[name] = value
            await answer(scope, receive, send)
            return
        etag = etag_of(answer) if route.tagged else ""
        _link(scope, answer, scope["query_string"], asked.answer_headers)
        status = asked.answer_status or route.status
        if status == 204:
            await send_bytes(send, status, b"", JSON, asked.answer_headers)
            return
        if fields:
            encoded = Encoded(encode(select(answer, fields, route.answer)), etag, CHOSEN)
        else:
            encoded = Encoded(encode(answer), etag)
        if key is not None and not asked.answer_headers:
            api.answers.put(key, seq, encoded)
        await _send(send, status, encoded, asked.answer_headers, note.headers)

    def _most(self, route: Route) -> int:
        """What nobody answers for must not fill the memory."""
        most = self._api.options.max_body
        return min(most, PUBLIC_BODY) if route.needs == "public" else most

    async def _caller(self, route: Route, note: Note) -> tuple[Caller, str]:
        options = self._api.options
        headers = note.headers
        token = token_of(headers, cookie_name(headers.get("host", ""), is_secure=options.is_secure))
        if route.needs == "public":
            return NOBODY, token
        if not token:
            raise Unauthenticated("no token was given", hint="Sign in, or send a token as `Authorization: Bearer …`.")
        caller = await self._api.caller(token)
        note.user, note.run = caller.user, caller.run
        return caller, token

    async def _keep_up(self, note: Note) -> None:
        """Whoever has seen an entry of the journal elsewhere sees here at least as much."""
        text = note.headers.get("raykqi-seq")
        if text is None:
            return
        if not text.isdigit() or len(text) > 18:
            raise InvalidInput(f"Raykqi-Seq {text!r} is no number", hint="Send the one that an answer had.")
        api, seq = self._api, int(text)
        if api.workspace.seq >= seq:
            return
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(api.readers, api.workspace.reach, seq, api.options.wait_for_seq):
            raise ServerUnavailable(
                f"this server has not come as far as entry {seq} yet", hint="Try again in a moment."
            )

    def _workspace(
        self, route: Route, note: Note, caller: Caller, project: str, path: str, request: bytes
    ) -> Workspace:
        note.project = project
        workspace = self._api.acting(caller, project)
        headers = note.headers
        key = _checked(headers, "idempotency-key") if route.once else ""
        expect = _checked(headers, "if-match").removeprefix("W/").strip('"') if route.conditional else ""
        expect = "" if expect == "*" else expect
        if not key and not expect:
            return workspace
        fingerprint = sha256(b"\0".join([route.name.encode(), path.encode(), request])).hexdigest()
        return workspace.once(key=key, fingerprint=fingerprint, expect=expect)

    async def _answer(self, route: Route, asked: Asked, query: bytes, body: bytes) -> object:
        given: dict[str, object] = {name: asked.path[name] for name in route.in_path}
        decoded = None if route.any_query else decode_query(query, route.query)
        if route.query is not None:
            given["query"] = decoded
        if route.body is not None:
            content_type = asked.headers.get("content-type", "")
            is_other = content_type.partition(";")[0].strip().lower() in route.takes
            given["body"] = body if is_other else decode_body(body, content_type, route.body)
        if route.is_async:
            return await route.handler(asked, **given)
        return await asked.in_thread(route.handler, asked, **given)


def _checked(headers: Mapping[str, str], name: str) -> str:
    text = headers.get(name, "")
    if name in headers and not _WORD.match(text):
        raise InvalidInput(f"the header {name} is one word of up to 255 characters", hint="Send a UUID, or an ETag.")
    return text


def _authorise(route: Route, caller: Caller, project: str) -> None:
    needs = route.needs
    if needs == "public":
        return
    if caller.endpoint:
        raise Forbidden(
            f"this token may ask the endpoint {caller.endpoint} and do nothing else", hint="Sign in as yourself."
        )
    if needs == "signed_in":
        return
    if needs == "workspace":
        if not caller.is_admin:
            raise Forbidden("only administrators of the workspace may do that", hint="Ask one of them.")
        return
    role = caller.role_in(project)
    if role is None:
        raise _no_project(project)
    if not caller.may(needs, project):
        article = "an" if needs == "admin" else "a"
        raise Forbidden(
            f"{caller.user} is {role} of the project {project}, and that takes {article} {needs}",
            hint="Ask an administrator of the project.",
        )


def _no_project(project: str) -> UnknownId:
    return UnknownId(f"there is no project {project!r}", hint="`raykqi project list` shows those that you are in.")


def _split(query: bytes, route: Route) -> tuple[bytes, str]:
    """Any JSON answer may be had with some of its fields alone."""
    if b"fields=" not in query or route.method != "GET" or route.answer is None:
        return query, ""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    wanted = [value for name, value in pairs if name == "fields"]
    if len(wanted) > 1:
        raise InvalidQuery("the parameter 'fields' is there twice", hint="Name them with commas between: `id,tags`.")
    return urlencode([pair for pair in pairs if pair[0] != "fields"]).encode(), "".join(wanted) or ","


def _link(scope: Scope, answer: object, query: bytes, headers: dict[str, str]) -> None:
    cursor = getattr(answer, "next_cursor", "")
    if cursor:
        pairs = [pair for pair in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if pair[0] != "cursor"]
        headers["Link"] = f'<{scope["path"]}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'


async def _send(
    send: Send, status: int, answer: Encoded, headers: dict[str, str], asked_with: Mapping[str, str]
) -> None:
    body = answer.body
    if answer.etag:
        etag = f'"{answer.etag}"'
        headers = {**headers, "ETag": etag, "Cache-Control": "no-cache"}
        if matches(asked_with.get("if-none-match", ""), etag):
            status, body = 304, b""
    else:
        headers = {"Cache-Control": "no-store", **headers}
    await send_bytes(send, status, body, answer.media_type, headers, accepts=asked_with.get("accept-encoding", ""))
