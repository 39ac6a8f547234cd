"""Bytes on their way in and out over HTTP: listings of files, URLs to fetch or store them, and uploads in pieces."""

from __future__ import annotations

from datetime import datetime

import msgspec

from raykqi.domain.tree import Entry, Kind

__all__ = ["DeclaredFile", "DeclaredFolder", "DeclaredLink", "FileEntry", "FilePage", "FileUrl", "FileUrlPage"]
__all__ += ["Piece", "PieceUrl", "PieceUrls", "PieceUrlsWanted", "PieceWanted", "Presigned", "ReceivedFile"]
__all__ += ["UploadCommit", "UploadDraft", "UploadSession", "UploadState"]


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a listing; `target` is where a link leads."""

    path: str
    kind: Kind
    mode: int
    size: int = 0
    hash: str = ""
    target: str = ""

    @classmethod
    def of(cls, entry: Entry) -> FileEntry:
        target = entry.object if entry.kind == "link" else ""
        return cls(entry.path, entry.kind, entry.mode, entry.size, entry.hash, target)


class FilePage(msgspec.Struct, frozen=True):
    items: tuple[FileEntry, ...]
    next_cursor: str = ""


class Presigned(msgspec.Struct, frozen=True):
    """A request that needs no other credentials while it is valid; `headers` must be sent as they are."""

    method: str
    url: str
    headers: dict[str, str] = {}


class FileUrl(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the bytes of a file are to be had: `size` bytes from `offset` on in what the URL answers.

    Neighbours share a URL. Without one, the bytes are to be had over the API alone.
    """

    path: str
    hash: str
    size: int
    url: str = ""
    headers: dict[str, str] = {}
    offset: int = 0


class FileUrlPage(msgspec.Struct, frozen=True):
    items: tuple[FileUrl, ...]
    expires: datetime | None = None  # None: this workspace gives no URLs
    next_cursor: str = ""


class UploadDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the data will be called; `inputs` names data that it was made of by hand."""

    tags: tuple[str, ...] = ()
    name: str = ""
    inputs: dict[str, str] = {}


class UploadSession(msgspec.Struct, frozen=True):
    """An upload that is under way; `data` is what became of it."""

    id: str
    project: str
    user: str
    created: datetime
    expires: datetime
    tags: tuple[str, ...] = ()
    name: str = ""
    inputs: dict[str, str] = {}
    data: str = ""


class Piece(msgspec.Struct, frozen=True):
    offset: int
    size: int


class ReceivedFile(msgspec.Struct, frozen=True):
    """`size` bytes have come without a gap: go on from there. `beyond` lists what lies behind a gap."""

    path: str
    size: int
    beyond: tuple[Piece, ...] = ()


class UploadState(msgspec.Struct, frozen=True):
    upload: UploadSession
    files: tuple[ReceivedFile, ...] = ()


class DeclaredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must have come: with a `hash` (BLAKE3, hex), exactly these bytes."""

    path: str
    size: int
    hash: str = ""
    mode: int = 0o644


class DeclaredFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    mode: int = 0o755


class DeclaredLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    target: str


class UploadCommit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that the data consists of. Without `files`: whatever has come."""

    files: tuple[DeclaredFile, ...] | None = None
    folders: tuple[DeclaredFolder, ...] = ()
    links: tuple[DeclaredLink, ...] = ()


class PieceWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    offset: int
    size: int


class PieceUrlsWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pieces: tuple[PieceWanted, ...]


class PieceUrl(msgspec.Struct, frozen=True):
    path: str
    offset: int
    size: int
    request: Presigned


class PieceUrls(msgspec.Struct, frozen=True):
    """Empty where this workspace gives no URLs: then send the bytes over the API."""

    items: tuple[PieceUrl, ...]
    expires: datetime | None = None
