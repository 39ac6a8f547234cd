"""Materialise: a tree, or the part of it that patterns select, as files on this machine.

Every file is compared with its hash before it is visible under the target, and the target appears
whole or not at all. Bytes are copied, never linked: whoever changes a pulled file must not be able
to change the store.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from raykqi.errors import NotFound
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_copy import copy_bytes, write_all
from raykqi.storage.links import check_links
from raykqi.storage.open_file import open_file
from raykqi.storage.packs import MIB
from raykqi.storage.parallel import Stop, in_order, in_order_if_slow
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.storage.reading import ObjectReader
from raykqi.storage.staging import Staging, target_error
from raykqi.storage.trees import Entry, Tree

__all__ = ["Materialised", "materialise", "open_file"]

# Larger files are streamed; smaller ones are fetched together, in ranges up to `RANGE_MAX`.
STREAM_MIN = 16 * MIB
RANGE_MAX = 32 * MIB
# Bytes nobody wants, fetched to save a request.
GAP_MAX = MIB
THREADS = 6  # each may hold a range
FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Materialised:
    files: int
    size: int


def materialise(
    store: Store,
    tree: Tree,
    target: Path,
    *,
    settings: Settings,
    patterns: Sequence[str] = (),
    progress: Progress | None = None,
    overwrite: bool = False,
    allow_unsafe_links: bool = False,
) -> Materialised:
    """Write the files, links and folders; `overwrite` replaces files of the same paths and leaves others alone."""
    progress = progress or SilentProgress()
    wanted = select(tree, patterns)
    if not allow_unsafe_links:
        check_links(tree, wanted)
    files = [entry for entry in wanted if entry.kind == "file"]
    size = sum([entry.size for entry in files])
    staging = Staging(target, overwrite=overwrite)
    reader = ObjectReader(store, settings)
    remote = store.local_path("blobs") is None
    try:
        progress.start(f"pull to {target}", len(files), size)
        with closing(_Writer(reader, staging, progress)) as writer:
            writer.write(wanted, _ranges(wanted, _sizes(tree)), remote=remote)
        staging.appear(wanted)
    finally:
        staging.remove()
        reader.close()
        progress.finish()
    return Materialised(len(files), size)


def select(tree: Tree, patterns: Sequence[str]) -> list[Entry]:
    """The entries that match, and the folders above them."""
    if not patterns:
        return list(tree)
    chosen: dict[str, Entry] = {}
    for pattern in patterns:
        matches = tree.glob([pattern])
        if not matches:
            raise NotFound(f"nothing in the data matches {pattern!r}", hint="List what is there with `raykqi data ls`.")
        chosen.update((entry.path, entry) for entry in matches)
    for path in list(chosen):
        while (path := path.rpartition("/")[0]) and path not in chosen:
            if folder := tree.get(path):
                chosen[path] = folder
    return [chosen[path] for path in sorted(chosen)]


@dataclass(frozen=True)
class _Range:
    """Files that lie close together in one object, by offset."""

    key: str
    start: int
    end: int
    entries: list[Entry]
    keep: int  # size of the object, if so much of it is wanted that the cache should have it; else 0


class _Writer:
    def __init__(self, reader: ObjectReader, staging: Staging, progress: Progress) -> None:
        self._reader = reader
        self._staging = staging
        self._progress = progress
        self._stop = Stop()
        self._buffers = threading.local()
        self._folder = os.open(staging.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._umask = self._probe_umask()

    def close(self) -> None:
        os.close(self._folder)

    def write(self, wanted: Sequence[Entry], ranges: Iterable[_Range], *, remote: bool) -> None:
        folders = [entry for entry in wanted if entry.kind == "dir"]
        try:
            for entry in folders:
                os.mkdir(entry.path, 0o700, dir_fd=self._folder)
            with closing(self._write_ranges(ranges, remote)) as done:
                for written in done:
                    self._progress.advance(len(written.entries), 0)
            for entry in wanted:
                if entry.kind == "link":
                    os.symlink(entry.object, entry.path, dir_fd=self._folder)
                elif entry.kind == "file" and not entry.size:
                    self._write_file(entry, b"")
            for entry in reversed(folders):
                os.chmod(entry.path, entry.mode, dir_fd=self._folder)
            os.fchmod(self._folder, 0o777 & ~self._umask)
        except OSError as error:
            raise target_error(self._staging.target, error) from error

    def _write_ranges(self, ranges: Iterable[_Range], remote: bool) -> Generator[_Range, None, None]:
        if remote:
            return in_order(self._write_range, ranges, threads=THREADS, stop=self._stop)
        return in_order_if_slow(
            self._write_range, ranges, files=lambda each: len(each.entries), threads=THREADS, stop=self._stop
        )

    def _write_range(self, wanted: _Range) -> _Range:
        if wanted.keep:
            self._reader.keep(wanted.key, wanted.keep)
        if wanted.entries[0].size >= STREAM_MIN:
            for entry in wanted.entries:
                self._write_large(entry)
            return wanted
        data = self._fetch(wanted)
        for entry in wanted.entries:
            self._stop.check()
            begin = entry.offset - wanted.start
            content = data[begin : begin + entry.size]
            if blake3(content).hexdigest() != entry.hash:
                if not self._reader.discard(wanted.key):
                    raise self._reader.damaged(wanted.key, entry.path)
                data = self._fetch(wanted)
                content = data[begin : begin + entry.size]
                if blake3(content).hexdigest() != entry.hash:
                    raise self._reader.damaged(wanted.key, entry.path)
            self._write_file(entry, content)
        self._progress.advance(0, sum([entry.size for entry in wanted.entries]))
        return wanted

    def _fetch(self, wanted: _Range) -> memoryview:
        """From a file of this machine into memory that is used again; else whatever the store gives."""
        size = wanted.end - wanted.start
        file = self._reader.open_local(wanted.key)
        if file is not None:
            try:
                if not hasattr(self._buffers, "memory") or len(self._buffers.memory) < size:
                    self._buffers.memory = memoryview(bytearray(size))
                view: memoryview = self._buffers.memory[:size]
                if os.preadv(file, [view], wanted.start) == size:
                    return view
            finally:
                os.close(file)
        return memoryview(self._reader.get(wanted.key, wanted.start, wanted.end))

    def _write_file(self, entry: Entry, content: bytes | memoryview) -> None:
        file = os.open(entry.path, FILE_FLAGS, entry.mode, dir_fd=self._folder)
        try:
            if content and os.write(file, content) != len(content):
                os.lseek(file, 0, os.SEEK_SET)
                write_all(file, bytes(content))
            if entry.mode & (self._umask | 0o1000):
                os.fchmod(file, entry.mode)
        finally:
            os.close(file)

    def _write_large(self, entry: Entry) -> None:
        file = os.open(entry.path, FILE_FLAGS & ~os.O_WRONLY | os.O_RDWR, 0o600, dir_fd=self._folder)
        try:
            if self._copy(entry, file) != entry.hash and self._stream(entry, file) != entry.hash:
                raise self._reader.damaged(entry.object, entry.path)
            os.fchmod(file, entry.mode)
        finally:
            os.close(file)
        self._progress.advance(0, entry.size)

    def _stream(self, entry: Entry, file: int) -> str:
        self._reader.discard(entry.object)
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        hasher = blake3()
        with closing(self._reader.stream(entry.object, entry.offset, entry.offset + entry.size)) as pieces:
            for piece in pieces:
                self._stop.check()
                hasher.update(piece)
                write_all(file, piece)
        return hasher.hexdigest()

    def _copy(self, entry: Entry, file: int) -> str:
        """Copy inside of the kernel, sharing blocks where it can; then hash what arrived."""
        source = self._reader.open_local(entry.object)
        if source is None:
            return ""
        try:
            copy_bytes(source, file)
        finally:
            os.close(source)
        hasher = blake3(max_threads=blake3.AUTO)
        buffer = memoryview(bytearray(8 * MIB))
        at = 0
        while count := os.preadv(file, [buffer], at):
            self._stop.check()
            hasher.update(buffer[:count])
            at += count
        return hasher.hexdigest()

    def _probe_umask(self) -> int:
        """The process's umask can only be read by changing it, which other threads would feel."""
        name = "umask"
        file = os.open(name, FILE_FLAGS, 0o777, dir_fd=self._folder)
        try:
            return 0o777 & ~os.fstat(file).st_mode
        finally:
            os.close(file)
            os.unlink(name, dir_fd=self._folder)


