"""Push and pull as whole processes meet them: full disks, Ctrl-C, SIGKILL, neighbours, and little memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raykqi.errors import StorageFull
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.storage.materialise import materialise
from raykqi.storage.push import push_bytes, push_tree
from raykqi.storage.trees import read_tree
from raykqi.storage.verify import verify_tree

MIB = 1 << 20
REPOSITORY = Path(__file__).parents[2]

PUSH = """
import sys
from pathlib import Path
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.storage.progress import SilentProgress
from raykqi.storage.push import push_tree

class Telling(SilentProgress):
    def advance(self, files, size):
        print("moving", flush=True)

source, url, cache, threads = sys.argv[1:]
settings = Settings(cache_dir=Path(cache), transfer_threads=int(threads))
tree = push_tree(open_store(url, settings), Path(source), settings=settings, progress=Telling()).tree.hash
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], "KiB", tree)
"""

PULL = """
import sys
from pathlib import Path
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.storage.materialise import materialise
from raykqi.storage.progress import SilentProgress
from raykqi.storage.trees import read_tree

class Telling(SilentProgress):
    def advance(self, files, size):
        print("moving", flush=True)

tree, url, cache, target = sys.argv[1:]
settings = Settings(cache_dir=Path(cache))
store = open_store(url, settings)
materialise(store, read_tree(store, tree), Path(target), settings=settings, progress=Telling())
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_moving(process: subprocess.Popen[str], times: int = 1) -> None:
    assert process.stdout is not None
    for _ in range(times):
        assert process.stdout.readline() == "moving\n"


def fill(source: Path, *, small: int = 0, large: int = 0) -> Path:
    """Small files of half a MiB and large ones of 40 MiB, no two alike."""
    source.mkdir()
    for at in range(small):
        (source / f"small-{at:03}").write_bytes(at.to_bytes(4, "big") * (MIB // 8))
    for at in range(large):
        (source / f"large-{at:03}").write_bytes(b"large" + at.to_bytes(3, "big") * (40 * MIB // 3))
    return source


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize(("small", "large"), [(40, 0), (0, 1)])
def test_a_disk_that_fills_while_pushing_is_told_and_nothing_is_left(
    small_disk: Path, settings: Settings, tmp_path: Path, small: int, large: int
) -> None:
    store = open_store(str(small_disk / "store"), settings)
    push_bytes(store, {"before": b"1"})
    before = list(store.list(""))

    with pytest.raises(StorageFull):
        push_tree(store, fill(tmp_path / "source", small=small, large=large), settings=settings)

    assert list(store.list("")) == before
    assert list((small_disk / "store" / "tmp").iterdir()) == []


@pytest.mark.parametrize(("small", "large"), [(40, 0), (0, 1)])
def test_a_disk_that_fills_while_pulling_is_told_and_nothing_is_left(
    small_disk: Path, settings: Settings, tmp_path: Path, small: int, large: int
) -> None:
    store = open_store(str(tmp_path / "store"), settings)
    pushed = push_tree(store, fill(tmp_path / "source", small=small, large=large), settings=settings)

    with pytest.raises(StorageFull, match=r"no space left for .*/disk/out"):
        materialise(store, read_tree(store, pushed.tree.hash), small_disk / "out", settings=settings)

    assert list(small_disk.iterdir()) == []


def test_a_full_cache_folder_does_not_stop_a_push(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "ballast").write_bytes(b"x" * 7 * MIB)
    source = tmp_path / "source"
    source.mkdir()
    for at in range(8_000):
        (source / f"{'long' * 20}-{at:05}").write_bytes(at.to_bytes(4, "big"))
    settings = Settings(cache_dir=small_disk)
    store = open_store(str(tmp_path / "store"), settings)

    assert push_tree(store, source, settings=settings).tree.files == 8_000


@pytest.mark.parametrize(("small", "large"), [(300, 0), (0, 4)])
def test_ctrl_c_ends_a_push_at_once_and_leaves_nothing_half_done(
    settings: Settings, tmp_path: Path, small: int, large: int
) -> None:
    source = fill(tmp_path / "source", small=small, large=large)
    with start(PUSH, source, tmp_path / "store", settings.cache_dir, 2) as process:
        until_moving(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) != 0

    store = open_store(str(tmp_path / "store"), settings)
    assert list(store.list("trees")) == []
    assert list(tmp_path.glob("store/tmp/*")) == []
    pushed = push_tree(store, source, settings=settings)
    assert verify_tree(store, pushed.tree.hash, deep=True) == []


def test_ctrl_c_ends_a_pull_at_once_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), settings)
    pushed = push_tree(store, fill(tmp_path / "source", small=300), settings=settings)
    (tmp_path / "place").mkdir()

    with start(PULL, pushed.tree.hash, store.url, settings.cache_dir, tmp_path / "place" / "out") as process:
        until_moving(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) != 0

    assert list((tmp_path / "place").iterdir()) == []


def test_a_killed_push_is_taken_up_where_it_stood(settings: Settings, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", small=200)
    with start(PUSH, source, tmp_path / "store", settings.cache_dir, 1) as process:
        until_moving(process, times=20)
        process.kill()
    store = open_store(str(tmp_path / "store"), settings)
    sent = {item.key for item in store.list("packs")}
    assert sent
    assert list(store.list("trees")) == []

    pushed = push_tree(store, source, settings=settings)

    assert sent <= pushed.reused
    assert verify_tree(store, pushed.tree.hash, deep=True) == []


def test_many_push_the_same_directory_at_once(settings: Settings, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", small=70, large=1)
    processes = [start(PUSH, source, tmp_path / "store", settings.cache_dir, 2) for _ in range(3)]

    trees = {process.communicate(timeout=60)[0].split()[-1] for process in processes}

    store = open_store(str(tmp_path / "store"), settings)
    assert len(trees) == 1
    assert verify_tree(store, trees.pop(), deep=True) == []
    assert push_tree(store, source, settings=settings).written_bytes == 0


def test_many_threads_push_and_pull_small_trees(settings: Settings, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), settings)

    def round_trip(number: int) -> bytes:
        pushed = push_bytes(store, {"same": b"same", "own": b"%d" % number})
        target = tmp_path / "out" / str(number)
        materialise(store, read_tree(store, pushed.tree.hash), target, settings=settings)
        return (target / "own").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(round_trip, range(100))) == [b"%d" % number for number in range(100)]


def test_pushing_and_pulling_takes_little_memory(settings: Settings, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", small=300, large=3)
    for at in range(12):
        (source / f"medium-{at:02}").write_bytes(bytes([at]) * 15 * MIB)
    with (source / "sparse").open("wb") as file:
        file.truncate(200 * MIB)

    with start(PUSH, source, tmp_path / "store", settings.cache_dir, 16) as process:
        push_peak, tree = process.communicate(timeout=120)[0].split()[-3::2]
    with start(PULL, tree, tmp_path / "store", settings.cache_dir, tmp_path / "out") as process:
        pull_peak = process.communicate(timeout=120)[0].split()[-1]

    assert int(push_peak) < 350 * 1024
    assert int(pull_peak) < 350 * 1024
