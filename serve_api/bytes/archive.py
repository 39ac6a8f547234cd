"""A stored tree as one tar, tar.gz or zip, made while it is sent: nothing is staged, and memory stays small."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, Literal, cast

from raykqi.domain.tree import Entry

__all__ = ["FORMATS", "Format", "archive", "media_type"]

Format = Literal["tar", "tar.gz", "zip"]
FORMATS: tuple[Format, ...] = ("tar", "tar.gz", "zip")
Contents = Iterable[tuple[Entry, Iterable[bytes]]]

KINDS = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
ZIP_KINDS = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK}
UNIX = 3
IS_FOLDER = 0x10  # an attribute of MS-DOS
LEVEL = 1  # what is worth packing well is packed already
PIECE = 1 << 20
OLDEST_ZIP = datetime(1980, 1, 1, tzinfo=UTC)


def archive(contents: Contents, made: datetime, format_: Format) -> Iterator[bytes]:
    """Pieces of about a MiB. `made` is the time that all files get."""
    if format_ == "zip":
        return _gathered(_zip(contents, made))
    pieces = _tar(contents, made)
    return _gathered(_gzip(pieces) if format_ == "tar.gz" else pieces)


def media_type(format_: Format) -> str:
    return {"tar": "application/x-tar", "tar.gz": "application/gzip", "zip": "application/zip"}[format_]


def _tar(contents: Contents, made: datetime) -> Iterator[bytes]:
    for entry, pieces in contents:
        info = tarfile.TarInfo(entry.path)
        info.type, info.mode, info.mtime = KINDS[entry.kind], entry.mode, int(made.timestamp())
        info.size = entry.size if entry.kind == "file" else 0
        info.linkname = entry.object if entry.kind == "link" else ""
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
        yield from pieces
        yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for piece in pieces:
        yield deflate.compress(piece)
    yield deflate.flush()


def _zip(contents: Contents, made: datetime) -> Iterator[bytes]:
    """Files are stored, not packed; sizes beyond 4 GiB and more than 65,535 files as zip64."""
    sink = _Sink()
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED, allowZip64=True) as whole:
        for entry, pieces in contents:
            info = zipfile.ZipInfo(entry.path + ("/" if entry.kind == "dir" else ""), _dos(made))
            info.create_system = UNIX
            info.external_attr = (ZIP_KINDS[entry.kind] | entry.mode) << 16 | IS_FOLDER * (entry.kind == "dir")
            info.file_size = entry.size if entry.kind == "file" else 0
            with whole.open(info, "w") as file:
                for piece in (entry.object.encode(),) if entry.kind == "link" else pieces:
                    file.write(piece)
                    yield from sink.taken()
            yield from sink.taken()
    yield from sink.taken()


def _dos(made: datetime) -> tuple[int, int, int, int, int, int]:
    at = max(made.astimezone(UTC), OLDEST_ZIP)
    return at.year, at.month, at.day, at.hour, at.minute, at.second


class _Sink:
    """What a ZipFile writes, to be taken out while it writes; without `seek` and `tell` it writes in one go."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        yield from pieces


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces together, large ones as they are."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield held[0] if len(held) == 1 else b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)
