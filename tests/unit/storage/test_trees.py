"""Trees: the same listing has the same hash however it is packed, and nothing damaged is ever taken for a tree."""

from __future__ import annotations

import io
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from raykqi.domain.data import TreeRef
from raykqi.errors import Damaged, InvalidInput, ObjectMissing, UnsafePath
from raykqi.storage.filesystem_memory import MemoryStore
from raykqi.storage.packs import blob_key, pack_key
from raykqi.storage.trees import EMPTY_HASH, Columns, Entry, Tree, decode_tree, read_tree, tree_key, write_tree
from tests.examples import examples

HELLO = blake3(b"hello").hexdigest()
PACK = pack_key(blake3(b"a pack").hexdigest())
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
modes = st.integers(0, 0o1777)
contents = st.integers(1, 2**40).map(lambda size: (size, blake3(str(size).encode()).hexdigest()))


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    folders = draw(st.lists(names, max_size=3))
    entries = {}
    for name in draw(st.lists(names, max_size=8)):
        path = "/".join([*folders[: draw(st.integers(0, len(folders)))], name])
        match draw(st.sampled_from(["file", "empty", "dir", "link"])):
            case "file":
                size, digest = draw(contents)
                entries[path] = Entry(path, "file", draw(modes), size, digest, PACK, draw(st.integers(0, 2**40)))
            case "empty":
                entries[path] = Entry(path, "file", draw(modes), 0, EMPTY_HASH)
            case "dir":
                entries[path] = Entry(path, "dir", draw(modes), 0, "")
            case _:
                target = draw(names)
                encoded = target.encode()
                entries[path] = Entry(path, "link", 0o777, len(encoded), blake3(encoded).hexdigest(), target)
    return Tree.of(entry for path, entry in entries.items() if not _below_a_file(path, entries))


def _below_a_file(path: str, entries: dict[str, Entry]) -> bool:
    parts = path.split("/")
    above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return any(entries[folder].kind != "dir" for folder in above if folder in entries)


def example() -> Tree:
    return Tree.of(
        [
            Entry("b", "file", 0o644, 5, HELLO, PACK, 7),
            Entry("a/深い/ファイル.txt", "file", 0o755, 5, HELLO, PACK, 0),
            Entry("a/link", "link", 0o777, 1, blake3(b"b").hexdigest(), "b"),
            Entry("empty", "file", 0o600, 0, EMPTY_HASH),
            Entry("big", "file", 0o644, 1 << 20, HELLO, blob_key(HELLO)),
        ]
    )


@given(trees())
def test_a_stored_tree_is_read_back_entry_by_entry(tree: Tree) -> None:
    store = MemoryStore("any")

    ref = write_tree(store, tree)

    assert list(read_tree(store, ref.hash)) == list(tree)
    assert [entry.path.encode() for entry in tree] == sorted(entry.path.encode() for entry in tree)


def test_the_hash_is_that_of_the_documented_listing() -> None:
    tree = Tree.of([Entry("é/x", "file", 0o644, 5, HELLO, PACK, 7), Entry("a", "dir", 0o1777, 0, "")])

    listing = f"raykqi-tree-1\ndir 1777 0  a\0dir 755 0  é\0file 644 5 {HELLO} é/x\0"

    assert tree.ref == TreeRef(blake3(listing.encode()).hexdigest(), size=5, files=1)


def test_packing_does_not_change_the_hash_but_everything_else_does() -> None:
    entry = Entry("x", "file", 0o644, 5, HELLO, PACK, 7)
    one = Tree.of([entry])

    assert Tree.of([entry._replace(object=blob_key(HELLO), offset=0)]).ref == one.ref
    for other in (
        entry._replace(path="y"),
        entry._replace(mode=0o600),
        entry._replace(size=6),
        entry._replace(hash=EMPTY_HASH),
    ):
        assert Tree.of([other]).ref.hash != one.ref.hash


