"""Pushing: each content is stored once, unchanged files are not even read, and whatever changes meanwhile is named."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from raykqi.errors import InvalidInput, SourceChanged
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.packs import BLOB_MIN, PACK_SIZE, blob_key, pack_key
from raykqi.storage.progress import SilentProgress
from raykqi.storage.push import push_bytes, push_listing, push_tree
from raykqi.storage.scan import scan
from raykqi.storage.stat_cache import StatCache
from raykqi.storage.trees import EMPTY_HASH, Entry, Tree, read_tree, tree_key, write_tree
from tests.unit.storage.conftest import TrustingCache


def digest(data: bytes) -> str:
    return blake3(data).hexdigest()


class Watching:
    """A progress that acts when the first bytes have been read."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act: Callable[[], object] | None = act
        self.files = self.size = 0

    def start(self, label: str, files: int, size: int) -> None:
        self.total = label, files, size

    def advance(self, files: int, size: int) -> None:
        act, self._act = self._act, None
        self.files += files
        self.size += size
        if act:
            act()

    def finish(self) -> None:
        self.finished = True


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def test_small_files_share_a_pack_and_large_ones_are_blobs(store: Store, settings: Settings, tmp_path: Path) -> None:
    below, at = b"b" * (BLOB_MIN - 1), b"a" * BLOB_MIN
    source = fill(tmp_path / "source", {"1": b"one", "2": b"two", "3": below, "4": at, "5": b""})

    pushed = push_tree(store, source, settings=settings)

    pack = pack_key(digest(b"onetwo" + below))
    assert list(read_tree(store, pushed.tree.hash)) == [
        Entry("1", "file", 0o644, 3, digest(b"one"), pack, 0),
        Entry("2", "file", 0o644, 3, digest(b"two"), pack, 3),
        Entry("3", "file", 0o644, BLOB_MIN - 1, digest(below), pack, 6),
        Entry("4", "file", 0o644, BLOB_MIN, digest(at), blob_key(digest(at)), 0),
        Entry("5", "file", 0o644, 0, EMPTY_HASH, "", 0),
    ]
    assert store.get(pack) == b"onetwo" + below
    assert store.get(blob_key(digest(at))) == at
    assert pushed.reused == frozenset()
    assert pushed.written_bytes == sum(item.size for item in store.list(""))


def test_packs_are_cut_at_their_size_and_between_files(store: Store, settings: Settings, tmp_path: Path) -> None:
    size = BLOB_MIN - 1
    contents = {f"{at:02}": bytes([at]) * size for at in range(34)}

    pushed = push_tree(store, fill(tmp_path / "source", contents), settings=settings)

    first, second = (b"".join(list(contents.values())[a:b]) for a, b in ((0, 32), (32, 34)))
    assert len(first) <= PACK_SIZE < len(first) + size
    assert read_tree(store, pushed.tree.hash).objects() == {pack_key(digest(first)), pack_key(digest(second))}


def test_the_same_content_is_stored_once(store: Store, settings: Settings, tmp_path: Path) -> None:
    large = os.urandom(BLOB_MIN)
    source = fill(tmp_path / "source", {"a": b"same", "b": b"same", "c/d": b"same", "e": large, "f": large})

    pushed = push_tree(store, source, settings=settings)

    assert sorted(item.size for item in store.list("blobs")) == [BLOB_MIN]
    assert [item.size for item in store.list("packs")] == [4]
    assert pushed.tree.size == 12 + 2 * BLOB_MIN


def test_pushing_again_writes_nothing_and_tells_what_it_relies_on(
    store: Store, settings: Settings, tmp_path: Path, trusting: TrustingCache
) -> None:
    source = fill(tmp_path / "source", {"a": b"1", "b": os.urandom(BLOB_MIN), "c/d": b""})
    first = push_tree(store, source, settings=settings, stat_cache=trusting(store))

    again = push_tree(store, source, settings=settings, stat_cache=trusting(store))

    assert (again.tree, again.written_bytes) == (first.tree, 0)
    assert again.reused == read_tree(store, first.tree.hash).objects() | {tree_key(first.tree.hash)}


def test_another_source_with_the_same_files_writes_nothing(store: Store, settings: Settings, tmp_path: Path) -> None:
    contents = {f"{at:03}": b"%d" % at for at in range(100)}
    first = push_tree(store, fill(tmp_path / "one", contents), settings=settings)

    again = push_tree(store, fill(tmp_path / "two", contents), settings=settings)

    assert (again.tree, again.written_bytes) == (first.tree, 0)


