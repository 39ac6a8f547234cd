"""Streams: what is committed in a project, what a run writes, how far it is; each taken up again where it broke off."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from raykqi.errors import Forbidden, InvalidInput, RaykqiError, ServerUnavailable
from raykqi.execution.replica_logs import ReplicaLogs
from serve_api import sse
from serve_api.asking import Asked
from serve_api.news import Listener, follow, message_of
from serve_api.routing import PROJECT, Routes
from serve_api.sse import EventStream, Message

__all__ = ["routes"]

routes = Routes("streams", prefix=PROJECT)
TEXT = "text/plain; charset=utf-8"
LARGEST = 1 << 62
LOOK = 1.0  # seconds between looks for more of what replicas wrote
Item = TypeVar("Item")
Place = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


class Since(msgspec.Struct, frozen=True):
    """Entry of the journal after which to begin; as the header `Last-Event-ID`, which counts before it."""

    after: Place | None = None


class LogAsked(msgspec.Struct, frozen=True):
    """From byte `offset` on. `follow` goes on until the attempt has ended, as `Accept: text/event-stream` does."""

    attempt: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] | None = None
    offset: Place = 0
    follow: bool = False


class ReplicaLogAsked(msgspec.Struct, frozen=True):
    """Of the replicas alone whose names begin so. `Accept: text/event-stream` goes on until the endpoint is removed."""

    replica: str = ""


class Ended(msgspec.Struct, frozen=True):
    status: str


@routes.get("/events", needs="viewer", media=(sse.MEDIA_TYPE,))
async def events(asked: Asked, query: Since) -> Response:
    """Everything that is committed in the project, as it happens

    Each `commit` is one entry of the journal, whole; its id is the number of the entry.
    """
    after = _last_id(asked, query.after)
    return _stream(asked, _events(asked, after))


@routes.get("/runs/{run}/log", needs="viewer", media=(TEXT, sse.MEDIA_TYPE), also=(204,))
async def log_of_run(asked: Asked, run: str, query: LogAsked) -> Response:
    """What a run wrote to stdout and stderr

    As events: each `log` holds bytes in Base64, `end` tells the status. The id of an event is attempt and byte.
    """
    workspace = asked.workspace
    wants_events = sse.MEDIA_TYPE in asked.headers.get("accept", "")
    if not wants_events and not query.follow:
        reader = await asked.in_thread(workspace.log_reader, run, attempt=query.attempt)
        await asked.in_thread(reader.seek, query.offset)
        return StreamingResponse(_pieces(asked, reader.more()), media_type=TEXT)
    whole = (await asked.in_thread(workspace.run, run)).id
    attempt, offset = _place(asked, query)
    if attempt is not None:
        await asked.in_thread(workspace.log_reader, whole, attempt=attempt)
    if not wants_events:
        return StreamingResponse(_log_bytes(asked, whole, attempt, offset), media_type=TEXT)
    if "last-event-id" in asked.headers and attempt and await _is_read(asked, whole, attempt, offset):
        return Response(status_code=204)  # by which browsers know that they need not come again
    return _stream(asked, _log_messages(asked, whole, attempt, offset))


@routes.get("/endpoints/{name}/log", needs="viewer", media=(TEXT, sse.MEDIA_TYPE))
async def log_of_endpoint(asked: Asked, name: str, query: ReplicaLogAsked) -> Response:
    """What its models and replicas have written, one replica after the other; those that are gone too

    As events: each `log` holds bytes in Base64, and `end` comes when the endpoint is removed. The id of an event says
    how far each replica was read.
    """
    wants_events = sse.MEDIA_TYPE in asked.headers.get("accept", "")
    place = asked.headers.get("last-event-id", "") if wants_events else ""
    logs = await asked.in_thread(asked.workspace.replica_logs, name, query.replica, place)
    if not wants_events:
        return StreamingResponse(_pieces(asked, logs.more()), media_type=TEXT)
    return _stream(asked, _replica_messages(asked, logs))


@routes.get("/runs/{run}/progress", needs="viewer", media=(sse.MEDIA_TYPE,))
async def progress_of_run(asked: Asked, run: str) -> Response:
    """How a run does: `run` when its status changes, `beat` with progress and usage, `end` at the end"""
    whole = (await asked.in_thread(asked.workspace.run, run)).id
    return _stream(asked, _progress(asked, whole))


def _stream(asked: Asked, messages: AsyncIterator[bytes | None]) -> EventStream:
    return EventStream(_while_allowed(asked, messages), counted=asked.api.measures.stream)


async def _while_allowed(asked: Asked, messages: AsyncIterator[bytes | None]) -> AsyncIterator[bytes | None]:
    """Whoever loses the right to see them sees no more."""
    async for message in messages:
        if not await _is_allowed(asked):
            return
        yield message


async def _is_allowed(asked: Asked) -> bool:
    try:
        caller = await asked.api.caller(asked.token)
    except RaykqiError:
        return False
    return caller.may("viewer", asked.project)


async def _events(asked: Asked, after: int | None) -> AsyncIterator[bytes | None]:
    api = asked.api
    with api.news.listening(Listener(project=asked.project)) as listener:
        start = api.workspace.seq if after is None else after
        yield None  # so that whoever asked knows that it listens from now on

        async def earlier() -> AsyncIterator[tuple[int, bytes]]:
            if start < api.workspace.seq:
                async for commit in _pieces(asked, asked.workspace.commits(start)):
                    yield commit.seq, message_of(commit)

        async for message in follow(listener, earlier(), api.options.heartbeat, after=start):
            yield message


async def _log(
    asked: Asked, listener: Listener, attempt: int | None, offset: int
) -> AsyncIterator[tuple[int, int, bytes]]:
    """Attempt, byte up to which, and piece; an empty piece is a sign of life."""
    api, workspace, run = asked.api, asked.workspace, listener.run
    with api.news.listening(listener):
        yield 0, offset, b""
        while attempt is None:
            begun = await asked.in_thread(workspace.is_begun, run)
            if begun:
                attempt = begun.attempt
            elif not await listener.wait(api.options.heartbeat):
                yield 0, offset, b""
        if not attempt:
            return
        async with api.feeds.following(workspace, listener, attempt):
            reader = await asked.in_thread(workspace.log_reader, run, attempt=attempt)
            await asked.in_thread(reader.seek, offset)
            async for piece in _pieces(asked, reader.more()):
                yield attempt, reader.at, piece
            at, listener.is_touched = reader.at, True
            while not listener.is_late:
                is_over = listener.is_touched and await asked.in_thread(workspace.is_over, run, attempt)
                listener.is_touched = False
                for end, piece in listener.take():
                    new = piece[max(0, at - (end - len(piece))) :] if end > at else b""
                    if new:
                        at = end
                        yield attempt, at, new
                if is_over:
                    await asked.in_thread(reader.seek, at)
                    async for piece in _pieces(asked, reader.more()):
                        yield attempt, reader.at, piece
                    return
                if not await listener.wait(api.options.heartbeat):
                    listener.is_touched = True  # in case that nobody told
                    yield attempt, at, b""


async def _log_messages(asked: Asked, run: str, attempt: int | None, offset: int) -> AsyncIterator[bytes | None]:
    told, listener = "", Listener(run=run)
    async for number, at, piece in _log(asked, listener, attempt, offset):
        told = f"{number}-{at}" if number else ""
        yield Message.plain("log", b64encode(piece), id=told) if piece else None
    if not listener.is_late:
        yield await _end(asked, run, told)


async def _log_bytes(asked: Asked, run: str, attempt: int | None, offset: int) -> AsyncIterator[bytes]:
    listener = Listener(run=run)
    async for _, _, piece in _log(asked, listener, attempt, offset):
        if not await _is_allowed(asked):
            raise Forbidden("the right to read this log has ended", hint="Ask an administrator of the project.")
        if piece:
            yield piece
    if listener.is_late:
        raise ServerUnavailable("the log came faster than it was read", hint="Go on from where it stopped: `offset`.")


async def _replica_messages(asked: Asked, logs: ReplicaLogs) -> AsyncIterator[bytes | None]:
    while True:
        is_over = not await asked.in_thread(asked.workspace.has_endpoint, logs.endpoint)
        async for piece in _pieces(asked, logs.more()):
            yield Message.plain("log", b64encode(piece), id=logs.place)
        if is_over:
            yield Message.of("end", {})
            return
        yield None
        await asyncio.sleep(LOOK)


async def _progress(asked: Asked, run: str) -> AsyncIterator[bytes | None]:
    api, workspace = asked.api, asked.workspace
    with api.news.listening(Listener(run=run)) as listener:
        while not listener.is_late:
            found = await asked.in_thread(workspace.run, run)
            yield Message.of("run", found)
            if not found.attempt or await asked.in_thread(workspace.is_over, found, found.attempt):
                if found.ended:
                    break
                while not listener.is_touched and not listener.is_late:
                    if not await listener.wait(api.options.heartbeat):
                        yield None
                listener.is_touched = False
                continue
            async with api.feeds.following(workspace, listener, found.attempt, beats=True):
                while not listener.is_touched and not listener.is_late:
                    if not await listener.wait(api.options.heartbeat):
                        yield None
                    for _, message in listener.take():
                        yield message
            listener.is_touched = False
    if not listener.is_late:
        yield await _end(asked, run, "")


async def _end(asked: Asked, run: str, id_: str) -> Message:
    found = await asked.in_thread(asked.workspace.run, run)
    return Message.of("end", Ended(found.status), id=id_)


async def _pieces(asked: Asked, items: Iterator[Item]) -> AsyncIterator[Item]:
    """One by one, each read in a thread."""
    pieces = ([item] for item in items)  # so that None is the end, whatever the items are
    while piece := await asked.in_thread(next, pieces, None):
        yield piece[0]


async def _is_read(asked: Asked, run: str, attempt: int, offset: int) -> bool:
    workspace = asked.workspace
    if not await asked.in_thread(workspace.is_over, run, attempt):
        return False
    reader = await asked.in_thread(workspace.log_reader, run, attempt=attempt)
    await asked.in_thread(reader.seek, offset)
    return await asked.in_thread(next, reader.more(), None) is None


def _place(asked: Asked, query: LogAsked) -> tuple[int | None, int]:
    text = asked.headers.get("last-event-id", "")
    if not text:
        return query.attempt, query.offset
    attempt, _, offset = text.rpartition("-")
    if not offset.isdigit() or (attempt and not attempt.isdigit()) or len(text) > 30:
        raise InvalidInput(f"Last-Event-ID {text!r} is none of this stream", hint="Leave it out to begin anew.")
    return (int(attempt) if attempt else query.attempt), min(int(offset), LARGEST)


def _last_id(asked: Asked, after: int | None) -> int | None:
    text = asked.headers.get("last-event-id", "")
    if not text:
        return after
    if not text.isdigit() or len(text) > 18:
        raise InvalidInput(f"Last-Event-ID {text!r} is none of this stream", hint="Leave it out to begin now.")
    return int(text)
