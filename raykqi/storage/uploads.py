"""Uploads that may be interrupted and gone on with: their pieces in the store, until they become data.

`uploads/<id>/upload.json` says whose it is. The bytes of a file come as pieces, each an object named by the
offset of its first byte: `uploads/<id>/files/<key>/<20-digit offset>`, where `key` is the hash of the path and
`uploads/<id>/files/<key>/path` holds the path itself. `uploads/<id>/data.json` says what became of it.
Any process may take any piece: nothing is remembered beside the store.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec
from blake3 import blake3

from raykqi.domain.ids import Clock, IdMaker, is_id
from raykqi.domain.transfer import Piece, ReceivedFile, UploadDraft, UploadSession, UploadState
from raykqi.errors import Conflict, Damaged, ObjectExists, ObjectMissing, UnknownId, UploadGap
from raykqi.storage.filesystem import ObjectInfo, Store

__all__ = ["FOLDER", "LIFETIME", "PIECE_MAX", "Arrival", "Uploads", "expired_uploads", "unreadable_uploads"]

FOLDER = "uploads"
LIFETIME = timedelta(days=1)
PIECE_MAX = 8 << 20  # of what comes through this process; longer bodies become several pieces
_OFFSET = re.compile(r"[0-9]{20}\Z")
_PART = 1 << 20


class Uploads:
    """Those of one user in one project; of others it knows nothing. Safe to use from many threads."""

    def __init__(self, store: Store, clock: Clock, *, project: str, user: str) -> None:
        self._store = store
        self._clock = clock
        self._project = project
        self._user = user

    def begin(self, draft: UploadDraft) -> UploadSession:
        now = self._clock.now()
        session = UploadSession(
            id=IdMaker(self._clock).new(),
            project=self._project,
            user=self._user,
            created=now,
            expires=now + LIFETIME,
            tags=draft.tags,
            name=draft.name,
            inputs=draft.inputs,
        )
        self._store.create(_session_key(session.id), msgspec.json.encode(session))
        return session

    def get(self, upload: str) -> UploadSession:
        """The upload, unless it is another's, is over its time or was never there."""
        unknown = UnknownId(f"there is no upload {upload[:60]!r}", hint="It may have expired: begin a new one.")
        if not is_id(upload):
            raise unknown
        try:
            session = _decode(self._store.get(_session_key(upload)), upload)
        except ObjectMissing:
            raise unknown from None
        if (session.project, session.user) != (self._project, self._user) or session.expires < self._clock.now():
            raise unknown
        try:
            done = self._store.get(_done_key(upload))
        except ObjectMissing:
            return session
        return msgspec.structs.replace(session, data=msgspec.json.decode(done, type=dict[str, str])["data"])

    def state(self, session: UploadSession) -> UploadState:
        """What has come of each file."""
        pieces: dict[str, list[Piece]] = {}
        prefix = f"{FOLDER}/{session.id}/files"
        for info in self._store.list(prefix):
            key, _, name = info.key[len(prefix) + 1 :].partition("/")
            found = pieces.setdefault(key, [])
            if _OFFSET.match(name):
                found.append(Piece(int(name), info.size))
        files = [_received(self._path_of(session, key), found) for key, found in pieces.items()]
        return UploadState(session, tuple(sorted(files, key=lambda file: file.path)))

    def received(self, session: UploadSession, path: str) -> ReceivedFile:
        return _received(path, self._pieces(session, path))

    def arrival(self, session: UploadSession, path: str, offset: int, *, ahead: bool = False) -> Arrival:
        """Takes the bytes of a file from `offset` on; `UploadGap` when those before them have not come.

        With `ahead` they may come later, as when several are sent at once.
        """
        self._require_open(session)
        pieces = self._pieces(session, path)
        expected = _received(path, pieces).size
        if offset > expected and not ahead:
            raise UploadGap(
                f"{path!r} has {expected} bytes so far, so these cannot begin at {offset}",
                expected=expected,
                hint=f"Go on at offset {expected}.",
            )
        self.name_file(session, path)
        return Arrival(self._store, session, path, offset, pieces)

    def name_file(self, session: UploadSession, path: str) -> None:
        """Write down what the pieces under the key of this path belong to."""
        self._store.put(_path_key(session, path), path.encode())

    def piece_key(self, session: UploadSession, path: str, offset: int) -> str:
        self._require_open(session)
        return _piece_key(session, path, offset)

    def read(self, session: UploadSession, path: str) -> Iterator[bytes]:
        """The bytes of a file, from its first to where the first gap is."""
        expected = 0
        for piece in self._pieces(session, path):
            if piece.offset != expected:
                return
            if piece.size:
                yield from self._store.read(_piece_key(session, path, piece.offset))
            expected += piece.size

    def conclude(self, session: UploadSession, data: str) -> None:
        """The upload became data: remember that, and give up its pieces."""
        self._store.put(_done_key(session.id), msgspec.json.encode({"data": data}))
        self._store.delete([info.key for info in self._store.list(f"{FOLDER}/{session.id}/files")])

    def remove(self, session: UploadSession) -> None:
        """Give up everything; who it was goes last, so that an interrupted removal can be repeated."""
        self._store.delete([info.key for info in self._store.list(f"{FOLDER}/{session.id}/files")])
        self._store.delete([_done_key(session.id), _session_key(session.id)])

    def _require_open(self, session: UploadSession) -> None:
        if session.data:
            raise Conflict(f"the upload became data {session.data} already", hint="Begin a new one for other files.")

    def _pieces(self, session: UploadSession, path: str) -> list[Piece]:
        folder = _file_folder(session, path)
        found = ((info.key[len(folder) + 1 :], info.size) for info in self._store.list(folder))
        return [Piece(int(name), size) for name, size in found if _OFFSET.match(name)]

    def _path_of(self, session: UploadSession, key: str) -> str:
        try:
            return self._store.get(f"{FOLDER}/{session.id}/files/{key}/path").decode()
        except (ObjectMissing, UnicodeDecodeError) as error:
            raise Damaged(f"upload {session.id} has lost the path of a file", hint="Begin a new one.") from error


