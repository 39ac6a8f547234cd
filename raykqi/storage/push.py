"""Push: the bytes of a directory into the store, and then the tree that names them.

Unchanged files are known from the stat cache; the others are read, hashed and stored as blobs and
packs in the order of their paths, so that the same directory makes the same objects. Nothing here
makes data visible: the caller journals the tree that a push returns.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
from blake3 import blake3

from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.outcome import Outcome, Pushed
from raykqi.storage.packing import Packer, Places
from raykqi.storage.packs import BLOB_MIN, MIB, Place, blob_key
from raykqi.storage.parallel import Stop, in_order, in_order_if_slow
from raykqi.storage.presence import is_whole, missing_objects
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.storage.scan import Identity, Scan, identity, scan
from raykqi.storage.source_files import SourceFiles
from raykqi.storage.stat_cache import UNTRUSTED, KnownFile, SourceMemory, StatCache, WholePush
from raykqi.storage.trees import EMPTY_HASH, LINK_MODE, Columns, Entry, StoredTree, Tree, store_tree, tree_key

__all__ = ["Pushed", "push_bytes", "push_listing", "push_tree"]

# Files up to this size are read once and sent from memory; larger ones are hashed first and then streamed.
WHOLE_MAX = 16 * MIB
CHUNK_FILES = 256
CHUNK_BYTES = 4 * MIB
SLOW_READERS = 8
BLOB_WRITERS = 8
# Below this a push is quicker than a look into the stat cache.
REMEMBERED_FILES = 32
REMEMBERED_BYTES = MIB


def push_tree(
    store: Store,
    source: Path,
    *,
    settings: Settings,
    progress: Progress | None = None,
    stat_cache: StatCache | None = None,
    dereference: bool = False,
    staged: bool = False,
) -> Pushed:
    """Store a directory, or one file as a tree of that file. What is `staged` nobody else has or will write to."""
    progress = progress or SilentProgress()
    scanned = scan(source, dereference=dereference, skip=_own_folders(store, settings))
    size = scanned.size
    memory = None
    if len(scanned.files) >= REMEMBERED_FILES or size >= REMEMBERED_BYTES:
        memory = (stat_cache or StatCache(settings.cache_dir, store.url)).of(scanned)
    progress.start(f"push {source}", len(scanned.files), size)
    try:
        return _Push(store, scanned, memory, progress, settings.transfer_threads, dereference, staged).run()
    finally:
        progress.finish()


def push_bytes(store: Store, files: Mapping[str, bytes]) -> Pushed:
    """Store a small tree that exists only in memory."""
    outcome, places = Outcome(), Places()
    paths = sorted(files)
    hashes = [blake3(files[path]).hexdigest() for path in paths]
    small = []
    for at, (path, digest) in enumerate(zip(paths, hashes, strict=True)):
        if len(files[path]) >= BLOB_MIN:
            outcome.store(store, blob_key(digest), files[path])
            places[digest] = Place(blob_key(digest)), 0
        elif files[path]:
            small.append((at, digest, files[path]))
    for _ in Packer(store, places, outcome, threads=0, stop=Stop()).pack(small):
        pass
    entries = []
    for path, digest in zip(paths, hashes, strict=True):
        place, offset = places.get(digest, NOWHERE)
        entries.append(Entry(path, "file", 0o644, len(files[path]), digest, place.key, offset))
    return outcome.conclude(store_tree(store, Tree.of(entries)))


def push_listing(store: Store, tree: Tree) -> Pushed:
    """Store a tree whose bytes lie somewhere already: imported objects, or files of other data."""
    return Outcome().conclude(store_tree(store, tree))


NOWHERE = (Place(), 0)


class _Push:
    def __init__(
        self,
        store: Store,
        scanned: Scan,
        memory: SourceMemory | None,
        progress: Progress,
        threads: int,
        dereference: bool,
        staged: bool,
    ) -> None:
        self._staged = staged
        self._store = store
        self._scan = scanned
        self._memory = memory
        self._progress = progress
        # A handful of small files is done before a thread has started.
        self._threads = threads if memory else 0
        self._stop = Stop()
        self._files = SourceFiles(scanned, dereference=dereference, stop=self._stop)
        self._outcome = Outcome()
        self._hashes = [EMPTY_HASH] * len(scanned.files)
        self._places: Places = {EMPTY_HASH: NOWHERE}
        self._began_blank = False
        self._learnt = 0

    def run(self) -> Pushed:
        fingerprint = ""
        if self._memory:
            fingerprint = _fingerprint(self._scan)
            if (whole := self._memory.whole(fingerprint)) and self._is_there(whole):
                self._progress.advance(len(self._scan.files), self._scan.size)
                objects = frozenset((*whole.objects, tree_key(whole.tree.hash)))
                return Pushed(whole.tree, objects, 0, tuple(self._scan.skipped))
        new = self._recall()
        with closing(self._files):
            self._push_blobs([at for at in new if self._scan.files[at][2] >= BLOB_MIN])
            self._push_small([at for at in new if self._scan.files[at][2] < BLOB_MIN])
        stored = store_tree(self._store, self._tree())
        if self._memory:
            self._remember(self._memory, fingerprint, stored)
        return self._outcome.conclude(stored, self._scan.skipped)

    def _is_there(self, whole: WholePush) -> bool:
        key = tree_key(whole.tree.hash)
        if missing_objects(self._store, {key, *whole.objects}):
            return False
        return blake3(self._store.get(key)).hexdigest() == whole.tree_file

    def _recall(self) -> list[int]:
        """Take what the stat cache knows; returns the files that must be read."""
        stamps = self._scan.files
        known = self._memory.files() if self._memory else []
        if not known:
            self._began_blank = True
            return [at for at, stamp in enumerate(stamps) if stamp[2]]
        lost = missing_objects(self._store, {row[7] for row in known})
        places = {row[7]: Place(row[7]) for row in known if row[7] not in lost}
        by_path = {row[0]: row for row in known if row[7] in places}
        self._places.update((row[6], (places[row[7]], row[8])) for row in by_path.values())
        new = []
        recalled = size = 0
        for at, stamp in enumerate(stamps):
            row = by_path.get(stamp[0])
            if row is not None and row[1:6] == stamp[2:]:
                self._hashes[at] = row[6]
                recalled += 1
                size += stamp[2]
            elif stamp[2]:
                new.append(at)
        self._progress.advance(recalled, size)
        return new

    def _push_blobs(self, wanted: list[int]) -> None:
        threads = min(self._threads, BLOB_WRITERS)
        with closing(in_order(self._push_blob, wanted, threads=threads, stop=self._stop)) as done:
            for at, digest in zip(wanted, done, strict=True):
                self._hashes[at] = digest
                self._places[digest] = Place(blob_key(digest)), 0
                self._learn([at])

    def _push_blob(self, at: int) -> str:
        stamp = self._scan.file(at)
        if stamp.size <= WHOLE_MAX:
            [(_, digest, data)] = self._files.read_each([at])
            self._outcome.store(self._store, blob_key(digest), data)
            self._progress.advance(1, stamp.size)
            return digest
        digest = self._files.hash(stamp)
        key = blob_key(digest)
        if is_whole(self._store, key, stamp.size):
            self._outcome.reused.add(key)
            self._progress.advance(1, stamp.size)
            return digest
        if self._staged and self._store.adopt(key, self._scan.root / stamp.path):
            self._outcome.written[key] = stamp.size
            self._progress.advance(1, stamp.size)
            return digest
        with closing(self._files.pieces(stamp, digest, lambda size: self._progress.advance(0, size))) as pieces:
            self._store.put_stream(key, pieces)
        self._outcome.written[key] = stamp.size
        self._progress.advance(1, 0)
        return digest

    def _push_small(self, wanted: list[int]) -> None:
        packer = Packer(self._store, self._places, self._outcome, threads=self._threads, stop=self._stop)
        with closing(self._read(wanted)) as files, closing(packer.pack(files)) as done:
            for members in done:
                self._learn(members)

    def _read(self, wanted: list[int]) -> Generator[tuple[int, str, bytes], None, None]:
        threads = min(self._threads, SLOW_READERS)
        with closing(
            in_order_if_slow(self._read_chunk, self._chunks(wanted), files=len, threads=threads, stop=self._stop)
        ) as chunks:
            for chunk in chunks:
                for at, digest, _ in chunk:
                    self._hashes[at] = digest
                yield from chunk
                self._progress.advance(len(chunk), sum([len(data) for _, _, data in chunk]))

    def _chunks(self, wanted: list[int]) -> Generator[list[int], None, None]:
        chunk: list[int] = []
        size = 0
        for at in wanted:
            chunk.append(at)
            size += self._scan.files[at][2]
            if len(chunk) >= CHUNK_FILES or size >= CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def _read_chunk(self, chunk: list[int]) -> list[tuple[int, str, bytes]]:
        self._stop.check()
        return self._files.read_each(chunk)

    def _learn(self, members: list[int]) -> None:
        """What is in the store now need not be sent again, whatever becomes of this push."""
        if self._memory:
            self._memory.learn(self._known(self._memory, members))
            self._learnt += len(members)

    def _known(self, memory: SourceMemory, members: list[int]) -> list[KnownFile]:
        settled = memory.settled_ns
        known: list[KnownFile] = []
        for at in members:
            path, _, size, device, inode, modified_ns, changed_ns = self._scan.files[at]
            trusted = device if modified_ns < settled and changed_ns < settled else UNTRUSTED
            digest = self._hashes[at]
            place, offset = self._places[digest]
            known.append((path, size, trusted, inode, modified_ns, changed_ns, digest, place.key, offset))
        return known

    def _tree(self) -> Tree:
        files, folders, links = self._scan.files, self._scan.directories, self._scan.links
        places = [self._places[digest] for digest in self._hashes]
        targets = [link.target.encode() for link in links]
        none, blank = [0] * len(folders), [""] * len(folders)
        columns = Columns(
            path=[*(file[0] for file in files), *(folder.path for folder in folders), *(link.path for link in links)],
            kind=["file"] * len(files) + ["dir"] * len(folders) + ["link"] * len(links),
            mode=[*(file[1] for file in files), *(folder.mode for folder in folders), *([LINK_MODE] * len(links))],
            size=[*(file[2] for file in files), *none, *map(len, targets)],
            hash=[*self._hashes, *blank, *(blake3(target).hexdigest() for target in targets)],
            object=[*(place.key for place, _ in places), *blank, *(link.target for link in links)],
            offset=[*(offset for _, offset in places), *none, *([0] * len(links))],
        )
        return Tree(columns.take(sorted(range(len(columns.path)), key=columns.path.__getitem__)))

    def _remember(self, memory: SourceMemory, fingerprint: str, stored: StoredTree) -> None:
        settled = memory.settled_ns
        whole = None
        if all(file[5] < settled and file[6] < settled for file in self._scan.files):
            whole = WholePush(fingerprint, stored.tree.ref, stored.file_hash, sorted(stored.tree.objects()))
        filled = [at for at, file in enumerate(self._scan.files) if file[2]]
        # Nothing to forget and nothing to add: what was learnt on the way is the whole.
        complete = self._began_blank and self._learnt == len(filled)
        memory.conclude(None if complete else self._known(memory, filled), whole)


def _fingerprint(scanned: Scan) -> str:
    return blake3(msgspec.msgpack.encode([scanned.files, scanned.directories, scanned.links])).hexdigest()


def _own_folders(store: Store, settings: Settings) -> set[Identity]:
    """The workspace and the caches change while a push runs, and are nobody's data."""
    root = store.local_path("blobs")
    folders = [settings.cache_dir] if root is None else [settings.cache_dir, root.parent]
    own = set()
    for folder in folders:
        try:
            own.add(identity(os.stat(folder)))
        except OSError:
            continue
    return own
