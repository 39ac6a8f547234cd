"""A push over HTTP: small trees as one stream, large ones piece by piece, so that a broken connection costs a piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from raykqi.client.bucket import Bucket
from raykqi.client.source import Source
from raykqi.client.transport import Params, Transport
from raykqi.domain.data import Data
from raykqi.domain.transfer import (
    DeclaredFile,
    DeclaredFolder,
    DeclaredLink,
    PieceUrls,
    PieceUrlsWanted,
    PieceWanted,
    ReceivedFile,
    UploadCommit,
    UploadDraft,
    UploadSession,
)
from raykqi.errors import RaykqiError, SourceChanged
from raykqi.settings import Settings
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.progress import Progress

__all__ = ["Push"]

MIB = 1 << 20
STREAM_MOST = 64 * MIB  # bytes of a tree that is sent in one go
SMALL_FILES = 64 * 1024  # and trees of files that are smaller than this on average, up to
SMALL_MOST = 1024 * MIB
PIECE = 8 * MIB
THREADS = 6


class _Piece(NamedTuple):
    at: int  # the number of the file
    path: str
    begin: int
    size: int
    is_last: bool


class Push:
    def __init__(self, transport: Transport, path: Callable[..., str], settings: Settings, progress: Progress) -> None:
        self._transport = transport
        self._path = path
        self._settings = settings
        self._progress = progress

    def run(self, path: Path, tags: tuple[str, ...], inputs: dict[str, str], *, dereference: bool) -> Data:
        with Source(path, dereference=dereference, skip=self._settings.cache_dir) as source:
            files = len(source.stamps)
            self._progress.start(f"push {path}", files, source.size)
            try:
                is_small = source.size <= STREAM_MOST or source.size <= min(SMALL_MOST, files * SMALL_FILES)
                data = self._stream(source, tags, inputs) if is_small else self._send(source, tags, inputs)
            finally:
                self._progress.finish()
            if data.tree.hash != source.tree().hash:
                raise SourceChanged(
                    f"what was stored as data {data.id} is not what is in {path} now",
                    hint=f"Push again when nothing writes there, and remove {data.id}.",
                )
            return data

    def _stream(self, source: Source, tags: tuple[str, ...], inputs: dict[str, str]) -> Data:
        params: Params = [
            *(("tags", tag) for tag in tags),
            *(("inputs", f"{name}={data}") for name, data in inputs.items()),
        ]
        headers = {"Content-Type": "application/x-tar"}

        def body() -> Iterator[bytes]:
            return source.tar(self._progress)

        return self._transport.ask(
            "POST", self._path("data"), Data, params=params, content=body, headers=headers, patient=True
        )

    def _send(self, source: Source, tags: tuple[str, ...], inputs: dict[str, str]) -> Data:
        ask = self._transport.ask
        session = ask("POST", self._path("uploads"), UploadSession, body=UploadDraft(tags, "", inputs))
        try:
            with Bucket(self._transport.timeout) as bucket:
                self._send_files(source, session, bucket)
            commit = UploadCommit(
                files=tuple(
                    DeclaredFile(stamp.path, stamp.size, source.hash(at), source.mode(at))
                    for at, stamp in enumerate(source.stamps)
                ),
                folders=tuple(DeclaredFolder(path, mode) for path, mode in source.folders),
                links=tuple(DeclaredLink(path, target) for path, target in source.links),
            )
            return ask("POST", self._path("uploads", session.id, "commit"), Data, body=commit, patient=True)
        except BaseException:
            with suppress(RaykqiError):
                ask("DELETE", self._path("uploads", session.id), type(None), repeats=False)
            raise

    def _send_files(self, source: Source, session: UploadSession, bucket: Bucket) -> None:
        stop = Stop()

        def send(piece: _Piece) -> None:
            stop.check()
            self._send_piece(source, session, bucket, piece)

        with closing(in_order(send, self._pieces(source), threads=THREADS, stop=stop)) as sent:
            for _ in sent:
                pass

    def _pieces(self, source: Source) -> Iterator[_Piece]:
        for at, stamp in enumerate(source.stamps):
            if not stamp.size:
                self._progress.advance(1, 0)
            for begin in range(0, stamp.size, PIECE):
                size = min(PIECE, stamp.size - begin)
                yield _Piece(at, stamp.path, begin, size, begin + size == stamp.size)

    def _send_piece(self, source: Source, session: UploadSession, bucket: Bucket, piece: _Piece) -> None:
        data = source.read(piece.at, piece.begin, piece.size)
        if not (bucket.is_offered and self._straight(session, bucket, piece, data)):
            path = f"{self._path('uploads', session.id)}/files/{quote(piece.path)}"
            headers = {"Content-Type": "application/octet-stream"}
            offset: Params = [("offset", piece.begin), ("ahead", True)]
            self._transport.ask("PUT", path, ReceivedFile, params=offset, content=data, headers=headers)
        self._progress.advance(int(piece.is_last), piece.size)

    def _straight(self, session: UploadSession, bucket: Bucket, piece: _Piece, data: bytes) -> bool:
        """To the bucket, where the server says how; False when that is not possible."""
        wanted = PieceUrlsWanted((PieceWanted(piece.path, piece.begin, piece.size),))
        found = self._transport.ask("POST", self._path("uploads", session.id, "urls"), PieceUrls, body=wanted)
        if not found.items:
            bucket.is_offered = False
            return False
        return bucket.put(found.items[0].request, data)
