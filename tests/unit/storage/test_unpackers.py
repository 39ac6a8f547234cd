"""Processes that write files: as good as doing it oneself, and dispensable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from blake3 import blake3

from raykqi.errors import Damaged
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.materialise import materialise
from raykqi.storage.push import push_bytes
from raykqi.storage.trees import Tree, read_tree
from raykqi.storage.unpackers import Unpackers
from raykqi.storage.unpacking import Answer, Job, Member
from raykqi.storage.writing import UNPACKED_MIN

HELLO = blake3(b"hello").hexdigest()


@pytest.fixture
def remote(settings: Settings) -> Store:
    return open_store(f"memory://{uuid.uuid4()}", settings)


def many(store: Store) -> tuple[Tree, dict[str, bytes]]:
    """Enough files for processes to be started."""
    contents = {f"{at % 7}/{at:04}": b"%d" % at for at in range(UNPACKED_MIN + 1)}
    return read_tree(store, push_bytes(store, contents).tree.hash), contents


def pulled(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_many_files_of_a_remote_store_arrive(remote: Store, settings: Settings, tmp_path: Path) -> None:
    tree, contents = many(remote)

    materialise(remote, tree, tmp_path / "out", settings=settings)

    assert pulled(tmp_path / "out") == contents


def test_files_of_a_decayed_copy_are_written_again(remote: Store, settings: Settings, tmp_path: Path) -> None:
    tree, contents = many(remote)
    materialise(remote, tree, tmp_path / "one", settings=settings)
    (kept,) = (path for path in (settings.cache_dir / "objects").rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")

    materialise(remote, tree, tmp_path / "two", settings=settings)

    assert pulled(tmp_path / "two") == contents


def test_a_damaged_object_is_named(remote: Store, settings: Settings, tmp_path: Path) -> None:
    tree, _ = many(remote)
    (key,) = tree.objects()
    remote.put(key, remote.get(key)[:-1] + b"?")

    with pytest.raises(Damaged, match=key):
        materialise(remote, tree, tmp_path / "out", settings=settings)

    assert not (tmp_path / "out").exists()


def test_what_the_system_refuses_is_told(tmp_path: Path) -> None:
    object_ = tmp_path / "object"
    object_.write_bytes(b"hello")
    place = tmp_path / "place"
    place.mkdir()
    (place / "x").touch()
    unpackers = Unpackers(place, 0o022)

    try:
        answer = unpackers.do(Job(str(object_), 0, 5, [Member("x", 0o644, 5, HELLO, 0)]))
    finally:
        unpackers.close()

    assert answer == Answer(errno=17, path="x")


def test_a_range_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"hell")
    unpackers = Unpackers(tmp_path, 0o022)

    try:
        answers = [
            unpackers.do(Job(str(tmp_path / name), 0, 5, [Member("x", 0o644, 5, HELLO, 0)]))
            for name in ("short", "missing")
        ]
    finally:
        unpackers.close()

    assert answers == [Answer(gone=True), Answer(gone=True)]


def test_killed_processes_are_done_without(tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(b"hello")
    job = Job(str(tmp_path / "object"), 0, 5, [Member("x", 0o644, 5, HELLO, 0)])
    unpackers = Unpackers(tmp_path, 0o022)

    try:
        for process in unpackers.processes:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        answers = [unpackers.do(job) for _ in range(5)]
    finally:
        unpackers.close()

    assert answers == [None] * 5


def test_the_process_needs_few_imports() -> None:
    program = "import sys, raykqi.storage.unpacking; print(*(name for name in sys.modules if '.' not in name))"

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert {"pyarrow", "numpy", "fsspec", "asyncio", "duckdb"}.isdisjoint(answer.stdout.split())
