"""Read one file of a tree as a stream.

Small files are verified before their first byte is given out. Of large ones the last piece is held
back until the whole is verified, so that nobody mistakes damaged bytes for the complete file.
"""

from __future__ import annotations

from collections.abc import Generator

from blake3 import blake3

from raykqi.errors import InvalidInput, NotFound
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.reading import ObjectReader
from raykqi.storage.trees import Entry, Tree

__all__ = ["open_file"]

LINKS_FOLLOWED = 40


def open_file(store: Store, tree: Tree, path: str, *, settings: Settings) -> Generator[bytes, None, None]:
    """The bytes of the file at `path`; a link is followed within the tree. Errors of the path show at once."""
    entry = _find(tree, path)
    return _read(ObjectReader(store, settings), entry)


def _read(reader: ObjectReader, entry: Entry) -> Generator[bytes, None, None]:
    hasher = blake3()
    held = b""
    try:
        if entry.size:
            for piece in reader.stream(entry.object, entry.offset, entry.offset + entry.size):
                hasher.update(piece)
                if held:
                    yield held
                held = piece
        if hasher.hexdigest() != entry.hash:
            raise reader.damaged(entry.object, entry.path)
        if held:
            yield held
    finally:
        reader.close()


def _find(tree: Tree, path: str) -> Entry:
    asked = path.removeprefix("./").rstrip("/")
    at = asked
    for _ in range(LINKS_FOLLOWED):
        entry = tree.get(at)
        if entry is None:
            raise NotFound(f"the data has no {path!r}", hint="List what is there with `raykqi data ls`.")
        if entry.kind == "dir":
            raise InvalidInput(f"{path!r} is a folder", hint="Name a file, or pull the folder.")
        if entry.kind == "file":
            return entry
        at = _beside(entry.path, entry.object)
    raise InvalidInput(f"the link {path!r} leads in a circle", hint="Name the file itself.")


def _beside(link: str, target: str) -> str:
    parts = link.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
