"""Trees: what files a data consists of, and where their bytes lie.

`trees/ab/<treehash>.parquet` has one row an entry, sorted by the UTF-8 bytes of `path`:

    path    relative, `/`-separated, no empty, `.` or `..` part; every folder above it is an entry of kind dir
    kind    file, dir or link
    mode    permission bits (octal 0 to 1777; no setuid, no setgid); 777 for links
    size    bytes of the file, or of the link's target; 0 for a dir
    hash    BLAKE3 in lower-case hex of the file's bytes or of the link's target; empty for a dir
    object  key of the blob or pack, or the URL of bytes that were not copied; the target for a link; else empty
    offset  where the file's bytes begin in `object`

The treehash is the BLAKE3 of `raykqi-tree-1\\n` and then, for each row in order, the UTF-8 text
`<kind> <mode in octal> <size> <hash> <path>` and a NUL byte. `object` and `offset` are no part of it, so
packing never changes it; they are guarded by `raykqi.layout` in the metadata of the file: the BLAKE3 of the
values of `object`, each followed by a NUL byte, and then the values of `offset` as little-endian int64.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import compress
from operator import lt
from typing import NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from raykqi.domain.data import TreeRef
from raykqi.domain.tree import Entry, Kind
from raykqi.errors import Damaged, InvalidInput, ObjectMissing, UnsafePath
from raykqi.storage.filesystem import Store
from raykqi.storage.packs import is_external, is_object_key
from raykqi.storage.patterns import compile_pattern
from raykqi.storage.presence import missing_objects

__all__ = ["EMPTY_HASH", "Columns", "Entry", "Kind", "Tree", "decode_tree", "read_tree", "tree_key", "write_tree"]


EMPTY_HASH = blake3(b"").hexdigest()
IMPLIED_DIR_MODE = 0o755
LINK_MODE = 0o777
MODE_BITS = 0o1777

LISTING_HEADER = b"raykqi-tree-1\n"
SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("mode", pa.int32(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("hash", pa.string(), nullable=False),
        pa.field("object", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
REPETITIVE = ["kind", "mode", "object"]
# Below this many rows, setting up compression and dictionaries costs more time than it saves bytes.
PLAIN_ROWS = 64


class Columns(NamedTuple):
    """A tree column by column: 100,000 entries without 100,000 objects."""

    path: Sequence[str]
    kind: Sequence[str]
    mode: Sequence[int]
    size: Sequence[int]
    hash: Sequence[str]
    object: Sequence[str]
    offset: Sequence[int]

    def take(self, rows: Sequence[int]) -> Columns:
        """These rows, in this order."""
        return Columns._make([column[at] for at in rows] for column in cast("tuple[Sequence[str], ...]", self))


class Tree:
    """An immutable, sorted and checked listing."""

    def __init__(self, columns: Columns) -> None:
        """Take columns that are already sorted; anything unsafe in them is an `UnsafePath` or `InvalidInput`."""
        _check(columns)
        self.columns = columns

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Tree:
        """Sort the entries and add the folders above them that are not among them."""
        rows = list(entries)
        by_path = {row.path: row for row in rows}
        if len(by_path) != len(rows):
            twice = next(row.path for row in rows if by_path[row.path] is not row)
            raise InvalidInput(f"path {twice!r} is listed twice", hint="Give every entry of a tree its own path.")
        for row in rows:
            parent = row.path.rpartition("/")[0]
            while parent and parent not in by_path:
                by_path[parent] = Entry(parent, "dir", IMPLIED_DIR_MODE, 0, "")
                parent = parent.rpartition("/")[0]
        ordered = [by_path[path] for path in sorted(by_path)]
        return cls(Columns(*(list(column) for column in zip(*ordered, strict=True))) if ordered else NO_ROWS)

    def __len__(self) -> int:
        return len(self.columns.path)

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry._make, zip(*self.columns, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and all(
            list(mine) == list(theirs) for mine, theirs in zip(self.columns, other.columns, strict=True)
        )

    def __hash__(self) -> int:
        return hash(self.ref.hash)

    def __repr__(self) -> str:
        return f"Tree({self.ref.hash[:12]}, {len(self)} entries)"

    @cached_property
    def ref(self) -> TreeRef:
        files = [kind == "file" for kind in self.columns.kind]
        return TreeRef(_listing_hash(self.columns), sum(compress(self.columns.size, files)), sum(files))

    def row(self, index: int) -> Entry:
        return Entry._make(cast("Iterable[str]", (column[index] for column in self.columns)))

    def get(self, path: str) -> Entry | None:
        at = bisect_left(self.columns.path, path)
        return self.row(at) if at < len(self) and self.columns.path[at] == path else None

    def glob(self, patterns: Iterable[str]) -> list[Entry]:
        """The entries that match any of the patterns, in order; a matching folder brings what is below it."""
        wanted = [compile_pattern(pattern).fullmatch for pattern in patterns]
        paths = self.columns.path
        return [self.row(at) for at, path in enumerate(paths) if any(match(path) for match in wanted)]

    def objects(self) -> set[str]:
        """The store's keys this tree needs; URLs of bytes that were not copied are no keys."""
        files = (kind == "file" for kind in self.columns.kind)
        named = set(compress(self.columns.object, files))
        return {key for key in named if key and not is_external(key)}

    def encode(self) -> bytes:
        """The Parquet file."""
        return _encode(self.columns)


