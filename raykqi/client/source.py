"""A folder or file that is pushed: seen once, hashed while it is read, refused when it changes meanwhile."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from blake3 import blake3

from raykqi.domain.data import TreeRef
from raykqi.storage.packs import blob_key
from raykqi.storage.parallel import Stop
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.storage.scan import FileStamp, Identity, identity, scan
from raykqi.storage.source_files import SourceFiles
from raykqi.storage.trees import EMPTY_HASH, LINK_MODE, Entry, Tree

__all__ = ["Source"]

# What was sent stays readable where it is kept, and a folder can be entered.
FILE_LEAST, FOLDER_LEAST = 0o400, 0o500
WHOLE_MAX = 16 << 20  # files up to this size are read in one go
PIECE = 1 << 20


class Source:
    """Close it. `hashes` are those of the files that were read so far."""

    def __init__(self, path: Path, *, dereference: bool = False, skip: Path | None = None) -> None:
        self._scan = scan(path, dereference=dereference, skip=_identities(skip))
        self._stop = Stop()
        self._files = SourceFiles(self._scan, dereference=dereference, stop=self._stop)
        self._hashes = [EMPTY_HASH if not stamp[2] else "" for stamp in self._scan.files]

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        self._files.close()

    @property
    def size(self) -> int:
        return self._scan.size

    @property
    def stamps(self) -> list[FileStamp]:
        return [self._scan.file(at) for at in range(len(self._scan.files))]

    @property
    def folders(self) -> list[tuple[str, int]]:
        return [(folder.path, folder.mode | FOLDER_LEAST) for folder in self._scan.directories]

    @property
    def links(self) -> list[tuple[str, str]]:
        return [(link.path, link.target) for link in self._scan.links]

    def mode(self, at: int) -> int:
        return self._scan.files[at][1] | FILE_LEAST

    def hash(self, at: int) -> str:
        """Of one file; its bytes are read when they were not yet."""
        if not self._hashes[at]:
            stamp = self._scan.file(at)
            small = stamp.size <= WHOLE_MAX
            self._hashes[at] = self._files.read_each([at])[0][1] if small else self._files.hash(stamp)
        return self._hashes[at]

    def read(self, at: int, begin: int, size: int) -> bytes:
        """A part of one file, from where it was seen to be."""
        stamp = self._scan.file(at)
        if begin == 0 and size == stamp.size:
            _, self._hashes[at], data = self._files.read_each([at])[0]
            return data
        return self._files.part(stamp, begin, size)

    def tar(self, progress: Progress | None = None) -> Iterator[bytes]:
        """All of it as one archive, in the order of a tree: folders before what is in them."""
        told = progress or SilentProgress()
        members: list[tuple[str, Callable[[], Iterator[bytes]]]] = [
            (path, partial(_folder, path, mode)) for path, mode in self.folders
        ]
        members += [(stamp.path, partial(self._member, at, told)) for at, stamp in enumerate(self.stamps)]
        members += [(path, partial(_link, path, target)) for path, target in self.links]
        for _, make in sorted(members, key=lambda member: member[0]):
            yield from make()
        yield bytes(2 * tarfile.BLOCKSIZE)

    def tree(self) -> TreeRef:
        """What the whole must be stored as."""
        entries = [Entry(path, "dir", mode, 0, "") for path, mode in self.folders]
        for at, stamp in enumerate(self.stamps):
            digest = self.hash(at)
            entries.append(Entry(stamp.path, "file", self.mode(at), stamp.size, digest, _key(digest, stamp.size)))
        for path, target in self.links:
            text = target.encode()
            entries.append(Entry(path, "link", LINK_MODE, len(text), blake3(text).hexdigest(), target))
        return Tree.of(entries).ref

    def _member(self, at: int, told: Progress) -> Generator[bytes, None, None]:
        stamp = self._scan.file(at)
        yield _header(stamp.path, self.mode(at), tarfile.REGTYPE, size=stamp.size)
        if stamp.size <= WHOLE_MAX:
            _, self._hashes[at], data = self._files.read_each([at])[0]
            for begin in range(0, len(data), PIECE):
                yield data[begin : begin + PIECE]
            told.advance(1, stamp.size)
        else:
            digest = self.hash(at)
            with closing(self._files.pieces(stamp, digest, lambda size: told.advance(0, size))) as pieces:
                yield from pieces
            told.advance(1, 0)
        if rest := -stamp.size % tarfile.BLOCKSIZE:
            yield bytes(rest)


def _identities(folder: Path | None) -> set[Identity]:
    """What changes while a push runs, and is nobody's data."""
    with suppress(OSError):
        if folder is not None:
            return {identity(os.stat(folder))}
    return set()


def _folder(path: str, mode: int) -> Iterator[bytes]:
    yield _header(path, mode, tarfile.DIRTYPE)


def _link(path: str, target: str) -> Iterator[bytes]:
    yield _header(path, LINK_MODE, tarfile.SYMTYPE, target=target)


def _header(path: str, mode: int, kind: bytes, *, size: int = 0, target: str = "") -> bytes:
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.size, info.linkname = mode, kind, size, target
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _key(digest: str, size: int) -> str:
    """Where the server keeps it does not matter for the hash of a tree; that it keeps it does."""
    return blob_key(digest) if size else ""
