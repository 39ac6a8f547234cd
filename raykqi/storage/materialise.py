"""Materialise: a tree, or the part of it that patterns select, as files on this machine.

Every file is compared with its hash before it is visible under the target, and the target appears
whole or not at all. Bytes are copied, never linked: whoever changes a pulled file must not be able
to change the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from raykqi.errors import NotFound
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.links import check_links
from raykqi.storage.open_file import open_file
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.storage.ranges import ranges
from raykqi.storage.reading import ObjectReader
from raykqi.storage.staging import Staging
from raykqi.storage.trees import Entry, Tree
from raykqi.storage.writing import Writer

__all__ = ["Materialised", "materialise", "open_file"]


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
    try:
        progress.start(f"pull to {target}", len(files), size)
        with closing(Writer(reader, staging, progress)) as writer:
            writer.write(wanted, ranges(tree, wanted))
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
