"""The node cache: a remote object is fetched once, never believed blindly, and never beyond the limit."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from blake3 import blake3

from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.materialise import materialise
from raykqi.storage.node_cache import NodeCache
from raykqi.storage.packs import blob_key
from raykqi.storage.push import push_bytes
from raykqi.storage.trees import read_tree


def remote(settings: Settings) -> Store:
    return open_store(f"memory://{uuid.uuid4()}", settings)


def put(store: Store, data: bytes) -> str:
    key = blob_key(blake3(data).hexdigest())
    store.put(key, data)
    return key


def kept(cache: NodeCache, key: str) -> bytes | None:
    file = cache.open(key)
    if file is None:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read()


def test_an_object_is_kept_and_read_without_the_store(tmp_path: Path, settings: Settings) -> None:
    store, cache = remote(settings), NodeCache(tmp_path, 1000)
    key = put(store, b"content")

    cache.take(store, key, 7)
    store.delete([key])

    assert kept(cache, key) == b"content"


def test_the_longest_unused_objects_make_room(tmp_path: Path, settings: Settings) -> None:
    store, cache = remote(settings), NodeCache(tmp_path, 1000)
    keys = [put(store, bytes([at]) * 240) for at in range(5)]
    for age, key in enumerate(keys[:4]):
        cache.take(store, key, 240)
        path = next(tmp_path.rglob(key.rpartition("/")[2]))
        os.utime(path, (age, age))
    assert kept(cache, keys[0]) is not None  # now the youngest

    cache.take(store, keys[4], 240)

    assert [kept(cache, key) is not None for key in keys] == [True, False, True, True, True]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1000


def test_the_limit_holds_for_what_other_processes_left(tmp_path: Path, settings: Settings) -> None:
    store = remote(settings)
    for at in range(4):
        NodeCache(tmp_path, 10_000).take(store, put(store, bytes([at]) * 240), 240)

    NodeCache(tmp_path, 1000).take(store, put(store, b"n" * 240), 240)

    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1000


def test_an_object_that_would_fill_the_cache_is_not_kept(tmp_path: Path, settings: Settings) -> None:
    store, cache = remote(settings), NodeCache(tmp_path, 1000)
    key = put(store, b"x" * 300)

    cache.take(store, key, 300)

    assert kept(cache, key) is None


def test_an_object_that_is_not_what_its_name_says_is_not_kept(tmp_path: Path, settings: Settings) -> None:
    store, cache = remote(settings), NodeCache(tmp_path, 1000)
    key = blob_key(blake3(b"right").hexdigest())
    store.put(key, b"wrong")

    cache.take(store, key, 5)

    assert kept(cache, key) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "objects").write_text("a file")
    store, cache = remote(settings), NodeCache(tmp_path, 1000)

    cache.take(store, put(store, b"content"), 7)


def test_a_second_pull_needs_only_the_cache(tmp_path: Path, settings: Settings) -> None:
    store = remote(settings)
    contents = {"small": b"1" * 1000, "large": os.urandom(20 << 20)}
    tree = read_tree(store, push_bytes(store, contents).tree.hash)
    materialise(store, tree, tmp_path / "one", settings=settings)
    store.delete(tree.objects())

    materialise(store, tree, tmp_path / "two", settings=settings)

    assert {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()} == contents


def test_kept_objects_that_decayed_are_fetched_again(tmp_path: Path, settings: Settings) -> None:
    store = remote(settings)
    contents = {"small": b"1" * 1000, "large": os.urandom(20 << 20)}
    tree = read_tree(store, push_bytes(store, contents).tree.hash)
    materialise(store, tree, tmp_path / "one", settings=settings)
    for path in (settings.cache_dir / "objects").rglob("*"):
        if path.is_file():
            path.write_bytes(b"?" + path.read_bytes()[1:])

    materialise(store, tree, tmp_path / "two", settings=settings)

    assert {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()} == contents
