"""Import: a tree of objects that lie elsewhere and stay there.

Every object is streamed once to learn its hash. Readers compare with that hash, so that an object
which changed later is noticed and never passes for what was imported.
"""

from __future__ import annotations

from contextlib import closing

from blake3 import blake3

from raykqi.errors import InvalidInput, ObjectMissing, SourceChanged
from raykqi.settings import Settings
from raykqi.storage.filesystem import ObjectInfo, Store
from raykqi.storage.foreign import ForeignStores, foreign_url
from raykqi.storage.packs import is_external
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.storage.trees import EMPTY_HASH, Entry, Tree

__all__ = ["import_objects"]

READERS = 8
MODE = 0o644


def import_objects(url: str, *, settings: Settings, progress: Progress | None = None) -> Tree:
    """The objects below a URL such as `s3://bucket/prefix`, or the one object it names."""
    if not is_external(url):
        raise InvalidInput(
            f"{url!r} is not a URL", hint="Give s3://bucket/prefix, or file:///folder; push copies local files."
        )
    progress = progress or SilentProgress()
    stop = Stop()
    with closing(ForeignStores(settings)) as stores:
        store, root, base = stores.locate(url.rstrip("/"))
        infos, strip = _find(store, url, base)
        progress.start(f"import {url}", len(infos), sum(info.size for info in infos))

        def digest(info: ObjectInfo) -> str:
            return _hash(store, info, progress, stop)

        threads = min(READERS, settings.transfer_threads)
        try:
            with closing(in_order(digest, infos, threads=threads, stop=stop)) as digests:
                return Tree.of(
                    Entry(
                        path=info.key[strip:],
                        kind="file",
                        mode=MODE,
                        size=info.size,
                        hash=found,
                        object=foreign_url(root, info.key) if info.size else "",
                    )
                    for info, found in zip(infos, digests, strict=True)
                )
        finally:
            progress.finish()


def _find(store: Store, url: str, base: str) -> tuple[list[ObjectInfo], int]:
    """The objects, and how much of their keys is not part of their paths."""
    if infos := list(store.list(base)):
        return infos, len(base) + 1 if base else 0
    try:
        if base:
            return [store.info(base)], len(base.rpartition("/")[0] + "/") if "/" in base else 0
    except ObjectMissing:
        pass
    raise InvalidInput(f"there is nothing at {url}", hint="Give an object, or a prefix that objects lie below.")


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
            f"{_name(store, info)} vanished while it was imported", hint="Import again when nothing writes there."
        ) from error
    if size != info.size:
        raise SourceChanged(
            f"{_name(store, info)} changed while it was imported: its size went from {info.size} to {size}",
            hint="Import again when nothing writes there.",
        )
    progress.advance(1, 0)
    return hasher.hexdigest()


def _name(store: Store, info: ObjectInfo) -> str:
    return f"{store.url.rstrip('/')}/{info.key}"
