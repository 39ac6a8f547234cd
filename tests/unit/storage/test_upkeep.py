"""Garbage and verification: nothing that is needed is collected, and everything that is lost is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raykqi.errors import Damaged, ObjectMissing
from raykqi.storage.filesystem import Store
from raykqi.storage.garbage import unreferenced
from raykqi.storage.packs import BLOB_MIN
from raykqi.storage.push import push_bytes
from raykqi.storage.trees import read_tree, tree_key
from raykqi.storage.verify import Fault, verify_tree

LATER = 4e9  # long after any test


def test_objects_of_live_trees_are_kept_and_trees_go_first(store: Store) -> None:
    live = push_bytes(store, {"a": b"shared", "b": b"1" * BLOB_MIN}).tree.hash
    dead = push_bytes(store, {"a": b"dead", "c": b"2" * BLOB_MIN}).tree.hash
    store.put("journal/1.jsonl", b"{}")

    garbage = [item.key for item in unreferenced(store, [live], now=LATER, grace_seconds=60)]

    assert set(garbage) == read_tree(store, dead).objects() | {tree_key(dead)}
    assert garbage[0] == tree_key(dead)


def test_young_objects_are_left_alone(store: Store) -> None:
    push_bytes(store, {"a": b"1"})
    youngest = max(item.modified for item in store.list(""))

    assert unreferenced(store, [], now=youngest + 59, grace_seconds=60) == []
    assert len(unreferenced(store, [], now=youngest + 61, grace_seconds=60)) == 2


def test_what_was_set_aside_is_collected_once_its_object_is_back(store: Store) -> None:
    live = push_bytes(store, {"a": b"healed", "b": b"1" * BLOB_MIN}).tree.hash
    healed, lost = sorted(read_tree(store, live).objects())
    for key in (healed, lost, tree_key(live)):
        store.put(f"damaged/{key}", b"bad bytes")
    store.delete([lost])
    youngest = max(item.modified for item in store.list("damaged"))

    assert unreferenced(store, [live], now=youngest + 59, grace_seconds=60) == []
    garbage = [item.key for item in unreferenced(store, [live], now=LATER, grace_seconds=60)]

    assert garbage == [f"damaged/{tree_key(live)}", f"damaged/{healed}"]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_live_tree_that_cannot_be_read_stops_the_collection(store: Store, damage: str) -> None:
    live = push_bytes(store, {"a": b"1"}).tree.hash
    push_bytes(store, {"b": b"2"})
    if damage == "missing":
        store.delete([tree_key(live)])
    else:
        store.put(tree_key(live), b"garbage")

    with pytest.raises((Damaged, ObjectMissing), match=live):
        unreferenced(store, [live], now=LATER, grace_seconds=0)


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_tree_has_no_faults(store: Store, deep: bool) -> None:
    tree = push_bytes(store, {"a": b"1", "b": b"2" * BLOB_MIN, "c": b""}).tree.hash

    assert verify_tree(store, tree, deep=deep) == []


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("size", [10, BLOB_MIN])
def test_missing_and_truncated_objects_are_named_with_their_files(store: Store, size: int, deep: bool) -> None:
    pushed = push_bytes(store, {"a": b"x" * size, "b/same": b"x" * size})
    (key,) = read_tree(store, pushed.tree.hash).objects()

    store.put(key, b"short")
    assert verify_tree(store, pushed.tree.hash, deep=deep) == [
        Fault(key, f"it has 5 bytes where {size} were stored", ("a", "b/same"))
    ]
    store.delete([key])
    assert verify_tree(store, pushed.tree.hash, deep=deep) == [Fault(key, "missing", ("a", "b/same"))]


def test_flipped_bytes_are_found_by_the_deep_check_alone(store: Store) -> None:
    pushed = push_bytes(store, {"a": b"aaaa", "b": b"bbbb", "c": b"cccc"})
    (key,) = read_tree(store, pushed.tree.hash).objects()
    store.put(key, b"aaaabXbbcccc")

    assert verify_tree(store, pushed.tree.hash, deep=False) == []
    assert verify_tree(store, pushed.tree.hash, deep=True) == [Fault(key, "its bytes are not what was stored", ("b",))]


def test_a_tree_that_is_lost_or_unreadable_is_a_fault_itself(store: Store) -> None:
    tree = push_bytes(store, {"a": b"1"}).tree.hash

    store.put(tree_key(tree), b"garbage")
    (unreadable,) = verify_tree(store, tree, deep=False)
    store.delete([tree_key(tree)])
    (missing,) = verify_tree(store, tree, deep=False)

    assert (unreadable.object, missing.object) == (tree_key(tree), tree_key(tree))
    assert "unreadable" in unreadable.what
    assert missing.what == "the tree is missing"


def test_a_listing_of_the_caller_is_taken_for_the_store(store: Store) -> None:
    tree = push_bytes(store, {"a": b"1234"}).tree.hash
    (key,) = read_tree(store, tree).objects()

    assert verify_tree(store, tree, deep=False, known={key: 4}) == []
    assert verify_tree(store, tree, deep=False, known={}) == [Fault(key, "missing", ("a",))]


def test_sound_objects_are_read_once_and_damaged_ones_named_for_each_tree(store: Store) -> None:
    one = push_bytes(store, {"a": b"x" * BLOB_MIN, "b": b"1"}).tree.hash
    two = push_bytes(store, {"a": b"x" * BLOB_MIN, "b": b"2"}).tree.hash
    seen: set[str] = set()

    assert verify_tree(store, one, deep=True, seen=seen) == []
    assert seen == read_tree(store, one).objects()
    (shared,) = read_tree(store, one).objects() & read_tree(store, two).objects()
    store.put(shared, b"y" * BLOB_MIN)

    assert verify_tree(store, two, deep=True, seen=seen) == []
    assert [fault.object for fault in verify_tree(store, two, deep=True, seen=set())] == [shared]
    assert [fault.object for fault in verify_tree(store, one, deep=True, seen=set())] == [shared]


def test_leftovers_of_dead_writers_are_no_objects(store: Store, tmp_path: Path) -> None:
    push_bytes(store, {"a": b"1"})
    folder = store.local_path("tmp")
    if folder is not None:
        (folder / "leftover").write_bytes(os.urandom(10))

    assert all(not item.key.startswith("tmp/") for item in unreferenced(store, [], now=LATER, grace_seconds=0))
