"""Import: a tree of objects that lie elsewhere and stay there.

Every object is streamed once to learn its hash. Readers compare with that hash, so that an object
which changed later is noticed and never passes for what was imported.
"""

from __future__ import annotations

from contextlib import closing

from blake3 import blake3

from raykqi.errors import InvalidInput, ObjectMissing, SourceChanged
from raykqi.settings import Settings
from raykqi.storage.filesystem import ObjectInfo, Store, open_store
from raykqi.storage.packs import is_external
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.storage.trees import EMPTY_HASH, Entry, Tree

__all__ = ["import_objects"]

READERS = 8


def import_objects(url: str, *, settings: Settings, progress: Progress | None = None) -> Tree:
    """The objects below a URL such as `s3://bucket/prefix`, or the one object it names."""
    if not is_external(url):
        raise InvalidInput(
            f"{url!r} is not a URL", hint="Give s3://bucket/prefix, or file:///folder; push copies local files."
        )
    base = url.rstrip("/")
    folder, infos = _find(base, settings)
    progress = progress or SilentProgress()
    progress.start(f"import {url}", len(infos), sum(info.size for info in infos))
    stop = Stop()
    store = open_store(folder, settings)

    def digest(info: ObjectInfo) -> str:
        return _hash(store, info, progress, stop)

    try:
        with closing(in_order(digest, infos, threads=min(READERS, settings.transfer_threads), stop=stop)) as digests:
            return Tree.of(
                Entry(info.key, "file", 0o644, info.size, found, f"{folder}/{info.key}" if info.size else "")
                for info, found in zip(infos, digests, strict=True)
            )
    finally:
        progress.finish()
        store.close()


def _find(base: str, settings: Settings) -> tuple[str, list[ObjectInfo]]:
    """The folder that names are relative to, and the objects."""
    try:
        with closing(open_store(base, settings)) as store:
            if infos := [info for info in store.list("") if not info.key.endswith("/")]:
                return base, infos
    except InvalidInput:
        # A local file is no place for a store; its folder is, and a URL that is wrong for other reasons fails there.
        pass
    folder, _, name = base.rpartition("/")
    if name and not folder.endswith("/"):
        with closing(open_store(folder, settings)) as store:
            try:
                return folder, [store.info(name)]
            except ObjectMissing:
                pass
    raise InvalidInput(f"there is nothing at {base}", hint="Give an object, or a prefix that objects lie below.")


def _hash(store: Store, info: ObjectInfo, progress: Progress, stop: Stop) -> str:
    if not info.size:
        progress.advance(1, 0)
        return EMPTY_HASH
    hasher = blake3()
    size = 0
    try:
        for piece in store.read(info.key):
            stop.check()
            hasher.update(piece)
            size += len(piece)
            progress.advance(0, len(piece))
    except ObjectMissing as error:
        raise SourceChanged(
            f"{store.url}/{info.key} vanished while it was imported", hint="Import again when nothing writes there."
        ) from error
    if size != info.size:
        raise SourceChanged(
            f"{store.url}/{info.key} changed while it was imported: its size went from {info.size} to {size}",
            hint="Import again when nothing writes there.",
        )
    progress.advance(1, 0)
    return hasher.hexdigest()