def test_a_link_counts_with_its_target() -> None:
    def linked(target: str) -> str:
        encoded = target.encode()
        digest = blake3(encoded).hexdigest()
        return Tree.of([Entry("l", "link", 0o777, len(encoded), digest, target)]).ref.hash

    assert linked("a") != linked("b")


def test_size_and_files_are_those_of_files_alone() -> None:
    assert example().ref.size == 5 + 5 + (1 << 20)
    assert example().ref.files == 4


def test_objects_are_the_keys_of_the_store_alone() -> None:
    tree = Tree.of(
        [
            Entry("a", "file", 0o644, 5, HELLO, PACK, 7),
            Entry("b", "file", 0o644, 5, HELLO, "s3://elsewhere/b"),
            Entry("c", "link", 0o777, 1, blake3(b"b").hexdigest(), "b"),
            Entry("d", "file", 0o644, 0, EMPTY_HASH),
        ]
    )

    assert tree.objects() == {PACK}


def test_folders_above_are_added() -> None:
    assert [entry.path for entry in Tree.of([Entry("a/b/c", "file", 0o644, 5, HELLO, PACK)])] == ["a", "a/b", "a/b/c"]


def test_entries_are_found_by_path() -> None:
    found = example().get("a/深い/ファイル.txt")

    assert found == Entry("a/深い/ファイル.txt", "file", 0o755, 5, HELLO, PACK, 0)
    assert example().get("a/深") is None
    assert example().get("zzz") is None


@pytest.mark.parametrize(
    ("patterns", "paths"),
    [
        (["b"], ["b"]),
        (["a"], ["a", "a/link", "a/深い", "a/深い/ファイル.txt"]),
        (["a/"], ["a", "a/link", "a/深い", "a/深い/ファイル.txt"]),
        (["*"], ["a", "a/link", "a/深い", "a/深い/ファイル.txt", "b", "big", "empty"]),
        (["**/*.txt"], ["a/深い/ファイル.txt"]),
        (["./b?g", "[!b]mpty"], ["big", "empty"]),
        (["nothing"], []),
    ],
)
def test_globs_select_entries_and_what_is_below_them(patterns: list[str], paths: list[str]) -> None:
    assert [entry.path for entry in example().glob(patterns)] == paths


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a//b", "a/", "./a", "a/../b", "..", "a/.", "a\0b"])
def test_paths_that_could_leave_the_tree_are_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        Tree.of([Entry(path, "file", 0o644, 5, HELLO, PACK)])


@pytest.mark.parametrize("kind", ["file", "link"])
def test_nothing_lies_below_a_file_or_link(kind: str) -> None:
    above = Entry("a", "file", 0o644, 5, HELLO, PACK) if kind == "file" else Entry("a", "link", 511, 4, HELLO, "/etc")

    with pytest.raises(UnsafePath, match="'a/b'"):
        Tree.of([above, Entry("a/b", "file", 0o644, 5, HELLO, PACK)])


@pytest.mark.parametrize("key", ["../../etc/passwd", "journal/1.jsonl", "packs/00/" + HELLO, "/abs"])
def test_objects_outside_of_blobs_and_packs_are_refused(key: str) -> None:
    with pytest.raises(UnsafePath, match="neither a key"):
        Tree.of([Entry("a", "file", 0o644, 5, HELLO, key)])


@pytest.mark.parametrize(
    "entry",
    [
        Entry("a", "file", 0o4755, 5, HELLO, PACK),
        Entry("a", "file", 0o644, -1, HELLO, PACK),
        Entry("a", "file", 0o644, 5, HELLO, PACK, -1),
        Entry("a", "file", 0o644, 5, HELLO, ""),
        Entry("a", "file", 0o644, 0, HELLO, ""),
        Entry("a", "dir", 0o755, 1, ""),
        Entry("a", "socket", 0o755, 0, ""),  # type: ignore[arg-type]
    ],
)
def test_entries_that_contradict_themselves_are_refused(entry: Entry) -> None:
    with pytest.raises(InvalidInput):
        Tree.of([entry])


