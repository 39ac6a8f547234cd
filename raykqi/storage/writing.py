"""Writing the files of a pull into its staging folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, suppress
from queue import Empty, SimpleQueue

from blake3 import blake3

from raykqi.storage.filesystem_copy import copy_bytes, write_all
from raykqi.storage.packs import MIB
from raykqi.storage.parallel import Stop, in_order, in_order_if_slow
from raykqi.storage.progress import Progress
from raykqi.storage.ranges import STREAM_MIN, Range
from raykqi.storage.reading import ObjectReader
from raykqi.storage.staging import Staging, target_error
from raykqi.storage.trees import Entry
from raykqi.storage.unpackers import Unpackers
from raykqi.storage.unpacking import FILE_FLAGS, Job, Member, write_file, write_members

__all__ = ["Writer"]

THREADS = 6  # each may hold a range
DOWNLOADS = 3  # objects that are being fetched into the cache
WAITING = 24  # ranges that are fetched, or wait for a process to write them
# From so many files on, processes that write them are worth their start.
UNPACKED_MIN = 1000


class Writer:
    def __init__(self, reader: ObjectReader, staging: Staging, progress: Progress) -> None:
        self._reader = reader
        self._staging = staging
        self._progress = progress
        self._stop = Stop()
        self._downloading = threading.Semaphore(DOWNLOADS)
        self._working = threading.Semaphore(THREADS)
        self._memory: SimpleQueue[bytearray] = SimpleQueue()
        self._folder = os.open(staging.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._umask = self._probe_umask()
        self._unpackers: Unpackers | None = None

    def close(self) -> None:
        if self._unpackers:
            self._unpackers.close()
        os.close(self._folder)

    def write(self, wanted: Sequence[Entry], ranges: Iterable[Range]) -> None:
        folders = [entry for entry in wanted if entry.kind == "dir"]
        try:
            for entry in folders:
                os.mkdir(entry.path, 0o700, dir_fd=self._folder)
            if self._reader.is_remote and len(wanted) - len(folders) >= UNPACKED_MIN:
                self._unpackers = Unpackers(self._staging.folder, self._umask)
            with closing(self._write_ranges(ranges)) as done:
                for written in done:
                    self._progress.advance(len(written.entries), 0)
            for entry in wanted:
                if entry.kind == "link":
                    os.symlink(entry.object, entry.path, dir_fd=self._folder)
                elif entry.kind == "file" and not entry.size:
                    write_file(self._folder, self._umask, entry.path, entry.mode, b"")
            for entry in reversed(folders):
                os.chmod(entry.path, entry.mode, dir_fd=self._folder)
            os.fchmod(self._folder, 0o777 & ~self._umask)
        except OSError as error:
            raise target_error(self._staging.target, error) from error

    def _write_ranges(self, ranges: Iterable[Range]) -> Generator[Range, None, None]:
        if self._reader.is_remote:
            threads = WAITING if self._unpackers else THREADS
            return in_order(self._write_range, ranges, threads=threads, stop=self._stop)
        return in_order_if_slow(
            self._write_range, ranges, files=lambda each: len(each.entries), threads=THREADS, stop=self._stop
        )

    def _write_range(self, wanted: Range) -> Range:
        if wanted.keep:
            with self._downloading:
                self._stop.check()
                self._reader.keep(wanted.key, wanted.keep)
        self._stop.check()
        if wanted.entries[0].size >= STREAM_MIN:
            with self._working:
                for entry in wanted.entries:
                    self._write_large(entry)
            return wanted
        members = [
            Member(entry.path, entry.mode, entry.size, entry.hash, entry.offset - wanted.start)
            for entry in wanted.entries
        ]
        if not self._unpack(wanted, members) and (damaged := self._write_members(wanted, members)):
            if not self._reader.discard(wanted.key):
                raise self._reader.damaged(wanted.key, damaged)
            self._remove(members)
            if damaged := self._write_members(wanted, members):
                raise self._reader.damaged(wanted.key, damaged)
        self._progress.advance(0, sum([entry.size for entry in wanted.entries]))
        return wanted

    def _write_members(self, wanted: Range, members: list[Member]) -> str:
        with self._working:
            try:
                memory = self._memory.get_nowait()
            except Empty:
                memory = bytearray()
            try:
                return write_members(self._folder, self._umask, self._fetch(wanted, memory), members)
            finally:
                self._memory.put(memory)

    def _unpack(self, wanted: Range, members: list[Member]) -> bool:
        """Have another process do it. If that fails, for whatever reason but a full disk, nothing was done."""
        path = self._reader.kept_path(wanted.key) if self._unpackers else None
        if self._unpackers is None or path is None:
            return False
        answer = self._unpackers.do(Job(str(path), wanted.start, wanted.end - wanted.start, members))
        if answer is not None and answer.errno:
            raise OSError(answer.errno, os.strerror(answer.errno), answer.path)
        if answer is not None and not answer.damaged and not answer.gone:
            return True
        self._remove(members)
        return False

    def _remove(self, members: list[Member]) -> None:
        for member in members:
            with suppress(FileNotFoundError):
                os.unlink(member.path, dir_fd=self._folder)

    def _fetch(self, wanted: Range, memory: bytearray) -> memoryview:
        """From a file of this machine into memory that is used again; else whatever the store gives."""
        size = wanted.end - wanted.start
        file = self._reader.open_local(wanted.key)
        if file is not None:
            try:
                if len(memory) < size:
                    memory.extend(bytes(size - len(memory)))
                view = memoryview(memory)[:size]
                if os.preadv(file, [view], wanted.start) == size:
                    return view
            finally:
                os.close(file)
        return memoryview(self._reader.get(wanted.key, wanted.start, wanted.end))

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