NO_ROWS = Columns([], [], [], [], [], [], [])


def tree_key(tree_hash: str) -> str:
    return f"trees/{tree_hash[:2]}/{tree_hash}.parquet"


def write_tree(store: Store, tree: Tree) -> TreeRef:
    """Store the listing. The objects it names must be there already.

    A tree that is there and whole is never replaced: its objects are as good, and someone may live from it.
    """
    store_tree(store, tree)
    return tree.ref


class StoredTree(NamedTuple):
    tree: Tree  # as it is packed in the store, which may differ from what was to be stored
    file_hash: str
    written: int  # 0 when it was there


def store_tree(store: Store, tree: Tree) -> StoredTree:
    """Like `write_tree`, and tells what is in the store now."""
    key = tree_key(tree.ref.hash)
    data = tree.encode()
    if store.exists(key):
        try:
            there = store.get(key)
            found = tree if there == data else decode_tree(there, name=key)
            if found is tree or not missing_objects(store, found.objects()):
                return StoredTree(found, blake3(there).hexdigest(), 0)
        except (Damaged, ObjectMissing):
            pass
    store.put(key, data)
    return StoredTree(tree, blake3(data).hexdigest(), len(data))


def read_tree(store: Store, tree_hash: str) -> Tree:
    """The tree, after checking that its bytes are what the hash promises."""
    key = tree_key(tree_hash)
    tree = decode_tree(store.get(key), name=key)
    if tree.ref.hash != tree_hash:
        raise Damaged(
            f"tree object {key} holds another listing: its hash is {tree.ref.hash}",
            hint="Run `raykqi fsck` to see what is affected.",
        )
    return tree


def decode_tree(data: bytes, *, name: str) -> Tree:
    """Parse a tree file; whatever is wrong with it is `Damaged`, naming it."""
    try:
        return _decode(data)
    except Exception as error:
        raise Damaged(
            f"tree object {name} cannot be read: {error}", hint="Run `raykqi fsck` to see what is affected."
        ) from error


def _decode(data: bytes) -> Tree:
    file = pq.ParquetFile(pa.BufferReader(data))
    table = file.read(use_threads=False)
    if table.schema.names != SCHEMA.names:
        raise ValueError(f"its columns are {table.schema.names}")
    columns = Columns._make(cast("list[str]", _values(table.column(field.name), field)) for field in SCHEMA)
    tree = Tree(columns)
    if (file.metadata.metadata or {}).get(b"raykqi.layout") != _layout_hash(columns).encode():
        raise ValueError("the columns `object` and `offset` do not fit their checksum")
    return tree


