"""A pull over HTTP: straight from the bucket where the server signs URLs, as one archive where files are many and
small, and file by file for all that is left. Every file is compared with its hash before anything appears."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO, cast

import httpx
from blake3 import blake3

from raykqi.client.asking import paged
from raykqi.client.bucket import Bucket
from raykqi.client.listing import file_path, read_listing
from raykqi.client.reading import read_on
from raykqi.client.transport import PIECE, Params, Transport
from raykqi.domain.transfer import FileUrl, FileUrlPage
from raykqi.errors import Damaged, ServerUnavailable
from raykqi.settings import Settings
from raykqi.storage.links import check_links
from raykqi.storage.materialise import Materialised, select
from raykqi.storage.packs import blob_key
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.progress import Progress
from raykqi.storage.staging import Staging, target_error
from raykqi.storage.trees import Entry, Tree

__all__ = ["Pull"]

FILE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
THREADS = 6
URLS = 1_000
MANY = 32  # files from which on one archive is quicker than a request each


class Pull:
    def __init__(self, transport: Transport, data: str, settings: Settings, progress: Progress) -> None:
        self._transport = transport
        self._data = data
        self._settings = settings
        self._progress = progress
        self._stop = Stop()
        self._left: dict[str, Entry] = {}
        self._folder = -1

    def run(self, target: Path, patterns: Sequence[str], *, overwrite: bool, allow_unsafe_links: bool) -> Materialised:
        tree = Tree.of(_with_place(entry) for entry in read_listing(self._transport, self._data))
        wanted = select(tree, patterns)
        if not allow_unsafe_links:
            check_links(tree, wanted)
        files = [entry for entry in wanted if entry.kind == "file"]
        size = sum(entry.size for entry in files)
        staging = Staging(target, overwrite=overwrite)
        try:
            self._progress.start(f"pull to {target}", len(files), size)
            self._write(staging, wanted, is_whole=not patterns)
            staging.appear(wanted)
        except OSError as error:
            raise target_error(staging.target, error) from error
        finally:
            staging.remove()
            self._progress.finish()
        return Materialised(len(files), size)

    def _write(self, staging: Staging, wanted: Sequence[Entry], *, is_whole: bool) -> None:
        folders = [entry for entry in wanted if entry.kind == "dir"]
        self._folder = os.open(staging.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            umask = _umask(self._folder)
            for entry in folders:
                os.mkdir(entry.path, 0o700, dir_fd=self._folder)
            self._left = {entry.path: entry for entry in wanted if entry.kind == "file"}
            self._take_what_is_there(staging.target)
            self._from_bucket()
            if is_whole and len(self._left) >= MANY:
                self._from_archive()
            self._from_server()
            for entry in wanted:
                if entry.kind == "link":
                    os.symlink(entry.object, entry.path, dir_fd=self._folder)
            for entry in reversed(folders):
                os.chmod(entry.path, entry.mode, dir_fd=self._folder)
            os.fchmod(self._folder, 0o777 & ~umask)
        finally:
            os.close(self._folder)

    def _take_what_is_there(self, target: Path) -> None:
        """Files of the target that are to be replaced by the same bytes need not come from afar."""
        for entry in list(self._left.values()):
            place = target / entry.path
            if place.is_symlink() or not place.is_file() or place.stat().st_size != entry.size:
                continue
            with suppress(OSError, Damaged), place.open("rb") as opened:
                self._put(entry, iter(lambda: opened.read(PIECE), b""))

    def _from_bucket(self) -> None:
        """What it does not give stays left."""
        if not any(entry.size for entry in self._left.values()):
            return
        with Bucket(self._transport.timeout) as bucket:

            def fetch(group: list[FileUrl]) -> None:
                self._stop.check()
                if bucket.is_offered:
                    with suppress(httpx.TransportError, Damaged):
                        self._from_url(bucket, group)

            with closing(in_order(fetch, self._signed(), threads=THREADS, stop=self._stop)) as done:
                for _ in done:
                    pass

    def _signed(self) -> Iterator[list[FileUrl]]:
        """Neighbours that one URL answers together."""

        def ask(most: int, cursor: str) -> tuple[Sequence[FileUrl], str]:
            params: Params = [("limit", most), ("cursor", cursor or None)]
            page = self._transport.get(f"{self._data}/urls", FileUrlPage, params)
            return page.items, page.next_cursor if page.expires else ""

        with_url = (item for item in paged(ask, None, page=URLS) if item.url and item.path in self._left)
        for _, group in groupby(with_url, key=lambda item: (item.url, tuple(item.headers.items()))):
            yield list(group)

    def _from_url(self, bucket: Bucket, group: list[FileUrl]) -> None:
        with bucket.get(group[0].url, group[0].headers) as pieces:
            if pieces is None:
                return
            source = _Cut(pieces)
            for item in group:
                source.skip_to(item.offset)
                self._put(self._left[item.path], source.take(item.size))

    def _from_archive(self) -> None:
        """In one stream; what a broken one did not bring stays left."""
        with (
            suppress(ServerUnavailable, tarfile.TarError, Damaged),
            self._transport.stream(f"{self._data}/archive", params=[("format", "tar")]) as response,
        ):
            stream = cast("IO[bytes]", _Cut(response.iter_bytes(PIECE)))
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    entry = self._left.get(member.name)
                    content = archive.extractfile(member) if entry is not None and member.isreg() else None
                    if entry is not None and content is not None:
                        self._put(entry, iter(partial(content.read, PIECE), b""))

    def _from_server(self) -> None:
        def fetch(entry: Entry) -> None:
            self._stop.check()
            pieces = read_on(self._transport, file_path(self._data, entry.path)) if entry.size else iter(())
            self._put(entry, pieces)

        with closing(in_order(fetch, list(self._left.values()), threads=THREADS, stop=self._stop)) as done:
            for _ in done:
                pass

    def _put(self, entry: Entry, pieces: Iterator[bytes]) -> None:
        """One file, if its bytes are what was pushed."""
        file = os.open(entry.path, FILE_FLAGS, 0o600, dir_fd=self._folder)
        try:
            hasher = blake3()
            for piece in pieces:
                self._stop.check()
                hasher.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(file, rest) :]
            if hasher.hexdigest() != entry.hash:
                raise Damaged(
                    f"the bytes of {entry.path!r} are not what was stored", hint="Pull again; then run `raykqi fsck`."
                )
            os.fchmod(file, entry.mode)
        finally:
            os.close(file)
        del self._left[entry.path]
        self._progress.advance(1, entry.size)


class _Cut:
    """Pieces of any size as a stream from which one takes what one needs."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._at = 0

    def read(self, size: int) -> bytes:
        return b"".join(self.take(size))

    def skip_to(self, at: int) -> None:
        for _ in self.take(at - self._at):
            pass

    def take(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    return
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            self._at += len(piece)
            yield bytes(piece)


def _with_place(entry: Entry) -> Entry:
    """A tree wants to know where bytes lie; here that is the server's matter."""
    return entry._replace(object=blob_key(entry.hash)) if entry.kind == "file" and entry.size else entry


def _umask(folder: int) -> int:
    """Of an empty folder: the process's umask can only be read by changing it, which other threads would feel."""
    file = os.open(".umask", FILE_FLAGS, 0o777, dir_fd=folder)
    try:
        return 0o777 & ~os.fstat(file).st_mode
    finally:
        os.close(file)
        os.unlink(".umask", dir_fd=folder)