def _sizes(tree: Tree) -> dict[str, int]:
    """How much of each object belongs to the tree: for what the tree's push packed, all of it."""
    sizes: dict[str, int] = defaultdict(int)
    for key, size, offset in zip(tree.columns.object, tree.columns.size, tree.columns.offset, strict=True):
        sizes[key] = max(sizes[key], offset + size)
    return sizes


def _ranges(wanted: Iterable[Entry], sizes: dict[str, int]) -> Generator[_Range, None, None]:
    """What to fetch, object by object."""
    by_object: dict[str, list[Entry]] = defaultdict(list)
    for entry in wanted:
        if entry.kind == "file" and entry.size:
            by_object[entry.object].append(entry)
    for key, entries in by_object.items():
        entries.sort(key=lambda entry: entry.offset)
        mostly = 2 * sum([entry.size for entry in entries]) >= sizes[key]
        keep = sizes[key] if mostly and sizes[key] else 0
        for run in _runs(entries):
            end = max(entry.offset + entry.size for entry in run)
            yield _Range(key, run[0].offset, end, run, keep)


def _runs(entries: list[Entry]) -> Generator[list[Entry], None, None]:
    """Neighbours, as long as little lies between them and the whole fits into memory."""
    run: list[Entry] = []
    end = 0
    for entry in entries:
        beyond = entry.offset + entry.size
        if run and (entry.offset > end + GAP_MAX or beyond > run[0].offset + RANGE_MAX):
            yield run
            run = []
        run.append(entry)
        end = max(end, beyond)
    if run:
        yield run