def _values(column: pa.ChunkedArray, field: pa.Field) -> list[str] | list[int]:
    if column.type != field.type or column.null_count:
        raise ValueError(f"column {field.name} is {column.type} with {column.null_count} nulls")
    if pa.types.is_integer(field.type):
        return cast("list[int]", column.to_numpy().tolist())
    return cast("list[str]", column.to_pylist())


def _encode(columns: Columns) -> bytes:
    large = len(columns.path) > PLAIN_ROWS
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        SCHEMA,
        compression="zstd" if large else "none",
        use_dictionary=REPETITIVE if large else False,
        write_statistics=large,
        store_schema=False,
    ) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
        writer.add_key_value_metadata({"raykqi.format": "1", "raykqi.layout": _layout_hash(columns)})
    return cast("bytes", sink.getvalue().to_pybytes())


def _listing_hash(columns: Columns) -> str:
    rows = zip(columns.path, columns.kind, columns.mode, columns.size, columns.hash, strict=True)
    text = "".join([f"{kind} {mode:o} {size} {digest} {path}\0" for path, kind, mode, size, digest in rows])
    return blake3(LISTING_HEADER + text.encode()).hexdigest()


def _layout_hash(columns: Columns) -> str:
    offsets = array("q", columns.offset)
    if sys.byteorder == "big":
        offsets.byteswap()
    objects = "\0".join([*columns.object, ""])
    return blake3(objects.encode() + offsets.tobytes()).hexdigest()


def _check(columns: Columns) -> None:
    """Refuse what could leave the target on the way out, or would not survive the way in."""
    paths = columns.path
    if any(len(column) != len(paths) for column in columns):
        raise InvalidInput("the columns of the tree differ in length")
    try:
        together = ("/" + "/\0/".join(paths) + "/").encode() if paths else b""
    except UnicodeEncodeError:
        raise InvalidInput(f"path {_not_utf8(paths)!r} is not valid UTF-8", hint="Rename it.") from None
    if b"//" in together or b"/./" in together or b"/../" in together or together.count(b"\0") >= max(len(paths), 1):
        raise UnsafePath(f"path {_unsafe(paths)!r} is empty, absolute or has a part that is not a name")
    if not all(map(lt, paths, paths[1:])):
        raise InvalidInput("the paths of the tree are not sorted, or one is listed twice")
    folders = {path for path, kind in zip(paths, columns.kind, strict=True) if kind == "dir"}
    folders.add("")
    for path in paths:
        if path.rpartition("/")[0] not in folders:
            raise UnsafePath(f"path {path!r} lies below something that is not a folder of the tree")
    for kind, mode, size, digest, key, offset, path in zip(
        columns.kind, columns.mode, columns.size, columns.hash, columns.object, columns.offset, paths, strict=True
    ):
        if kind == "file":
            sound = len(digest) == 64 and (size > 0) == bool(key) and (size > 0 or digest == EMPTY_HASH)
        elif kind == "link":
            sound = len(digest) == 64 and key != ""
        else:
            sound = kind == "dir" and size == 0 and digest == "" and key == ""
        if not sound or size < 0 or offset < 0 or not 0 <= mode <= MODE_BITS:
            raise InvalidInput(f"entry {path!r} of the tree contradicts itself")
    for key in {key for key, kind in zip(columns.object, columns.kind, strict=True) if kind == "file" and key}:
        if not is_object_key(key) and not is_external(key):
            raise UnsafePath(f"object {key!r} of the tree is neither a key of the store nor a URL")


def _not_utf8(paths: Sequence[str]) -> str:
    return next(path for path in paths if not _encodes(path))


def _encodes(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unsafe(paths: Sequence[str]) -> str:
    return next(path for path in paths if "\0" in path or {"", ".", ".."} & set(path.split("/")))