def test_a_path_listed_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        Tree.of([Entry("a", "dir", 0o755, 0, ""), Entry("a", "dir", 0o700, 0, "")])


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_damaged_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(Damaged, match="trees/any"):
        decode_tree(data, name="trees/any")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_in_a_parquet_shell_are_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        decode_tree(b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1", name="trees/any")


@pytest.mark.parametrize("size", [1, 100])
@settings(max_examples=examples(100))
@given(st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(size: int, data: st.DataObject) -> None:
    entries = [Entry(f"f{at:03}", "file", 0o644, 5, blake3(b"%d" % at).hexdigest(), PACK, at) for at in range(size)]
    tree = Tree.of(entries)
    encoded = bytearray(tree.encode())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= 1 << data.draw(st.integers(0, 7))
    store = MemoryStore("any")
    store.put(tree_key(tree.ref.hash), bytes(encoded))

    try:
        found = list(read_tree(store, tree.ref.hash))
    except Damaged as error:
        found = list(tree) if tree_key(tree.ref.hash) in error.message else []

    assert found == list(tree)


def test_a_listing_under_the_wrong_name_is_damaged() -> None:
    store = MemoryStore("any")
    wrong = blake3(b"other").hexdigest()
    store.put(tree_key(wrong), example().encode())

    with pytest.raises(Damaged, match=wrong):
        read_tree(store, wrong)


def test_a_parquet_file_with_unsafe_paths_is_damaged() -> None:
    columns = Columns(["../x"], ["file"], [420], [5], [HELLO], [PACK], [0])
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(Columns._fields, columns, strict=True))), sink)

    with pytest.raises(Damaged):
        decode_tree(sink.getvalue(), name="trees/any")


def test_a_missing_tree_is_missing() -> None:
    with pytest.raises(ObjectMissing):
        read_tree(MemoryStore("any"), HELLO)


def test_a_whole_tree_is_not_replaced_by_another_packing() -> None:
    store = MemoryStore("any")
    blob = blob_key(HELLO)
    first = Tree.of([Entry("x", "file", 0o644, 5, HELLO, blob, 0)])
    store.put(blob, b"hello")
    write_tree(store, first)

    write_tree(store, Tree.of([Entry("x", "file", 0o644, 5, HELLO, PACK, 7)]))

    assert read_tree(store, first.ref.hash).objects() == {blob}


@pytest.mark.parametrize("damage", ["bytes", "objects"])
def test_a_tree_that_is_damaged_or_has_lost_objects_is_replaced(damage: str) -> None:
    store = MemoryStore("any")
    broken = Tree.of([Entry("x", "file", 0o644, 5, HELLO, blob_key(HELLO), 0)])
    write_tree(store, broken)
    if damage == "bytes":
        store.put(tree_key(broken.ref.hash), b"garbage")
    store.put(PACK, b"something and hello")

    write_tree(store, Tree.of([Entry("x", "file", 0o644, 5, HELLO, PACK, 14)]))

    assert read_tree(store, broken.ref.hash).objects() == {PACK}


def test_a_tree_of_100_000_files_takes_well_under_a_second() -> None:
    digests = [blake3(b"%d" % at).hexdigest() for at in range(100_000)]
    paths = [f"f{at:06}" for at in range(100_000)]
    many = [0] * 100_000
    columns = Columns(paths, ["file"] * 100_000, [420] * 100_000, [9] * 100_000, digests, [PACK] * 100_000, many)
    store = MemoryStore("any")

    began = time.process_time()
    ref = write_tree(store, Tree(columns))
    read_tree(store, ref.hash)

    assert time.process_time() - began < 1.0
    assert store.info(tree_key(ref.hash)).size < 6_000_000
