"""A folder that is full, that may only be read, or whose writer was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raykqi.errors import ObjectExists, StorageDenied, StorageFull
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store

KIB = 1 << 10


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """One MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "size=1m")
    yield folder
    subprocess.run(["umount", folder], check=True)


def mount(folder: Path, options: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"this machine mounts nothing: {made.stderr.strip()}")


@pytest.fixture
def store(tiny_disk: Path) -> Store:
    store = open_store(str(tiny_disk / "lab"), Settings())
    store.put("a/there", b"o" * 300 * KIB)
    return store


@pytest.mark.parametrize(
    "write",
    [
        lambda store, source: store.put("a/there", source.read_bytes()),
        lambda store, source: store.put("a/new", source.read_bytes()),
        lambda store, source: store.create("a/new", source.read_bytes()),
        lambda store, source: store.put_file("a/new", source),
        lambda store, source: store.put_stream("a/new", [source.read_bytes()[:KIB]] * 2 * KIB),
    ],
    ids=["replace", "put", "create", "put_file", "put_stream"],
)
def test_a_full_disk_is_named_and_nothing_is_left(
    store: Store, tiny_disk: Path, tmp_path: Path, write: Callable[[Store, Path], None]
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"n" * 2 * KIB * KIB)

    with pytest.raises(StorageFull, match=r"cannot write .*/disk/lab/a/.*: No space left on device") as full:
        write(store, source)

    assert full.value.hint == "Free space or raise the quota there, then repeat: nothing was written."
    assert [found.key for found in store.list("")] == ["a/there"]
    assert store.get("a/there") == b"o" * 300 * KIB
    assert files_in(tiny_disk) == ["lab/a/there"]
    store.put("a/new", b"n" * 300 * KIB)


def test_a_disk_without_names_left_is_full(tmp_path: Path) -> None:
    mount(tmp_path, "nr_inodes=8")
    try:
        store = open_store(str(tmp_path / "lab"), Settings())

        with pytest.raises(StorageFull, match="No space left on device"):
            for number in range(8):
                store.create(f"a/{number}", b"x")

        left = files_in(tmp_path)
        assert left == [f"lab/a/{number}" for number in range(len(left))]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_what_may_only_be_read_is_read(tiny_disk: Path, store: Store) -> None:
    (tiny_disk / "lab/tmp/1-2-elsewhere-3").write_bytes(b"left behind")
    os.utime(tiny_disk / "lab/tmp/1-2-elsewhere-3", (0, 0))
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)

    assert store.get("a/there", 0, 3) == b"ooo"
    assert [found.key for found in store.list("")] == ["a/there"]
    for act in writing(store):
        with pytest.raises(StorageDenied, match=r"cannot \w+ .*/disk/lab.*: Read-only file system") as denied:
            act()
        assert denied.value.hint.endswith("the right to do so, or use another place.")
    store.close()


def writing(store: Store) -> list[Callable[[], object]]:
    return [
        lambda: store.put("a/new", b"x"),
        lambda: store.put("new/new", b"x"),
        lambda: store.create("a/new", b"x"),
        lambda: store.put_stream("a/new", [b"x"]),
        lambda: store.delete(["a/there"]),
        lambda: store.touch("a/there"),
        lambda: store.sweep_leftovers(),
    ]


STRANGER = """
import os, sys
from raykqi.errors import StorageDenied
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

store = open_store(sys.argv[1], Settings())
if os.geteuid() == 0:
    os.setuid(65534)
print(store.get("a/open"))
for act in [lambda: store.get("a/closed"), lambda: list(store.read("a/closed")), lambda: store.put("a/new", b"x")]:
    try:
        act()
    except StorageDenied as denied:
        print(denied.message.split(": ")[-1], "(uid" in denied.hint)
store.close()
"""


def test_a_stranger_is_denied() -> None:
    """As another user where this one is root, whom no permission stops."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder, Settings())
        store.put("a/open", b"x")
        store.put("a/closed", b"x")
        for path, mode in [("a/closed", 0o000), ("a", 0o555), ("tmp", 0o555), ("", 0o555)]:
            (Path(folder) / path).chmod(mode)

        ended = subprocess.run([sys.executable, "-c", STRANGER, folder], capture_output=True, text=True)

        for path in ["", "a", "tmp"]:
            (Path(folder) / path).chmod(0o755)
    assert (ended.stdout, ended.stderr) == ("b'x'\n" + "Permission denied True\n" * 3, "")


WRITER = """
import sys
import tempfile
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

def parts():
    yield b"half of it"
    print("writing", flush=True)
    sys.stdin.readline()
    yield b", the rest"

open_store(sys.argv[1], Settings()).put_stream("a/b", parts())
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """In the middle of an object."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "lab")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_what_a_killed_writer_left_is_swept(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "lab"), Settings())
    assert len(files_in(tmp_path)) == 1

    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()

    assert list(store.list("")) == []
    assert not store.exists("a/b")
    assert len(files_in(tmp_path)) == 1
    assert store.sweep_leftovers() == 1
    assert files_in(tmp_path) == []


def test_a_live_writer_is_left_alone(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "lab"), Settings())

    assert store.sweep_leftovers() == 0
    store.close()
    writer.communicate("go on\n")

    assert writer.returncode == 0
    assert store.get("a/b") == b"half of it, the rest"


def test_processes_create_one_object_once(tmp_path: Path) -> None:
    script = """
import sys
import tempfile
from raykqi.errors import ObjectExists
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

store = open_store(sys.argv[1], Settings())
sys.stdin.readline()
for turn in range(50):
    try:
        store.create(f"race/{turn}", sys.argv[2].encode())
        print(turn)
    except ObjectExists:
        pass
"""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "lab"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abcd"
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = {name: racer.communicate()[0].split() for name, racer in zip("abcd", racers, strict=True)}

    assert sorted(turn for turns in won.values() for turn in turns) == sorted(str(turn) for turn in range(50))
    store = open_store(str(tmp_path / "lab"), Settings())
    for name, turns in won.items():
        for turn in turns:
            assert store.get(f"race/{turn}") == name.encode()
    with pytest.raises(ObjectExists):
        store.create("race/0", b"another")


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
