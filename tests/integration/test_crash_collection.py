"""A collection that was killed between announcing, deleting and saying so never costs anybody their data."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from raykqi.domain.data import Data
from raykqi.domain.events import ObjectsCondemned
from raykqi.engine.commands import Condemn
from raykqi.storage.trees import read_tree, tree_key
from tests.integration.lab import Lab, Opened, check

CONTENT = {"a.txt": b"alpha", "big.bin": b"\x5a" * (1 << 20)}


@pytest.fixture
def source(lab: Lab) -> Path:
    return lab.files("photos", CONTENT)


def announce(opened: Opened, tree: str) -> tuple[str, ...]:
    """What a collection does first; here it is killed afterwards."""
    store, keeper = opened.parts.store, opened.parts.keeper
    objects = (tree_key(tree), *sorted(read_tree(store, tree).objects()))
    (event,) = opened.parts.controller.submit(Condemn("gc", objects, keeper.position.data))
    assert isinstance(event, ObjectsCondemned)
    return objects


def push_and_collect(opened: Opened, source: Path) -> Data:
    """A push of the announced content, and the collection that ends the interrupted one, in whichever order."""
    pushed: list[Data] = []
    pushing = threading.Thread(target=lambda: pushed.append(opened.ws.push(source)))
    pushing.start()
    pushing.join(1.0)  # it may wait for the collection, and need not
    opened.ws.gc(grace_seconds=0)
    pushing.join()
    return pushed[0]


@pytest.mark.parametrize("deleted", ["nothing", "the tree", "everything"])
def test_p1_content_of_an_interrupted_collection_can_be_pushed_again(lab: Lab, source: Path, deleted: str) -> None:
    opened = lab.open()
    first = opened.ws.push(source)
    opened.ws.remove(first.id, "a mistake")
    objects = announce(opened, first.tree.hash)
    opened.parts.store.delete({"nothing": [], "the tree": objects[:1], "everything": objects}[deleted])
    opened = lab.reopen()

    second = push_and_collect(opened, source)

    assert {path: b"".join(opened.ws.cat(second.id, path)) for path in CONTENT} == CONTENT
    check(opened, deep=True)


def test_p1_a_second_collection_leaves_alone_what_came_after_the_first(lab: Lab, source: Path) -> None:
    opened, other = lab.open(), lab.open()
    first = opened.ws.push(source)
    opened.ws.remove(first.id, "a mistake")
    objects = announce(opened, first.tree.hash)
    opened.parts.store.delete(objects)

    other.ws.gc(grace_seconds=0)
    second = other.ws.push(source)

    assert {path: b"".join(other.ws.cat(second.id, path)) for path in CONTENT} == CONTENT
    check(other, deep=True)
