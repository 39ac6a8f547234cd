"""A collection that was killed between announcing, deleting and saying so never costs anybody their data."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from raykqi.domain.data import Data
from raykqi.domain.events import ObjectsCondemned
from raykqi.engine.commands import Condemn
from raykqi.errors import Conflict
from raykqi.journal.processes import Process, this_process
from raykqi.maintenance.turn import turn_to_collect
from raykqi.storage.filesystem_local import LocalStore
from raykqi.storage.trees import read_tree, tree_key
from raykqi.workspace import Workspace
from tests.integration.lab import Lab, Opened, check

CONTENT = {"a.txt": b"alpha", "big.bin": b"\x5a" * (1 << 20)}


@pytest.fixture
def source(lab: Lab) -> Path:
    return lab.files("photos", CONTENT)


def announce(opened: Opened, tree: str) -> tuple[str, ...]:
    """What a collection does first; here it is killed afterwards."""
    store = opened.parts.store
    objects = (tree_key(tree), *sorted(read_tree(store, tree).objects()))
    (event,) = opened.parts.controller.submit(Condemn("gc", objects))
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


class PausingStore(LocalStore):
    """Stops before it deletes objects of trees, packs and blobs, until it is told to go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_about_to_delete = threading.Event()
        self.may_go_on = threading.Event()

    def delete(self, keys: Iterable[str]) -> None:
        doomed = list(keys)
        if any(key.startswith("trees/") for key in doomed):
            self.is_about_to_delete.set()
            self.may_go_on.wait(60)
        super().delete(doomed)


def test_p1_a_slow_collection_deletes_nothing_that_was_pushed_after_another_one_ended_it(
    lab: Lab, source: Path
) -> None:
    opened, other = lab.open(), lab.open()
    store = PausingStore(lab.root)
    slow = Workspace(opened.parts._replace(store=store), lab.settings)
    opened.ws.remove(opened.ws.push(source).id, "a mistake")
    with ThreadPoolExecutor(2) as threads:
        collecting = threads.submit(slow.gc, grace_seconds=0)
        store.is_about_to_delete.wait(60)
        with suppress(Conflict):
            other.ws.gc(grace_seconds=0)
        pushing = threads.submit(other.ws.push, source)
        wait([pushing], timeout=1.0)  # it may wait for the collection, and need not
        store.may_go_on.set()
        collecting.result()
        pushed = pushing.result()

    assert {path: b"".join(other.ws.cat(pushed.id, path)) for path in CONTENT} == CONTENT
    check(other, deep=True)


@pytest.mark.parametrize("kind", ["folder", "memory", "moto"])
def test_a_second_collection_is_refused_while_the_first_one_runs(
    make_lab: Callable[..., Lab], request: pytest.FixtureRequest, kind: str
) -> None:
    name = uuid.uuid4().hex
    if kind == "moto":
        server = request.getfixturevalue("moto")
        lab = make_lab(url=server.url(name), s3_endpoint=server.endpoint)
    else:
        lab = make_lab(url="" if kind == "folder" else f"memory://{name}")
    opened = lab.open()

    with turn_to_collect(opened.parts.store, "alice"), pytest.raises(Conflict) as failure:
        opened.ws.gc(grace_seconds=0)

    assert failure.value.hint
    assert opened.ws.gc(grace_seconds=0).objects == ()
    lab.close()


def test_a_collector_that_died_elsewhere_than_in_a_folder_is_overruled(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(url=f"memory://{uuid.uuid4().hex}")
    opened = lab.open()
    dead = Process(**{**msgspec.structs.asdict(this_process()), "start": "1"})
    opened.parts.store.put("gc.json", msgspec.json.encode({"nonce": "n", "user": "bob", "process": dead}))

    assert opened.ws.gc(grace_seconds=0).objects == ()
    assert not opened.parts.store.exists("gc.json")