class Arrival:
    """Bytes of one file as they come. Those that came before must be the same, and stay if the rest does not come.

    `feed` chunks, then `finish`, also when the connection broke; `offset` is where the next byte belongs.
    """

    def __init__(self, store: Store, session: UploadSession, path: str, offset: int, known: list[Piece]) -> None:
        self._store = store
        self._session = session
        self._path = path
        self._known = known
        self._held = bytearray()
        self._turn = threading.Lock()  # a request that is given up may finish while its last chunk is still taken
        self.offset = offset

    def feed(self, data: bytes) -> None:
        with self._turn:
            self._take(data)

    def finish(self) -> None:
        with self._turn:
            if self._held:
                self._store_piece()

    def _take(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if not self._held and (same := self._compare(view)):
                view = view[same:]
                continue
            room = PIECE_MAX - len(self._held)
            self._held += view[:room]
            view = view[room:]
            if len(self._held) == PIECE_MAX:
                self._store_piece()

    def _compare(self, data: memoryview) -> int:
        """How many of these bytes were there before; that they are the same was looked at."""
        for piece in self._known:
            if piece.offset <= self.offset < piece.offset + piece.size:
                start = self.offset - piece.offset
                size = min(len(data), piece.size - start, _PART)
                key = _piece_key(self._session, self._path, piece.offset)
                if self._store.get(key, start, start + size) != data[:size]:
                    raise self._differs()
                self.offset += size
                return size
        return 0

    def _store_piece(self) -> None:
        while self._held:
            key = _piece_key(self._session, self._path, self.offset)
            size = len(self._held)
            try:
                self._store.create(key, bytes(self._held))
            except ObjectExists:
                size = self._agree(key)
            self.offset += size
            del self._held[:size]

    def _agree(self, key: str) -> int:
        """Of a piece that was stored here meanwhile, such as when a connection broke, so many bytes are the same."""
        there = self._store.get(key)
        size = min(len(there), len(self._held))
        if not size or there[:size] != self._held[:size]:
            raise self._differs()
        self._known.append(Piece(self.offset, len(there)))
        return size

    def _differs(self) -> Conflict:
        return Conflict(
            f"other bytes of {self._path!r} came before for offset {self.offset}",
            hint="Send one file from one place, or begin a new upload.",
        )


def expired_uploads(store: Store, now: datetime, grace_seconds: float) -> list[ObjectInfo]:
    """What belongs to no upload that is under way: over its time, or left without the object that says whose it is."""
    by_upload: dict[str, list[ObjectInfo]] = {}
    for info in store.list(FOLDER):
        by_upload.setdefault(info.key.split("/")[1], []).append(info)
    found: list[ObjectInfo] = []
    for upload, infos in by_upload.items():
        try:
            if _decode(store.get(_session_key(upload)), upload).expires < now:
                found += infos
        except (ObjectMissing, Damaged):
            found += [info for info in infos if info.modified < now.timestamp() - grace_seconds]
    # Who it was goes last, as `remove` does it.
    return sorted(found, key=lambda info: info.key.endswith("/upload.json"))


def unreadable_uploads(store: Store) -> list[tuple[str, str]]:
    """The keys of descriptions that cannot be read, and why: those uploads cannot be gone on with."""
    found = []
    for info in store.list(FOLDER):
        _, upload, name = info.key.split("/", 2)
        if name == "upload.json":
            try:
                _decode(store.get(info.key), upload)
            except Damaged as error:
                found.append((info.key, error.message))
            except ObjectMissing:
                continue  # it was given up meanwhile
    return found


def _received(path: str, pieces: Iterable[Piece]) -> ReceivedFile:
    expected = 0
    beyond: list[Piece] = []
    for piece in pieces:
        if piece.offset == expected:
            expected += piece.size
        else:
            beyond.append(piece)
    return ReceivedFile(path, expected, tuple(beyond))


def _decode(data: bytes, upload: str) -> UploadSession:
    try:
        return msgspec.json.decode(data, type=UploadSession)
    except msgspec.DecodeError as error:
        raise Damaged(
            f"uploads/{upload}/upload.json cannot be read: {error}", hint="`raykqi gc` takes it away."
        ) from error


def _session_key(upload: str) -> str:
    return f"{FOLDER}/{upload}/upload.json"


def _done_key(upload: str) -> str:
    return f"{FOLDER}/{upload}/data.json"


def _file_folder(session: UploadSession, path: str) -> str:
    return f"{FOLDER}/{session.id}/files/{blake3(path.encode()).hexdigest()[:40]}"


def _path_key(session: UploadSession, path: str) -> str:
    return f"{_file_folder(session, path)}/path"


def _piece_key(session: UploadSession, path: str, offset: int) -> str:
    return f"{_file_folder(session, path)}/{offset:020d}"
