"""Push: the bytes of a directory into the store, and then the tree that names them.

Unchanged files are known from the stat cache; the others are read, hashed and stored as blobs and
packs in the order of their paths, so that the same directory makes the same objects. Nothing here
makes data visible: the caller journals the tree that a push returns.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from blake3 import blake3

from raykqi.domain.data import TreeRef
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.packs import BLOB_MIN, MIB, Pack, blob_key
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.presence import missing_objects
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.storage.scan import Identity, Scan, identity, scan
from raykqi.storage.source_files import SourceFiles
from raykqi.storage.stat_cache import RACY_NS, UNTRUSTED, KnownFile, SourceMemory, StatCache, WholePush
from raykqi.storage.trees import EMPTY_HASH, LINK_MODE, Columns, Entry, StoredTree, Tree, store_tree, tree_key

__all__ = ["Pushed", "push_bytes", "push_listing", "push_tree"]

# Files up to this size are read once and sent from memory; larger ones are hashed first and then streamed.
WHOLE_MAX = 16 * MIB
CHUNK_FILES = 256
CHUNK_BYTES = 4 * MIB
READERS = 1  # more only fight for the interpreter
PACK_WRITERS = 3  # each holds a pack twice for a moment
BLOB_WRITERS = 8
# Below this a push is quicker than a look into the stat cache.
REMEMBERED_FILES = 32
REMEMBERED_BYTES = MIB


@dataclass(frozen=True)
class Pushed:
    tree: TreeRef
    reused: frozenset[str]  # keys of objects that this push relies on and did not write
    written_bytes: int
    skipped: tuple[str, ...] = ()  # folders that were left out: the workspace's own


def push_tree(
    store: Store,
    source: Path,
    *,
    settings: Settings,
    progress: Progress | None = None,
    stat_cache: StatCache | None = None,
    dereference: bool = False,
) -> Pushed:
    """Store a directory, or one file as a tree of that file."""
    progress = progress or SilentProgress()
    scanned = scan(source, dereference=dereference, skip=_own_folders(store, settings))
    size = scanned.size
    memory = None
    if len(scanned.files) > REMEMBERED_FILES or size > REMEMBERED_BYTES:
        memory = (stat_cache or StatCache(settings.cache_dir, store.url)).of(scanned)
    progress.start(f"push {source}", len(scanned.files), size)
    stop = Stop()
    files = SourceFiles(scanned, dereference=dereference, stop=stop)
    try:
        return _Push(store, scanned, files, memory, stop, progress, settings.transfer_threads).run()
    finally:
        files.close()
        progress.finish()


def push_bytes(store: Store, files: Mapping[str, bytes]) -> Pushed:
    """Store a small tree that exists only in memory."""
    outcome = _Outcome()
    places: dict[str, tuple[Pack, int]] = {}
    pack = Pack()
    packs = [pack]
    for data in (files[path] for path in sorted(files)):
        digest = blake3(data).hexdigest()
        if not data or digest in places:
            continue
        if len(data) >= BLOB_MIN:
            places[digest] = (Pack(blob_key(digest)), 0)
            outcome.store(store, blob_key(digest), data)
            continue
        if not pack.has_room_for(len(data)):
            packs.append(pack := Pack())
        places[digest] = (pack, pack.add(data))
    for full in packs:
        if full.size:
            data = full.seal()
            outcome.store(store, full.key, data)
    entries = []
    for path, data in files.items():
        digest = blake3(data).hexdigest()
        place, offset = places.get(digest, NOWHERE)
        entries.append(Entry(path, "file", 0o644, len(data), digest, place.key, offset))
    return outcome.conclude(store_tree(store, Tree.of(entries)))


def push_listing(store: Store, tree: Tree) -> Pushed:
    """Store a tree whose bytes lie somewhere already: imported objects, or files of other data."""
    return _Outcome().conclude(store_tree(store, tree))


NOWHERE = (Pack(), 0)


@dataclass
class _Outcome:
    """What a push wrote and what it found there."""

    reused: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    written_bytes: int = 0

    def store(self, store: Store, key: str, data: bytes) -> None:
        if store.exists(key):
            self.found(key)
        else:
            store.put(key, data)
            self.wrote(key, len(data))

    def found(self, key: str) -> None:
        self.reused.add(key)

    def wrote(self, key: str, size: int) -> None:
        self.written.add(key)
        self.written_bytes += size

    def conclude(self, stored: StoredTree, skipped: Iterable[str] = ()) -> Pushed:
        reused = (self.reused | stored.tree.objects()) - self.written
        if not stored.written:
            reused.add(tree_key(stored.tree.ref.hash))
        return Pushed(stored.tree.ref, frozenset(reused), self.written_bytes + stored.written, tuple(skipped))


@dataclass
class _NewPack:
    """A pack being filled, and which files of the scan went into it."""

    pack: Pack = field(default_factory=Pack)
    members: list[int] = field(default_factory=list)
    written: int | None = None


class _Push:
    def __init__(
        self,
        store: Store,
        scanned: Scan,
        files: SourceFiles,
        memory: SourceMemory | None,
        stop: Stop,
        progress: Progress,
        threads: int,
    ) -> None:
        self._store = store
        self._scan = scanned
        self._files = files
        self._memory = memory
        self._stop = stop
        self._progress = progress
        # A handful of small files is done before a thread has started.
        self._threads = threads if memory else 0
        self._outcome = _Outcome()
        count = len(scanned.files)
        self._hashes = [EMPTY_HASH] * count
        self._places = [NOWHERE[0]] * count
        self._offsets = [0] * count
        self._by_hash: dict[str, tuple[Pack, int]] = {}

    def run(self) -> Pushed:
        fingerprint = ""
        if self._memory:
            fingerprint = _fingerprint(self._scan)
            if (whole := self._memory.whole(fingerprint)) and self._is_there(whole):
                self._progress.advance(len(self._scan.files), self._scan.size)
                objects = frozenset((*whole.objects, tree_key(whole.tree.hash)))
                return Pushed(whole.tree, objects, 0, tuple(self._scan.skipped))
        new = self._recall()
        stamps = self._scan.files
        self._push_blobs([at for at in new if stamps[at][2] >= BLOB_MIN])
        self._push_packs([at for at in new if stamps[at][2] < BLOB_MIN])
        stored = store_tree(self._store, self._tree())
        self._remember(fingerprint, stored)
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
            return [at for at, stamp in enumerate(stamps) if stamp[2]]
        lost = missing_objects(self._store, {row[7] for row in known})
        places = {row[7]: Pack(row[7]) for row in known if row[7] not in lost}
        by_path = {row[0]: row for row in known if row[7] in places}
        self._by_hash = {row[6]: (places[row[7]], row[8]) for row in by_path.values()}
        new = []
        recalled = size = 0
        for at, stamp in enumerate(stamps):
            row = by_path.get(stamp[0])
            if row is not None and row[1:6] == stamp[2:]:
                self._hashes[at] = row[6]
                self._places[at] = places[row[7]]
                self._offsets[at] = row[8]
                recalled += 1
                size += stamp[2]
            elif stamp[2]:
                new.append(at)
        self._outcome.reused.update(place.key for place in set(self._places) if place.key)
        self._progress.advance(recalled, size)
        return new

    def _push_blobs(self, wanted: list[int]) -> None:
        threads = min(self._threads, BLOB_WRITERS)
        with closing(in_order(self._push_blob, wanted, threads=threads, stop=self._stop)) as done:
            for at, (digest, written) in zip(wanted, done, strict=True):
                key = blob_key(digest)
                if written is None:
                    self._outcome.found(key)
                else:
                    self._outcome.wrote(key, written)
                self._hashes[at] = digest
                self._places[at] = Pack(key)
                self._by_hash[digest] = (self._places[at], 0)
                self._learn([at])

    def _push_blob(self, at: int) -> tuple[str, int | None]:
        stamp = self._scan.file(at)
        if stamp.size <= WHOLE_MAX:
            [(_, digest, data)] = self._files.read_each([at])
            there = self._store.exists(blob_key(digest))
            if not there:
                self._store.put(blob_key(digest), data)
            self._progress.advance(1, stamp.size)
            return digest, None if there else stamp.size
        digest = self._files.hash(stamp)
        if self._store.exists(blob_key(digest)):
            self._progress.advance(1, stamp.size)
            return digest, None
        with closing(self._files.pieces(stamp, digest, lambda size: self._progress.advance(0, size))) as pieces:
            self._store.put_stream(blob_key(digest), pieces)
        self._progress.advance(1, 0)
        return digest, stamp.size

    def _push_packs(self, wanted: list[int]) -> None:
        with (
            closing(self._fill_packs(wanted)) as packs,
            closing(
                in_order(self._push_pack, packs, threads=min(self._threads, PACK_WRITERS), stop=self._stop)
            ) as done,
        ):
            for new in done:
                if new.written is None:
                    self._outcome.found(new.pack.key)
                else:
                    self._outcome.wrote(new.pack.key, new.written)
                self._learn(new.members)

    def _fill_packs(self, wanted: list[int]) -> Generator[_NewPack, None, None]:
        """Full packs, in the order of the paths; content that lies somewhere already is not packed again."""
        new = _NewPack()
        readers = min(self._threads, READERS)
        with closing(
            in_order(self._read_chunk, self._chunks(wanted), threads=readers, ahead=readers, stop=self._stop)
        ) as chunks:
            for chunk in chunks:
                for at, digest, data in chunk:
                    place = self._by_hash.get(digest)
                    if place is None:
                        if not new.pack.has_room_for(len(data)):
                            yield new
                            new = _NewPack()
                        place = self._by_hash[digest] = (new.pack, new.pack.add(data))
                        new.members.append(at)
                    elif place[0].key:
                        self._outcome.found(place[0].key)
                    self._hashes[at] = digest
                    self._places[at], self._offsets[at] = place
                self._progress.advance(len(chunk), sum([len(data) for _, _, data in chunk]))
        if new.members:
            yield new

    def _chunks(self, wanted: list[int]) -> Iterator[list[int]]:
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

    def _push_pack(self, new: _NewPack) -> _NewPack:
        data = new.pack.seal()
        if not self._store.exists(new.pack.key):
            self._store.put(new.pack.key, data)
            new.written = len(data)
        return new

    def _learn(self, members: list[int]) -> None:
        """What is in the store now need not be sent again, whatever becomes of this push."""
        if self._memory:
            self._memory.learn(self._known(members))

    def _known(self, members: Iterable[int]) -> list[KnownFile]:
        settled = self._scan.began_ns - RACY_NS
        known: list[KnownFile] = []
        for at in members:
            path, _, size, device, inode, modified_ns, changed_ns = self._scan.files[at]
            trusted = device if modified_ns < settled and changed_ns < settled else UNTRUSTED
            place = self._hashes[at], self._places[at].key, self._offsets[at]
            known.append((path, size, trusted, inode, modified_ns, changed_ns, *place))
        return known

    def _tree(self) -> Tree:
        files, folders, links = self._scan.files, self._scan.directories, self._scan.links
        targets = [link.target.encode() for link in links]
        none = [0] * len(folders)
        blank = [""] * len(folders)
        columns = Columns(
            path=[*(file[0] for file in files), *(folder.path for folder in folders), *(link.path for link in links)],
            kind=["file"] * len(files) + ["dir"] * len(folders) + ["link"] * len(links),
            mode=[*(file[1] for file in files), *(folder.mode for folder in folders), *([LINK_MODE] * len(links))],
            size=[*(file[2] for file in files), *none, *map(len, targets)],
            hash=[*self._hashes, *blank, *(blake3(target).hexdigest() for target in targets)],
            object=[*(place.key for place in self._places), *blank, *(link.target for link in links)],
            offset=[*self._offsets, *none, *([0] * len(links))],
        )
        order = sorted(range(len(columns.path)), key=columns.path.__getitem__)
        return Tree(columns.take(order))

    def _remember(self, fingerprint: str, stored: StoredTree) -> None:
        if self._memory is None:
            return
        settled = self._scan.began_ns - RACY_NS
        whole = None
        if all(file[5] < settled and file[6] < settled for file in self._scan.files):
            whole = WholePush(fingerprint, stored.tree.ref, stored.file_hash, sorted(stored.tree.objects()))
        self._memory.conclude(self._known(at for at, file in enumerate(self._scan.files) if file[2]), whole)


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
