"""Bytes in: a folder as a tar or a form in one request, or file by file in pieces that may be gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import msgspec

from raykqi.domain.data import Data
from raykqi.domain.tags import check_tags, parse_tags
from raykqi.domain.text import check_name
from raykqi.domain.transfer import (
    DeclaredFile,
    PieceUrls,
    PieceUrlsWanted,
    PieceWanted,
    ReceivedFile,
    UploadCommit,
    UploadDraft,
    UploadSession,
    UploadState,
)
from raykqi.errors import InvalidInput
from raykqi.workspace import Workspace
from serve_api.asking import Asked
from serve_api.bytes.assembling import assemble
from serve_api.bytes.gunzip import Archive
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.multipart import Multipart, boundary_of
from serve_api.bytes.receiving import BATCH, Incoming, declared_length, receive
from serve_api.bytes.staged_tree import StagedTree, clean_path
from serve_api.bytes.untar import Untar
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

routes = Routes("uploads", "Bytes in", prefix=PROJECT)
FORM = "multipart/form-data"
ARCHIVES: tuple[str, ...] = (
    "application/x-tar",
    "application/gzip",
    "application/x-gzip",
    "application/x-gtar",
    "application/x-tgz",
)
ARCHIVES += ("application/tar", "application/tar+gzip", "application/octet-stream")
Found = TypeVar("Found")
Offset = Annotated[int, msgspec.Meta(ge=0, lt=10**18)]


class UploadQuery(msgspec.Struct, frozen=True):
    """`inputs`: `NAME=DATA`, what it was made of by hand. `code`: it is the code of a plan that is called so."""

    tags: tuple[str, ...] = ()
    name: str = ""
    inputs: tuple[str, ...] = ()
    code: str = ""


class PieceQuery(msgspec.Struct, frozen=True):
    """With `ahead`, bytes before the offset may come later: several pieces are sent at once."""

    offset: Offset = 0
    ahead: bool = False


@routes.post("/data", needs="member", status=201, once=True, takes=("application/x-tar", "application/gzip", FORM))
async def push(asked: Asked, query: UploadQuery) -> Data:
    """Upload a folder as new data, whole or not at all"""
    content_type = asked.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind != FORM and kind not in ARCHIVES:
        raise InvalidInput(
            f"a body of {kind or 'no type'!r} is no upload", hint=f"Send application/x-tar, application/gzip or {FORM}."
        )
    boundary = boundary_of(content_type) if kind == FORM else b""
    _described(query)
    carrier = asked.api.carrier
    expected = declared_length(asked.headers.get("content-length"))
    with carrier.traffic.upload(expected) as place:
        incoming = Incoming(_body(asked), carrier.limits, carrier.traffic, place)
        # Whether there is room for much is looked at before it comes.
        begun = b"" if expected > BATCH else await incoming.batch()
        if incoming.is_over:
            return _created(asked, await asked.in_thread(_push_whole, asked, begun, boundary, query))
        async with _staged(asked, expected) as tree:
            receiver = _receiver(tree, boundary, carrier.limits)
            await receive(incoming, receiver, begun)
            data = await asked.in_thread(_push, asked.workspace, tree, _described(query, receiver))
    return _created(asked, data)


@routes.post("/uploads", needs="member", status=201, example=UploadDraft(("type:photos",), "holidays"))
def begin_upload(asked: Asked, body: UploadDraft) -> UploadSession:
    """Begin an upload in pieces, which may be gone on with for a day"""
    draft = _draft(
        body.tags, [body.name] if body.name else [], [f"{key}={value}" for key, value in body.inputs.items()]
    )
    session = asked.workspace.uploads().begin(draft)
    asked.answer_headers["Location"] = f"{asked.scope['path']}/{session.id}"
    return session


@routes.get("/uploads/{upload}", needs="member")
def show_upload(asked: Asked, upload: str) -> UploadState:
    """What of an upload has come"""
    uploads = asked.workspace.uploads()
    return uploads.state(uploads.get(upload))


@routes.delete("/uploads/{upload}", needs="member", status=204)
def drop_upload(asked: Asked, upload: str) -> None:
    """Give up an upload and what has come of it"""
    uploads = asked.workspace.uploads()
    uploads.remove(uploads.get(upload))


@routes.put("/uploads/{upload}/files/{path:path}", needs="member", takes=("application/octet-stream",))
async def send_piece(asked: Asked, upload: str, path: str, query: PieceQuery) -> ReceivedFile:
    """Send bytes of one file, from an offset on"""
    place = clean_path(path)
    if not place:
        raise InvalidInput(f"{path!r} names no file", hint="Give its path within the data.")
    carrier = asked.api.carrier
    uploads = asked.workspace.uploads()
    with carrier.traffic.upload() as taken:
        session = await _in_bytes_thread(asked, lambda: uploads.get(upload))
        arrival = await _in_bytes_thread(
            asked, lambda: uploads.arrival(session, place, query.offset, ahead=query.ahead)
        )
        try:
            await receive(Incoming(_body(asked), carrier.limits, carrier.traffic, taken), arrival)
        except (InvalidInput, asyncio.CancelledError):
            # The connection broke: what has come need not be sent again.
            await asyncio.shield(asyncio.ensure_future(_in_bytes_thread(asked, arrival.finish)))
            raise
        return await _in_bytes_thread(asked, lambda: uploads.received(session, place))


@routes.post("/uploads/{upload}/urls", needs="member", example=PieceUrlsWanted((PieceWanted("a.bin", 0, 1 << 24),)))
def sign_pieces(asked: Asked, upload: str, body: PieceUrlsWanted) -> PieceUrls:
    """Where to send pieces straight to the bucket"""
    pieces = [msgspec.structs.replace(piece, path=clean_path(piece.path)) for piece in body.pieces]
    session = asked.workspace.uploads().get(upload)
    return asked.workspace.piece_urls(session, pieces, seconds=asked.api.carrier.url_seconds)


@routes.post(
    "/uploads/{upload}/commit", needs="member", status=201, example=UploadCommit((DeclaredFile("a.bin", 1 << 24),))
)
async def commit_upload(asked: Asked, upload: str, body: UploadCommit) -> Data:
    """Make data of an upload; asked again, the answer is the same data"""
    workspace = asked.workspace
    uploads = workspace.uploads()
    session = await _in_bytes_thread(asked, lambda: uploads.get(upload))
    if session.data:
        return _created(asked, await asked.in_thread(workspace.show, session.data))
    once = workspace.once(key=f"upload {session.id}", fingerprint=session.id)
    draft = UploadDraft(session.tags, session.name, session.inputs)
    expected = sum(file.size for file in body.files or ())
    with asked.api.carrier.traffic.upload(expected):
        async with _staged(asked, expected) as tree:
            await _in_bytes_thread(asked, lambda: assemble(uploads, session, body, tree))
            data = await asked.in_thread(_push, once, tree, draft)
    await asked.in_thread(uploads.conclude, session, data.id)
    return _created(asked, data)


def _draft(tags: tuple[str, ...], names: list[str], inputs: list[str] | tuple[str, ...]) -> UploadDraft:
    """What can be seen to be wrong is refused before the bytes come."""
    parse_tags(check_tags(tags))
    if len(names) > 1:
        raise InvalidInput(f"there are {len(names)} names", hint="Give one; tags may be as many as you like.")
    pairs = [text.partition("=") for text in inputs]
    if wrong := next((text for text, pair in zip(inputs, pairs, strict=True) if not (pair[0] and pair[2])), None):
        raise InvalidInput(f"the input {wrong[:80]!r} is not NAME=DATA", hint="As in model=0193c1c7.")
    if len({pair[0] for pair in pairs}) != len(pairs):
        raise InvalidInput("an input is there twice", hint="Give each input a name of its own.")
    name = check_name(names[0], "name") if names else ""
    return UploadDraft(tuple(tags), name, {pair[0]: pair[2] for pair in pairs})


def _described(query: UploadQuery, receiver: Multipart | Archive | None = None) -> UploadDraft:
    """By the query, and by the fields of a form."""
    fields = receiver.fields if isinstance(receiver, Multipart) else {"tags": [], "name": [], "inputs": []}
    names = [query.name] if query.name else []
    return _draft((*query.tags, *fields["tags"]), [*names, *fields["name"]], (*query.inputs, *fields["inputs"]))


def _receiver(tree: StagedTree, boundary: bytes, limits: UploadLimits) -> Multipart | Archive:
    return Multipart(tree, boundary) if boundary else Archive(Untar(tree), limits)


def _push_whole(asked: Asked, body: bytes, boundary: bytes, query: UploadQuery) -> Data:
    """A body that came in one go needs no thread but this."""
    carrier = asked.api.carrier
    with carrier.staging.tree() as tree:
        receiver = _receiver(tree, boundary, carrier.limits)
        receiver.feed(body)
        receiver.finish()
        return _push(asked.workspace, tree, _described(query, receiver))


def _push(workspace: Workspace, tree: StagedTree, draft: UploadDraft) -> Data:
    tags = (*draft.tags, f"name:{draft.name}") if draft.name else draft.tags
    return workspace.push_staged(tree.folder, tags, inputs=draft.inputs)


def _created(asked: Asked, data: Data) -> Data:
    asked.answer_headers["Location"] = f"{PROJECT.format(project=asked.project)}/data/{data.id}"
    return data


@asynccontextmanager
async def _staged(asked: Asked, expected: int) -> AsyncIterator[StagedTree]:
    """A place to take shape in; it is gone afterwards, whatever happened."""
    staging = asked.api.carrier.staging
    tree = await _in_bytes_thread(asked, lambda: staging.open(expected))
    try:
        yield tree
    finally:
        await asyncio.shield(asyncio.ensure_future(_in_bytes_thread(asked, lambda: staging.remove(tree))))


async def _body(asked: Asked) -> AsyncIterator[bytes]:
    while True:
        message = await asked.receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("the connection ended before the body did", hint="Send it again, or go on from there.")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _in_bytes_thread(asked: Asked, act: Callable[[], Found]) -> Found:
    return await asyncio.get_running_loop().run_in_executor(asked.api.carrier.threads, act)
