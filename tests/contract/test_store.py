"""What every store does with single objects: bytes, ranges, keys, exclusive creation."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raykqi.errors import InvalidInput, ObjectExists, ObjectMissing, UnsafePath
from raykqi.storage.filesystem import Store

THREADS = 32
DIGITS = b"0123456789"

KEYS = [
    "plain",
    "a/b/c.txt",
    "写真/二〇二六年 秋/紅葉 1枚目.png",
    "ハ\u309aンタ/が",
    "か\u3099",
    "100% sure+certain #1?x=1&y=2;z,[a]{b}.bin",
    "%2F/%41%20",
    "quotes'\"`/<tag>/$HOME/~/*",
    "back\\slash",
    "...dots/..two/.one",
    " blank /  in front",
    "emoji/🎈🎈",
    "a" * 200 + "/" + "長" * 70,
]
NOT_KEYS = ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\0b", "a\nb", "\x7f", "\udcff"]


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000], ids=["empty", "one", "1.2 MiB"])
def test_what_is_put_is_read(store: Store, data: bytes) -> None:
    store.put("a/b", data)

    assert store.get("a/b") == data
    assert b"".join(store.read("a/b")) == data
    assert store.info("a/b")[:2] == ("a/b", len(data))
    assert store.exists("a/b")


def test_put_replaces(store: Store) -> None:
    store.put("a/b", b"a longer one")
    store.put("a/b", b"new")

    assert store.get("a/b") == b"new"
    assert store.info("a/b").size == 3


def test_objects_are_dated(store: Store) -> None:
    store.put("a", b"1")

    assert abs(store.info("a").modified - time.time()) < 60


def test_keys_in_any_language_are_kept_as_they_are(store: Store) -> None:
    for number, key in enumerate(KEYS):
        store.put(key, b"%d" % number)

    assert {key: store.get(key) for key in KEYS} == {key: b"%d" % number for number, key in enumerate(KEYS)}
    assert [found.key for found in store.list("")] == sorted(KEYS)
    assert all(store.touch(key) for key in KEYS)
    store.delete(KEYS)
    assert [key for key in KEYS if store.exists(key)] == []


@pytest.mark.parametrize("key", NOT_KEYS, ids=repr)
def test_what_is_no_key_is_refused_everywhere(store: Store, key: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    source = tmp_path_factory.mktemp("source") / "file"
    source.write_bytes(b"x")
    uses: list[Callable[[], object]] = [
        lambda: store.get(key),
        lambda: store.put(key, b"x"),
        lambda: store.create(key, b"x"),
        lambda: store.put_file(key, source),
        lambda: store.put_stream(key, [b"x"]),
        lambda: list(store.read(key)),
        lambda: store.info(key),
        lambda: store.exists(key),
        lambda: store.delete([key]),
        lambda: store.touch(key),
        lambda: store.local_path(key),
    ]

    for use in uses:
        with pytest.raises(UnsafePath, match="is not a storage key"):
            use()
    assert list(store.list("")) == []


def test_what_is_not_there_is_missing(store: Store) -> None:
    store.put("a/b", b"x")

    for key in ["c", "a/c", "c/d"]:
        with pytest.raises(ObjectMissing, match=f"{key} is not there"):
            store.get(key)
        with pytest.raises(ObjectMissing, match=f"{key} is not there"):
            store.get(key, 0, 0)
        with pytest.raises(ObjectMissing, match=f"{key} is not there"):
            store.info(key)
        assert not store.exists(key)
        assert not store.touch(key)


def test_a_folder_is_no_object(store: Store) -> None:
    store.put("a/b", b"x")

    with pytest.raises(ObjectMissing):
        store.get("a")
    with pytest.raises(ObjectMissing):
        store.info("a")
    assert not store.exists("a")
    assert not store.touch("a")


def test_reading_what_is_missing_fails_at_the_first_chunk(store: Store) -> None:
    chunks = store.read("missing")

    with pytest.raises(ObjectMissing):
        next(chunks)


@pytest.mark.parametrize(
    ("start", "end", "bytes_"),
    [
        (0, None, DIGITS),
        (0, 10, DIGITS),
        (0, 1, b"0"),
        (3, 7, b"3456"),
        (9, 10, b"9"),
        (4, None, b"456789"),
        (4, 4, b""),
        (0, 0, b""),
        (0, 99, DIGITS),
        (8, 99, b"89"),
        (10, None, b""),
        (10, 99, b""),
        (50, 99, b""),
        (50, None, b""),
    ],
)
def test_ranges_end_with_the_object(store: Store, start: int, end: int | None, bytes_: bytes) -> None:
    store.put("a", DIGITS)

    assert store.get("a", start, end) == bytes_
    assert b"".join(store.read("a", start, end)) == bytes_
    assert b"".join(store.read("a", start, end, chunk=3)) == bytes_


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 5), (3, 5), (3, None), (0, 0)])
def test_every_range_of_nothing_is_nothing(store: Store, start: int, end: int | None) -> None:
    store.put("a", b"")

    assert store.get("a", start, end) == b""
    assert list(store.read("a", start, end)) == []


@pytest.mark.parametrize(("start", "end"), [(-1, None), (-5, 3), (3, 2)])
def test_what_is_no_range_is_refused(store: Store, start: int, end: int) -> None:
    store.put("a", DIGITS)

    with pytest.raises(InvalidInput, match=f"bytes {start} to {end} are not a range"):
        store.get("a", start, end)
    with pytest.raises(InvalidInput, match=f"bytes {start} to {end} are not a range"):
        list(store.read("a", start, end))


def test_chunks_have_the_size_asked_for(store: Store) -> None:
    store.put("a", DIGITS)

    assert list(store.read("a", 1, None, chunk=4)) == [b"1234", b"5678", b"9"]


def test_create_writes_once(store: Store) -> None:
    store.create("a/b", b"first")

    with pytest.raises(ObjectExists, match="a/b already exists with other bytes"):
        store.create("a/b", b"second")
    with pytest.raises(ObjectExists):
        store.create("a/b", b"")
    assert store.get("a/b") == b"first"


def test_creating_the_same_bytes_again_is_a_success(store: Store) -> None:
    store.create("a/b", b"same")
    store.create("a/b", b"same")
    store.create("empty", b"")
    store.create("empty", b"")

    assert (store.get("a/b"), store.get("empty")) == (b"same", b"")


def test_of_many_creators_one_wins(store: Store) -> None:
    if not store.creates_exclusively:
        pytest.skip("this server overwrites: the journal holds a lease instead")

    for turn in range(5):
        answers = at_once(lambda n: store.create(f"race/{turn}", b"%d" % n))  # noqa: B023 - done within the turn

        winners = [n for n, error in enumerate(answers) if error is None]
        assert len(winners) == 1
        assert {type(error) for error in answers if error is not None} == {ObjectExists}
        assert store.get(f"race/{turn}") == b"%d" % winners[0]


def test_creators_of_the_same_bytes_all_win(store: Store) -> None:
    if not store.creates_exclusively:
        pytest.skip("of several writers of one object rclone shows each what the others have half done")

    answers = at_once(lambda _: store.create("race", b"same"))

    assert answers == [None] * THREADS
    assert store.get("race") == b"same"


def test_many_threads_use_one_store(store: Store) -> None:
    def use(n: int) -> None:
        store.put(f"many/{n}", b"%d" % n * 1000)
        assert store.get(f"many/{n}") == b"%d" % n * 1000
        store.delete([f"many/{n}"])
        assert not store.exists(f"many/{n}")

    assert at_once(use) == [None] * THREADS
    assert list(store.list("")) == []


def test_readers_see_the_old_or_the_new(store: Store) -> None:
    if not store.creates_exclusively:
        pytest.skip("rclone's server takes an object away before it puts another in its place")
    old, new = b"o" * 300_000, b"n" * 300_000
    store.put("a", old)
    done = threading.Event()

    def read() -> set[bytes]:
        seen = set()
        while not done.is_set():
            seen.add(store.get("a"))
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for _ in range(10):
            store.put("a", new)
            store.put("a", old)
        done.set()
        assert set().union(*(reader.result() for reader in readers)) <= {old, new}


def test_deleting_is_final_and_may_be_repeated(store: Store) -> None:
    for key in ["a/1", "a/2", "b"]:
        store.put(key, b"x")

    store.delete(key for key in ["a/1", "never there", "b", "a/1"])
    store.delete(["a/1"])
    store.delete([])

    assert [found.key for found in store.list("")] == ["a/2"]


def test_touching_makes_young_and_changes_nothing(store: Store) -> None:
    store.put("a/b", b"bytes")
    before = store.info("a/b").modified
    give_up = time.monotonic() + 10

    # Some clocks of storage tick once a second.
    while store.touch("a/b") and store.info("a/b").modified <= before and time.monotonic() < give_up:
        pass

    assert before < store.info("a/b").modified < time.time() + 60
    assert store.get("a/b") == b"bytes"


def test_stores_of_one_place_share_their_objects(store: Store) -> None:
    store.put("a", b"x")
    store.sweep_leftovers()
    store.close()
    store.close()

    assert store.get("a") == b"x"


def at_once(act: Callable[[int], None]) -> list[Exception | None]:
    """What each of the threads raised; all begin together."""
    ready = threading.Barrier(THREADS)

    def attempt(n: int) -> Exception | None:
        ready.wait()
        try:
            act(n)
        except Exception as error:
            return error
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(attempt, range(THREADS)))


def test_a_file_that_is_adopted_is_the_object_and_what_is_shared_is_not_touched(store: Store, tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(DIGITS)
    (tmp_path / "shared").write_bytes(DIGITS)
    os.link(tmp_path / "shared", tmp_path / "again")
    os.utime(tmp_path / "own", (1, 1))

    adopted = store.adopt("blobs/own", tmp_path / "own")

    assert adopted == (store.local_path("a") is not None)
    assert not store.adopt("blobs/shared", tmp_path / "shared")
    assert [found.key for found in store.list("")] == ["blobs/own"] * adopted
    if adopted:
        (tmp_path / "own").unlink()
        assert store.get("blobs/own") == DIGITS
        assert abs(store.info("blobs/own").modified - time.time()) < 60
        assert not store.sweep_leftovers()