def test_unchanged_files_are_not_read_again(
    store: Store, settings: Settings, tmp_path: Path, trusting: TrustingCache
) -> None:
    source = fill(tmp_path / "source", {"a": os.urandom(BLOB_MIN), "b": b"same", "c": b"old!"})
    push_tree(store, source, settings=settings, stat_cache=trusting(store))
    (source / "c").write_bytes(b"new.")
    seen = Watching(lambda: None)

    pushed = push_tree(store, source, settings=settings, stat_cache=trusting(store), progress=seen)

    assert [entry.hash for entry in read_tree(store, pushed.tree.hash)][1:] == [digest(b"same"), digest(b"new.")]
    assert store.get(pack_key(digest(b"new."))) == b"new."
    assert (seen.files, seen.size) == (3, BLOB_MIN + 8)


def test_a_file_whose_stamp_is_too_young_is_read_again(store: Store, settings: Settings, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a": b"x" * BLOB_MIN, "b": b"1234"})
    push_tree(store, source, settings=settings)
    stamp = (source / "b").stat()

    # The same size and time, as within one tick of the clock; only the cache's caution can tell.
    (source / "b").write_bytes(b"4321")
    os.utime(source / "b", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    pushed = push_tree(store, source, settings=settings)

    assert read_tree(store, pushed.tree.hash).get("b") == Entry(
        "b", "file", 0o644, 4, digest(b"4321"), pack_key(digest(b"4321")), 0
    )


def test_only_old_stamps_are_trusted(store: Store, settings: Settings, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a": b"x" * BLOB_MIN})
    young = StatCache(settings.cache_dir, store.url).of(scan(source))
    push_tree(store, source, settings=settings)
    old = StatCache(settings.cache_dir, store.url, racy_ns=-(10**10)).of(scan(source))
    assert [row[2] for row in young.files()] == [-1]

    push_tree(store, source, settings=settings, stat_cache=StatCache(settings.cache_dir, store.url, racy_ns=-(10**10)))

    assert [row[2] for row in old.files()] == [source.stat().st_dev]


def test_renaming_or_touching_a_file_does_not_send_it_again(
    store: Store, settings: Settings, tmp_path: Path, trusting: TrustingCache
) -> None:
    source = fill(tmp_path / "source", {"a": b"x" * BLOB_MIN, "b": b"first", "c": b"second"})
    push_tree(store, source, settings=settings, stat_cache=trusting(store))
    os.utime(source / "c")
    before = {item.key for item in store.list("packs")}

    push_tree(store, source, settings=settings, stat_cache=trusting(store))

    assert {item.key for item in store.list("packs")} == before


def test_objects_that_were_collected_are_sent_again(
    store: Store, settings: Settings, tmp_path: Path, trusting: TrustingCache
) -> None:
    source = fill(tmp_path / "source", {"a": b"x" * BLOB_MIN, "b": b"small"})
    pushed = push_tree(store, source, settings=settings, stat_cache=trusting(store))
    objects = read_tree(store, pushed.tree.hash).objects()
    store.delete(objects)

    again = push_tree(store, source, settings=settings, stat_cache=trusting(store))

    assert again.tree == pushed.tree
    assert all(store.exists(key) for key in objects)


def test_an_object_of_the_wrong_size_is_written_anew(store: Store, settings: Settings, tmp_path: Path) -> None:
    data = os.urandom(BLOB_MIN)
    source = fill(tmp_path / "source", {"a": data})
    store.put(blob_key(digest(data)), data[:100])

    push_tree(store, source, settings=settings)

    assert store.get(blob_key(digest(data))) == data


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_cache_is_ignored_and_made_anew(
    store: Store, settings: Settings, tmp_path: Path, trusting: TrustingCache, damage: bytes | None
) -> None:
    source = fill(tmp_path / "source", {"a": b"x" * BLOB_MIN, "b": b"small"})
    first = push_tree(store, source, settings=settings, stat_cache=trusting(store))
    for file in (file for file in (settings.cache_dir / "stat").rglob("*") if file.is_file()):
        file.write_bytes(file.read_bytes()[:-7] if damage is None else damage)

    again = push_tree(store, source, settings=settings, stat_cache=trusting(store))
    third = push_tree(store, source, settings=settings, stat_cache=trusting(store))

    assert again.tree == third.tree == first.tree
    assert third.written_bytes == 0


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(store: Store, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    source = fill(tmp_path / "source", {"a": b"x" * BLOB_MIN})

    assert push_tree(store, source, settings=Settings(cache_dir=tmp_path / "cache")).tree.files == 1


def test_what_an_interrupted_push_had_sent_is_not_sent_again(settings: Settings, tmp_path: Path) -> None:
    size = BLOB_MIN - 1
    source = fill(tmp_path / "source", {f"{at:02}": bytes([at]) * size for at in range(70)})
    store = open_store(str(tmp_path / "store"), settings)

    class Interrupting(SilentProgress):
        def advance(self, files: int, size: int) -> None:
            if files and size and list(store.list("packs")):
                raise KeyboardInterrupt

    threads = threading.active_count()
    one_by_one = Settings(cache_dir=settings.cache_dir, transfer_threads=1)
    with pytest.raises(KeyboardInterrupt):
        push_tree(store, source, settings=one_by_one, progress=Interrupting())
    sent = {item.key: item.modified for item in store.list("packs")}
    assert not list(store.list("trees"))

    pushed = push_tree(store, source, settings=settings)

    assert sent.items() <= {item.key: item.modified for item in store.list("packs")}.items()
    assert set(sent) <= pushed.reused
    assert threading.active_count() == threads
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


@pytest.mark.parametrize("size", [10, 20 << 20])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "its size went from"),
        (lambda path: os.utime(path, ns=(1, 1)), "it was written to"),
        (lambda path: path.unlink(), "vanished"),
    ],
)
def test_a_file_that_changes_during_the_push_is_named(
    store: Store, settings: Settings, tmp_path: Path, size: int, change: Callable[[Path], object], said: str
) -> None:
    source = fill(tmp_path / "source", {"a": b"x" * (2 << 20), "z/changing": b"y" * size})
    changing = source / "z" / "changing"
    one_by_one = Settings(cache_dir=settings.cache_dir, transfer_threads=1)

    with pytest.raises(SourceChanged, match=f"z/changing.*{said}"):
        push_tree(store, source, settings=one_by_one, progress=Watching(lambda: change(changing)))

    assert list(store.list("trees")) == []


def test_a_large_file_that_changes_between_hashing_and_sending_never_becomes_visible(
    settings: Settings, tmp_path: Path
) -> None:
    source = fill(tmp_path / "source", {"a": b"x" * (40 << 20)})
    stamp = (source / "a").stat()
    store = open_store(str(tmp_path / "store"), settings)

    def change() -> None:
        with (source / "a").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"!")
        os.utime(source / "a", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    with pytest.raises(SourceChanged, match="its bytes are others"):
        push_tree(store, source, settings=settings, progress=Watching(change))

    assert list(store.list("")) == []


def test_a_file_replaced_by_a_link_during_the_push_is_not_followed(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"0123456789")
    source = fill(tmp_path / "source", {"a": b"x" * (2 << 20), "b": b"0123456789"})

    def swap() -> None:
        (source / "b").unlink()
        (source / "b").symlink_to(tmp_path / "secret")

    with pytest.raises(SourceChanged, match=r"b changed .*another"):
        push_tree(
            store,
            source,
            settings=Settings(cache_dir=settings.cache_dir, transfer_threads=1),
            progress=Watching(swap),
        )


def test_the_workspace_inside_of_the_source_is_left_out(settings: Settings, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a": b"1"})
    store = open_store(str(source / ".raykqi"), settings)
    store.put("workspace.json", b"{}")

    pushed = push_tree(store, source, settings=settings)

    assert [entry.path for entry in read_tree(store, pushed.tree.hash)] == ["a"]
    assert pushed.skipped == (".raykqi",)
    with pytest.raises(InvalidInput, match="the workspace itself"):
        push_tree(store, source / ".raykqi", settings=settings)


def test_one_file_and_an_empty_folder_are_trees_too(store: Store, settings: Settings, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"モデル.onnx": b"weights"})
    (tmp_path / "empty").mkdir()

    one = push_tree(store, source / "モデル.onnx", settings=settings)
    none = push_tree(store, tmp_path / "empty", settings=settings)

    assert [entry.path for entry in read_tree(store, one.tree.hash)] == ["モデル.onnx"]
    assert list(read_tree(store, none.tree.hash)) == []


def test_bytes_in_memory_make_the_same_tree_as_files(store: Store, settings: Settings, tmp_path: Path) -> None:
    contents = {"a/b": b"1", "c": b"2" * BLOB_MIN, "d": b"", "e": b"1"}
    source = fill(tmp_path / "source", contents)

    from_files = push_tree(store, source, settings=settings)
    from_memory = push_bytes(store, contents)

    assert from_memory.tree == from_files.tree
    assert from_memory.written_bytes == 0
    assert from_memory.reused == from_files.reused | read_tree(store, from_files.tree.hash).objects() | {
        tree_key(from_files.tree.hash)
    }


def test_a_listing_relies_on_the_objects_of_the_tree_that_is_there(store: Store) -> None:
    key = blob_key(digest(b"hello"))
    store.put(key, b"hello")
    stored = Tree.of([Entry("x", "file", 0o644, 5, digest(b"hello"), key)])
    write_tree(store, stored)

    pushed = push_listing(store, Tree.of([Entry("x", "file", 0o644, 5, digest(b"hello"), "s3://there/x")]))

    assert pushed.reused == {key, tree_key(stored.ref.hash)}


def test_progress_adds_up_to_everything(store: Store, settings: Settings, tmp_path: Path) -> None:
    seen = Watching(lambda: None)
    source = fill(tmp_path / "source", {"a": b"1", "b": b"2" * BLOB_MIN, "c": b"3" * (17 << 20)})

    push_tree(store, source, settings=settings, progress=seen)

    assert (seen.files, seen.size, seen.finished) == (3, 1 + BLOB_MIN + (17 << 20), True)
