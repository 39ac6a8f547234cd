"""Bytes out: listings, single files and parts of them, whole data as an archive, URLs straight to the bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import closing
from typing import Annotated

import msgspec
from starlette.responses import Response

from raykqi.domain.data import Named
from raykqi.domain.transfer import FileEntry, FilePage, FileUrlPage
from raykqi.domain.tree import Entry
from raykqi.errors import ObjectMissing
from raykqi.storage.open_file import find_file
from raykqi.storage.tree_memory import forget_trees
from raykqi.workspace import Workspace
from raykqi.workspace.transfer_verbs import check_patterns
from serve_api.asking import Asked
from serve_api.bytes.archive import Format, archive, media_type
from serve_api.bytes.contents import file_range, with_contents
from serve_api.bytes.headers import describe_file, disposition, is_same, span_of
from serve_api.bytes.sending import PiecesResponse
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

routes = Routes("files", "The bytes of data", prefix=PROJECT)
FileCount = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
UrlCount = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Pieces = Generator[bytes, None, None]


class FilesQuery(msgspec.Struct, frozen=True):
    pattern: tuple[str, ...] = ()
    limit: FileCount = 1_000
    cursor: str = ""


class UrlsQuery(msgspec.Struct, frozen=True):
    pattern: tuple[str, ...] = ()
    limit: UrlCount = 1_000
    cursor: str = ""


class ArchiveQuery(msgspec.Struct, frozen=True):
    format: Format = "tar"
    pattern: tuple[str, ...] = ()


SHOWN = FilePage((FileEntry("photos/1.png", "file", 0o644, 48_213, "ab" * 32),))


@routes.get("/data/{id}/files", needs="viewer", shows=SHOWN)
def list_files(asked: Asked, id: Named, query: FilesQuery) -> FilePage:  # noqa: A002
    """The files, folders and links of a data"""
    return asked.workspace.file_page(id, query.pattern, limit=query.limit, cursor=query.cursor)


@routes.get("/data/{id}/urls", needs="viewer")
def list_file_urls(asked: Asked, id: Named, query: UrlsQuery) -> FileUrlPage:  # noqa: A002
    """Where to fetch the files of a data straight from the bucket"""
    seconds = asked.api.carrier.url_seconds
    return asked.workspace.file_urls(id, query.pattern, seconds=seconds, limit=query.limit, cursor=query.cursor)


@routes.get("/data/{id}/files/{path:path}", needs="viewer", media=("application/octet-stream",), also=(206, 304, 416))
async def read_file(asked: Asked, id: Named, path: str) -> Response:  # noqa: A002
    """The bytes of one file, or a range of them"""
    entry = await asked.in_thread(lambda: find_file(asked.workspace.content(id)[1], path))
    headers = describe_file(entry.path, entry.hash)
    if is_same(asked.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    span = span_of(asked.headers, entry.size, headers["ETag"])
    if span is None:
        return await _sent(asked, _file(asked.workspace, entry, 0, entry.size), 200, headers, entry.size)
    if not span.is_satisfiable:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{entry.size}", "Accept-Ranges": "bytes"})
    headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{entry.size}"
    pieces = _file(asked.workspace, entry, span.start, span.end)
    return await _sent(asked, pieces, 206, headers, span.end - span.start)


@routes.get("/data/{id}/archive", needs="viewer", media=("application/x-tar", "application/gzip", "application/zip"))
async def read_archive(asked: Asked, id: Named, query: ArchiveQuery) -> Response:  # noqa: A002
    """All of a data, or what of it matches the patterns, as one archive"""
    data, tree = await asked.in_thread(lambda: asked.workspace.content(id))
    patterns = check_patterns(query.pattern)
    entries = await asked.in_thread(lambda: tree.glob(patterns)) if patterns else tree
    name = f"{data.name or data.id}.{query.format}".replace("/", "_")
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(name),
        "Content-Type": media_type(query.format),
    }

    def pieces() -> Pieces:
        with closing(asked.workspace.reader()) as reader:
            contents = with_contents(reader, entries)
            yield from archive(contents, data.timestamp or data.created, query.format)

    return await _sent(asked, pieces(), 200, headers)


def _file(workspace: Workspace, entry: Entry, start: int, end: int) -> Pieces:
    with closing(workspace.reader()) as reader, closing(file_range(reader, entry, start, end)) as pieces:
        yield from pieces


async def _sent(asked: Asked, pieces: Pieces, status: int, headers: dict[str, str], size: int = -1) -> Response:
    """The first piece is made before the answer begins: what is wrong from the start can be told as a problem."""
    carrier = asked.api.carrier
    first = b""
    if asked.scope["method"] != "HEAD":
        try:
            loop = asyncio.get_running_loop()
            first = await loop.run_in_executor(carrier.threads, next, pieces, b"")
        except ObjectMissing:
            forget_trees()
            raise
    if size >= 0:
        headers = {**headers, "Content-Length": str(size)}
    return PiecesResponse(
        first,
        pieces,
        threads=carrier.threads,
        traffic=carrier.traffic,
        patience=carrier.limits.patience,
        status=status,
        headers=headers,
    )
