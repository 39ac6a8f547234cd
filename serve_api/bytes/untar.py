"""A tar archive as a stream of chunks of any size, taken apart into a staged tree.

Knows the ustar, GNU and pax formats as far as they hold files, folders and links. Whatever else one can
write into them (devices, sparse files, several volumes) is refused, and so is an archive that ends early.
Memory: one chunk, and headers up to `PAX_BYTES`.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Generator
from typing import NamedTuple

from raykqi.errors import InvalidInput, RaykqiError, TooLarge
from serve_api.bytes.staged_tree import StagedTree

__all__ = ["Untar"]

BLOCK = 512
PAX_BYTES = 256 * 1024
LONG_NAME_BYTES = 8 * 1024
HEADERS_OF_ONE = 6  # extra headers before one member

FOLDER, LINK, COPY = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
UNFIT = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a FIFO",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    b"M": "a part of a file of several volumes",
    b"D": "an incremental dump of a folder",
}
_RECORD = re.compile(rb"([1-9][0-9]{0,7}) ")
_Parsing = Generator[None, memoryview, None]


class _Extra(NamedTuple):
    """What headers before a member say of it."""

    path: str | None = None
    target: str | None = None
    size: int | None = None


class Untar:
    """`feed` chunks, then `finish`. Errors are 4xx; afterwards the tree is of no use."""

    def __init__(self, tree: StagedTree) -> None:
        self._tree = tree
        self._rest = memoryview(b"")
        self._is_over = False
        self._parsing = self._members()
        next(self._parsing)

    def feed(self, data: bytes) -> None:
        if data:
            self._parsing.send(memoryview(data))

    def finish(self) -> None:
        self._parsing.close()
        if not self._is_over:
            raise InvalidInput(
                "the archive ends early: its closing blocks are missing",
                hint="Send it again; was the connection or the file cut off?",
            )
        self._tree.finish()

    def _members(self) -> _Parsing:
        extra, headers = _Extra(), 0
        while True:
            block = yield from self._take(BLOCK)
            if block.count(0) == BLOCK:
                break
            header = _parse(block)
            if header.type in (b"x", b"g", b"L", b"K"):
                headers += 1
                if headers > HEADERS_OF_ONE:
                    raise InvalidInput(f"the archive has more than {HEADERS_OF_ONE} headers for one file")
                extra = yield from self._extra(header, extra)
                continue
            yield from self._member(header, extra)
            extra, headers = _Extra(), 0
        if headers:
            raise InvalidInput("the archive ends after a header without its file", hint="Send it again.")
        second = yield from self._take(BLOCK)
        if second.count(0) != BLOCK:
            raise InvalidInput("the archive has an empty block in its middle", hint="Send one archive, whole.")
        self._is_over = True
        while True:
            if bytes(self._rest).strip(b"\0"):
                raise InvalidInput("something follows the end of the archive", hint="Send one archive, whole.")
            self._rest = yield

    def _member(self, header: tarfile.TarInfo, extra: _Extra) -> _Parsing:
        path = header.name if extra.path is None else extra.path
        target = header.linkname if extra.target is None else extra.target
        size = header.size if extra.size is None else extra.size
        if header.type == FOLDER or (header.type in FILES and path.endswith("/")):
            self._tree.add_folder(path, header.mode)
        elif header.type == LINK:
            self._tree.add_link(path, target)
        elif header.type == COPY:
            self._tree.add_copy(path, target)
        elif header.type in FILES:
            self._tree.begin_file(path, header.mode, size)
            yield from self._pour(size)
            self._tree.end_file()
            padding = yield from self._take(-size % BLOCK)
            del padding
        else:
            what = UNFIT.get(header.type, f"of the unknown type {header.type!r}")
            raise InvalidInput(f"{path!r} in the archive is {what}, which data cannot hold", hint="Leave it out.")

    def _extra(self, header: tarfile.TarInfo, extra: _Extra) -> Generator[None, memoryview, _Extra]:
        limit = PAX_BYTES if header.type in (b"x", b"g") else LONG_NAME_BYTES
        if header.size > limit:
            raise TooLarge(f"a header of the archive has {header.size} bytes", hint=f"At most {limit} are taken.")
        data = yield from self._take(header.size + -header.size % BLOCK)
        data = data[: header.size]
        if header.type == b"L":
            return extra._replace(path=_text(data.partition(b"\0")[0]))
        if header.type == b"K":
            return extra._replace(target=_text(data.partition(b"\0")[0]))
        records = dict(_records(data))
        if any(key.startswith(b"GNU.sparse") for key in records):
            raise InvalidInput("the archive holds a sparse file", hint="Pack again without --sparse.")
        if header.type == b"g":
            if {b"path", b"linkpath", b"size"} & records.keys():
                raise InvalidInput("the archive has one path or size for all of its files", hint="Pack it again.")
            return extra
        if b"path" in records:
            extra = extra._replace(path=_text(records[b"path"]))
        if b"linkpath" in records:
            extra = extra._replace(target=_text(records[b"linkpath"]))
        if b"size" in records:
            if not re.fullmatch(rb"[0-9]{1,18}", records[b"size"]):
                raise InvalidInput(f"the archive has a file of {records[b'size'][:40]!r} bytes", hint="Pack it again.")
            extra = extra._replace(size=int(records[b"size"]))
        return extra

    def _take(self, size: int) -> Generator[None, memoryview, bytes]:
        taken = bytearray()
        while len(taken) < size:
            if not self._rest:
                self._rest = yield
            piece = self._rest[: size - len(taken)]
            taken += piece
            self._rest = self._rest[len(piece) :]
        return bytes(taken)

    def _pour(self, size: int) -> _Parsing:
        while size:
            if not self._rest:
                self._rest = yield
            piece = self._rest[:size]
            self._tree.write(piece)
            size -= len(piece)
            self._rest = self._rest[len(piece) :]


def _parse(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise _no_tar(error) from error
    if header.size < 0 or header.mode < 0:
        raise _no_tar(ValueError("a negative number"))
    return header


def _no_tar(error: Exception) -> RaykqiError:
    return InvalidInput(
        f"the body is no tar archive: {error}", hint="Send a tar or tar.gz, as `tar -cz -C FOLDER .` makes it."
    )


def _records(data: bytes) -> Generator[tuple[bytes, bytes], None, None]:
    at = 0
    while at < len(data):
        found = _RECORD.match(data, at)
        end = at + int(found[1]) if found else 0
        if not found or end > len(data) or end <= found.end() or data[end - 1 : end] != b"\n":
            raise InvalidInput("a pax header of the archive is malformed", hint="Pack it again.")
        key, equals, value = data[found.end() : end - 1].partition(b"=")
        if not equals or not key:
            raise InvalidInput("a pax header of the archive is malformed", hint="Pack it again.")
        yield key, value
        at = end


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
