"""What carries bytes for others does with data: look into trees, read files, sign URLs, take uploads in pieces."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from raykqi.catalog import queries
from raykqi.domain.data import Data, Named
from raykqi.domain.ids import SystemClock
from raykqi.domain.transfer import FileEntry, FilePage, FileUrl, FileUrlPage, PieceUrl, PieceUrls, PieceWanted
from raykqi.errors import Conflict, DataGone, InvalidQuery
from raykqi.storage.filesystem import TEMPORARY
from raykqi.workspace.inside import Inside

if TYPE_CHECKING:
    from raykqi.domain.transfer import UploadSession
    from raykqi.domain.tree import Entry
    from raykqi.storage.reading import ObjectReader
    from raykqi.storage.trees import Tree
    from raykqi.storage.uploads import Uploads

__all__ = ["TransferVerbs", "check_patterns"]

MOST_FILES = 10_000
MOST_URLS = 1_000
PIECE_MOST = 5 << 30  # what servers take in one request
MOST_PATTERNS = 100
PATTERN_CHARS = 1_000
MOST_STARS = 4  # each multiplies the time that a path which does not match can take
_STARS = re.compile(r"\*+")


def check_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    """Patterns of strangers, if looking for them cannot take long."""
    if len(patterns) > MOST_PATTERNS:
        raise InvalidQuery(f"{len(patterns)} patterns are too many", hint=f"Give up to {MOST_PATTERNS}.")
    for pattern in patterns:
        if len(pattern) > PATTERN_CHARS or len(_STARS.findall(pattern)) > MOST_STARS:
            raise InvalidQuery(
                f"the pattern {pattern[:60]!r} is too long, or has too many stars",
                hint=f"Up to {PATTERN_CHARS} characters and {MOST_STARS} stars each; several patterns say more.",
            )
    return tuple(patterns)


class TransferVerbs(Inside):
    @property
    def staging_folder(self) -> Path:
        """Where on this machine what is sent to this workspace may take shape: by the store, if it is here."""
        return self._store.local_path(f"{TEMPORARY}staging") or self._settings.cache_dir / "staging"

    def tree(self, data: Named) -> Tree:
        """The listing of the data, if it has content and was not given up."""
        from raykqi.storage.trees import read_tree

        return read_tree(self._store, self._stored(data).tree.hash)

    def content(self, data: Named) -> tuple[Data, Tree]:
        """The data and the listing of it, which may be remembered from an earlier call."""
        from raykqi.storage.tree_memory import remembered_tree

        found = self._stored(data)
        return found, remembered_tree(self._store, found.tree.hash)

    def _stored(self, data: Named) -> Data:
        found = self._read(lambda: queries.get_data(self._keeper.index, [self._resolve(data, removed=True)])[0])
        if found.status in ("purged", "removed"):
            raise DataGone(
                f"the bytes of data {found.id} were given up: it is {found.status}",
                hint=f"`raykqi lineage show {found.id}` says by whom and why.",
            )
        if not found.tree.hash:
            raise Conflict(
                f"data {found.id} is not made yet: its run is not done"
                if found.status == "processing"
                else f"data {found.id} has no content: its run {found.upstream.run} failed before it stored any",
                hint=f"`raykqi run show {found.upstream.run}` says how far it is.",
            )
        return found

    def reader(self) -> ObjectReader:
        """Reads the bytes of files; whoever takes them verifies them, and closes it."""
        from raykqi.storage.reading import ObjectReader

        return ObjectReader(self._store, self._settings)

    def file_page(self, data: Named, patterns: Iterable[str] = (), *, limit: int = 1_000, cursor: str = "") -> FilePage:
        """A page of the listing, in the order of the paths."""
        entries, next_cursor = _page(self.content(data)[1], check_patterns(tuple(patterns)), limit, MOST_FILES, cursor)
        return FilePage(tuple(map(FileEntry.of, entries)), next_cursor)

    def file_urls(
        self, data: Named, patterns: Iterable[str] = (), *, seconds: float, limit: int = MOST_URLS, cursor: str = ""
    ) -> FileUrlPage:
        """Where a client may fetch the files of a page by itself; neighbours in a pack share a URL."""
        entries, next_cursor = _page(self.content(data)[1], check_patterns(tuple(patterns)), limit, MOST_URLS, cursor)
        items: list[FileUrl] = []
        for group in _neighbours([entry for entry in entries if entry.kind == "file"]):
            items += self._signed(group, seconds)
        is_signed = any(item.url for item in items)
        expires = SystemClock().now() + timedelta(seconds=seconds) if is_signed else None
        return FileUrlPage(tuple(items), expires, next_cursor)

    def uploads(self) -> Uploads:
        """The uploads of this user in this project that may be gone on with."""
        from raykqi.storage.uploads import Uploads

        return Uploads(self._store, SystemClock(), project=self._project, user=self._settings.user)

    def piece_urls(self, session: UploadSession, pieces: Sequence[PieceWanted], *, seconds: float) -> PieceUrls:
        """Where a client may store pieces of an upload by itself."""
        if len(pieces) > MOST_URLS:
            raise InvalidQuery(f"{len(pieces)} URLs are too many", hint=f"Ask for up to {MOST_URLS} at once.")
        for piece in pieces:
            if not piece.path or not 0 < piece.size <= PIECE_MOST or not 0 <= piece.offset < 10**18:
                raise InvalidQuery(
                    f"{piece.path!r} has no piece of {piece.size} bytes at {piece.offset}",
                    hint=f"Give offsets from 0 on and sizes from 1 to {PIECE_MOST}.",
                )
        uploads = self.uploads()
        items = []
        for piece in pieces:
            key = uploads.piece_key(session, piece.path, piece.offset)
            if request := self._store.presign_put(key, piece.size, seconds):
                items.append(PieceUrl(piece.path, piece.offset, piece.size, request))
        for path in dict.fromkeys(item.path for item in items):
            uploads.name_file(session, path)
        return PieceUrls(tuple(items), SystemClock().now() + timedelta(seconds=seconds) if items else None)

    def _signed(self, group: list[Entry], seconds: float) -> list[FileUrl]:
        from raykqi.storage.packs import is_external

        first, last = group[0], group[-1]
        request = None
        if first.object and not is_external(first.object):
            is_blob = first.object.startswith("blobs/")
            start, end = (0, None) if is_blob else (first.offset, last.offset + last.size)
            request = self._store.presign_get(first.object, seconds, start, end)
        if request is None:
            return [FileUrl(entry.path, entry.hash, entry.size) for entry in group]
        return [
            FileUrl(entry.path, entry.hash, entry.size, request.url, request.headers, entry.offset - first.offset)
            for entry in group
        ]


def _page(tree: Tree, patterns: tuple[str, ...], limit: int, most: int, cursor: str) -> tuple[list[Entry], str]:
    if not 1 <= limit <= most:
        raise InvalidQuery(f"a page of {limit} is not possible", hint=f"Ask for 1 to {most}.")
    if patterns:
        matching = tree.glob(patterns)
        start = bisect_right(matching, _after(cursor), key=lambda entry: entry.path) if cursor else 0
        page = matching[start : start + limit]
        is_last = start + limit >= len(matching)
    else:
        start = bisect_right(tree.columns.path, _after(cursor)) if cursor else 0
        page = [tree.row(at) for at in range(start, min(start + limit, len(tree)))]
        is_last = start + limit >= len(tree)
    return page, "" if is_last else urlsafe_b64encode(page[-1].path.encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    try:
        return b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True).decode()
    except ValueError:
        raise InvalidQuery(f"{cursor[:60]!r} is no cursor", hint="Take `next_cursor` of the page before.") from None


def _neighbours(files: list[Entry]) -> list[list[Entry]]:
    """Files that lie back to back in one object, in groups; a file that is an object is a group of its own."""
    groups: list[list[Entry]] = []
    for file in files:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and file.object
            and file.object == last.object
            and file.object.startswith("packs/")
            and file.offset == last.offset + last.size
        ):
            groups[-1].append(file)
        else:
            groups.append([file])
    return groups
