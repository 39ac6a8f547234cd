"""What every store lists: all objects of a folder, by key, a page at a time, and nothing that is unfinished."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from raykqi.errors import UnsafePath
from raykqi.storage.filesystem import Store

# By UTF-8 bytes, as S3 sorts: a folder with its slash, capitals first, Japanese behind Latin.
SORTED = ["B/x", "a", "a-b/x", "a.b", "a/b", "a0", "ab/c/d", "ab/c/e", "é", "日本/写真/1", "日本/写真/２", "🎈"]
MANY = 1005  # S3 answers with 1,000 keys at most


@pytest.fixture
def filled(store: Store) -> Store:
    # A folder of the local file system cannot bear the name of a file beside it.
    for key in reversed(keys_for(store)):
        store.put(key, b"x" * len(key))
    return store


def keys_for(store: Store) -> list[str]:
    return [key for key in SORTED if key != "a"] if is_folder(store) else SORTED


def is_folder(store: Store) -> bool:
    return store.local_path("a") is not None or (store.url.startswith("s3:") and not store.creates_exclusively)


def keys(store: Store, prefix: str = "", after: str = "") -> list[str]:
    return [found.key for found in store.list(prefix, after=after)]


def test_everything_is_listed_by_key(filled: Store) -> None:
    assert keys(filled) == keys_for(filled)


def test_listed_objects_have_size_and_date(filled: Store) -> None:
    listed = {found.key: found for found in filled.list("")}

    assert {key: found.size for key, found in listed.items()} == {key: len(key) for key in keys_for(filled)}
    assert all(abs(found.modified - filled.info(key).modified) < 2 for key, found in listed.items())


def test_a_prefix_is_a_folder(filled: Store) -> None:
    assert keys(filled, "a") == keys(filled, "a/") == ["a/b"]
    assert keys(filled, "ab") == keys(filled, "ab/c") == ["ab/c/d", "ab/c/e"]
    assert keys(filled, "日本") == keys(filled, "日本/写真/") == ["日本/写真/1", "日本/写真/２"]
    for prefix in ["日", "nothing", "a0", "a/b/c", "é"]:
        assert keys(filled, prefix) == []


def test_a_listing_goes_on_behind_any_key(filled: Store) -> None:
    behind = [*SORTED, "A", "a/", "a/a", "a/b/c", "ab", "ab/c/dd", "ab/d", "日本/写真/", "\U0010ffff"]

    found = {after: keys(filled, after=after) for after in behind}

    assert found == {after: [key for key in keys_for(filled) if key > after] for after in behind}


def test_a_listing_of_a_folder_goes_on_behind_any_key(filled: Store) -> None:
    assert keys(filled, "ab", after="ab/c/d") == ["ab/c/e"]
    assert keys(filled, "ab", after="ab/c/e") == []
    assert keys(filled, "ab", after="a") == ["ab/c/d", "ab/c/e"]
    assert keys(filled, "ab", after="b") == []
    assert keys(filled, "日本/写真", after="日本/写真/1") == ["日本/写真/２"]


def test_unfinished_writes_are_never_listed(store: Store) -> None:
    seen = []

    def parts() -> list[bytes]:
        seen.extend(keys(store) + keys(store, "tmp") + keys(store, "a"))
        return [b"x"]

    store.put("tmp/left behind", b"x")
    store.put_stream("a/b", (part for _ in range(3) for part in parts()))

    assert seen == []
    assert keys(store) == ["a/b"]
    assert keys(store, "tmp") == []
    assert keys(store, "tmp/") == []
    store.delete(["tmp/left behind"])


@pytest.mark.parametrize("prefix", ["/", "/a", "..", "a//b", "a/../b", "a\n"])
def test_what_is_no_folder_is_refused(store: Store, prefix: str) -> None:
    with pytest.raises(UnsafePath, match="is not a storage key"):
        list(store.list(prefix))


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert keys(store) == []
    assert keys(store, "a") == []
    assert keys(store, after="a") == []


def test_more_than_a_page_is_listed_and_deleted(store: Store) -> None:
    names = [f"many/{number:04}" for number in range(MANY)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), names))

    assert keys(store, "many") == names
    assert keys(store, after="many/0003") == names[4:]
    assert keys(store, after="many/1002") == names[1003:]
    assert [found.key for found in islice(store.list("many"), 3)] == names[:3]
    store.delete(reversed(names[2:]))
    assert keys(store, "many") == names[:2]
