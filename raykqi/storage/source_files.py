"""Reading the files of a source, and noticing when they are not what was seen when the push began.

Files are opened relative to the source's root and never mapped into memory: a file that is cut short
while it is mapped would kill the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing

from blake3 import blake3

from raykqi.errors import SourceChanged
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.scan import DIRECTORY_FLAGS, FileStamp, Scan, source_error

__all__ = ["SourceFiles"]

PIECE = 4 << 20
FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class SourceFiles:
    """The open root of a scanned source."""

    def __init__(self, scan: Scan, *, dereference: bool, stop: Stop) -> None:
        self._scan = scan
        self._stop = stop
        self._flags = FILE_FLAGS & ~os.O_NOFOLLOW if dereference or not scan.whole_folder else FILE_FLAGS
        self._folder = os.open(scan.root, DIRECTORY_FLAGS)

    def close(self) -> None:
        os.close(self._folder)

    def read(self, at: int) -> bytes:
        """The whole file."""
        return self.read_each([at])[0][2]

    def read_each(self, chunk: Iterable[int]) -> list[tuple[int, str, bytes]]:
        """Number, hash and bytes of small files. One plain loop: this is where a push of many files spends its time."""
        files = self._scan.files
        folder, flags = self._folder, self._flags
        result = []
        for at in chunk:
            path, _, size, device, inode, modified_ns, _ = files[at]
            try:
                file = os.open(path, flags, dir_fd=folder)
                try:
                    data = os.read(file, size + 1)
                    found = os.fstat(file)
                    if (
                        len(data) != size
                        or found.st_size != size
                        or found.st_mtime_ns != modified_ns
                        or found.st_ino != inode
                        or found.st_dev != device
                    ):
                        data = self._read_again(self._scan.file(at), file, data)
                finally:
                    os.close(file)
            except OSError as error:
                raise source_error(str(self._scan.root / path), error) from error
            result.append((at, blake3(data).hexdigest(), data))
        return result

    def _read_again(self, stamp: FileStamp, file: int, data: bytes) -> bytes:
        """Read on where one call did not bring everything, then say what changed, if something did."""
        while 0 < len(data) < stamp.size and (more := os.read(file, stamp.size + 1 - len(data))):
            data += more
        self._compare(stamp, file, len(data))
        return data

    def hash(self, stamp: FileStamp) -> str:
        """The BLAKE3 of a large file, on all processors."""
        hasher = blake3(max_threads=blake3.AUTO)
        buffer = memoryview(bytearray(min(2 * PIECE, stamp.size + 1)))
        size = 0
        with _Opened(self, stamp) as file:
            while count := os.readv(file, [buffer]):
                self._stop.check()
                hasher.update(buffer[:count])
                size += count
            self._compare(stamp, file, size)
        return hasher.hexdigest()

    def pieces(self, stamp: FileStamp, digest: str, on_piece: Callable[[int], None]) -> Generator[bytes, None, None]:
        """The bytes, read and hashed ahead in another thread; ends in `SourceChanged` if they have another hash."""
        hasher = blake3()
        with _Opened(self, stamp) as file:

            def read_piece(at: int) -> bytes:
                piece = os.pread(file, PIECE, at)
                hasher.update(piece)
                return piece

            with closing(
                in_order(read_piece, range(0, stamp.size, PIECE), threads=1, ahead=2, stop=self._stop)
            ) as pieces:
                for piece in pieces:
                    self._stop.check()
                    yield piece
                    on_piece(len(piece))
            if hasher.hexdigest() != digest:
                raise self._changed(stamp, "its bytes are others")

    def part(self, stamp: FileStamp, begin: int, size: int) -> bytes:
        """`size` bytes from `begin` on, of a file that is still as it was seen."""
        with _Opened(self, stamp) as file:
            data = bytearray()
            while len(data) < size and (more := os.pread(file, size - len(data), begin + len(data))):
                data += more
            self._compare(stamp, file, stamp.size if len(data) == size else begin + len(data))
        return bytes(data)

    def _compare(self, stamp: FileStamp, file: int, size: int) -> None:
        found = os.fstat(file)
        if found.st_size != stamp.size or size != stamp.size:
            raise self._changed(stamp, f"its size went from {stamp.size} to {max(found.st_size, size)}")
        if found.st_mtime_ns != stamp.modified_ns:
            raise self._changed(stamp, "it was written to")
        if found.st_ino != stamp.inode or found.st_dev != stamp.device:
            raise self._changed(stamp, "another file took its place")

    def _changed(self, stamp: FileStamp, how: str) -> SourceChanged:
        return SourceChanged(
            f"{self._scan.root / stamp.path} changed while it was pushed: {how}",
            hint="Push again when nothing writes there.",
        )


class _Opened:
    """An open file, with errors that name it."""

    __slots__ = ("_file", "_source", "_stamp")

    def __init__(self, source: SourceFiles, stamp: FileStamp) -> None:
        self._source = source
        self._stamp = stamp

    def __enter__(self) -> int:
        try:
            self._file = os.open(self._stamp.path, self._source._flags, dir_fd=self._source._folder)
        except OSError as error:
            raise source_error(str(self._source._scan.root / self._stamp.path), error) from error
        return self._file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        os.close(self._file)
        if isinstance(error, OSError):
            raise source_error(str(self._source._scan.root / self._stamp.path), error) from error
