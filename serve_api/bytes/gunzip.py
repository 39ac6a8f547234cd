"""gzip as a stream, into what takes the bytes that come out of it; a bomb is noticed while it unfolds."""

from __future__ import annotations

import zlib

from raykqi.errors import InvalidInput, TooLarge
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.untar import Untar

__all__ = ["Archive", "Gunzip"]

GZIP = 16 + zlib.MAX_WBITS
PIECE = 1 << 20
MAGIC = b"\x1f\x8b"


class Gunzip:
    def __init__(self, inner: Untar, limits: UploadLimits) -> None:
        self._inner = inner
        self._limits = limits
        self._inflate = zlib.decompressobj(GZIP)
        self._taken = self._given = 0

    def feed(self, data: bytes) -> None:
        self._taken += len(data)
        while data:
            if self._inflate.eof:  # archives may be several gzip files, one after another
                self._inflate = zlib.decompressobj(GZIP)
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error as error:
                raise InvalidInput(f"the body is no sound gzip: {error}", hint="Pack it again.") from error
            self._given += len(piece)
            if self._given > self._limits.free + self._limits.ratio * self._taken:
                raise TooLarge(
                    f"the body unfolds to more than {self._limits.ratio} times its size",
                    hint="Send it as a plain tar.",
                )
            self._inner.feed(piece)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def finish(self) -> None:
        while not self._inflate.eof and (piece := self._inflate.decompress(b"", PIECE)):
            self._inner.feed(piece)
        if not self._inflate.eof:
            raise InvalidInput("the gzip body ends early", hint="Send it again; was the connection cut off?")
        self._inner.finish()


class Archive:
    """A tar, or a gzip of one, whatever it was announced as."""

    def __init__(self, inner: Untar, limits: UploadLimits) -> None:
        self._inner, self._limits = inner, limits
        self._head = b""
        self._chosen: Untar | Gunzip | None = None

    def feed(self, data: bytes) -> None:
        if self._chosen is None:
            self._head += data
            if len(self._head) < len(MAGIC):
                return
            data, self._head = self._head, b""
            self._chosen = Gunzip(self._inner, self._limits) if data.startswith(MAGIC) else self._inner
        self._chosen.feed(data)

    def finish(self) -> None:
        if self._chosen is None:
            raise InvalidInput("the body is empty", hint="Send a tar or tar.gz.")
        self._chosen.finish()
