"""Push and pull beside `cp` and `rclone`: `python -m benchmarks.transfer [--quick]`.

Every ratio compares the same freshly written files in one run; repetitions take turns, and medians
count. What is written must be durable when a side stops its clock: `cp` is followed by `sync`.
Nothing is deleted between repetitions: memory that a virtual machine has just freed is quicker to
fill than memory it must ask its host for, and who gets which would be chance.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import ParamSpec

from benchmarks.rclone import ACCESS, SECRET, rclone_copy, s3_server
from benchmarks.report import Figure, report
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.materialise import materialise
from raykqi.storage.push import push_bytes, push_tree
from raykqi.storage.trees import read_tree

P = ParamSpec("P")

MIB = 1024 * 1024
SMALL = 4096
FILES_A_FOLDER = 1000


def main(*, quick: bool) -> None:
    files, big, peak = (10_000, 512 * MIB, 2048 * MIB) if quick else (100_000, 2048 * MIB, 10240 * MIB)
    times = 3 if quick else 5
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        bench = _Bench(Path(name))
        bench.write_small(files)
        (bench.folder / "big").mkdir()
        bench.write_file(bench.folder / "big" / "file", big)
        figures = [
            Figure(
                "big_file",
                bench.big_file(times - 1),
                "≤ 1.5",
                f"push {big // MIB} MiB in one file ÷ cp + fsync",
            ),
            *bench.small_files(files, times),
            *bench.over_s3(files, 1 if quick else 2),
        ]
        figures.append(Figure("peak_mib", bench.peak(peak), "≤ 400 MiB", f"memory while pushing {peak // MIB} MiB"))
    report(f"transfer: {files:,} files of 4 KiB, one of {big // MIB} MiB", figures)


class _Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_small(self, count: int) -> None:
        for at in range(count):
            if at % FILES_A_FOLDER == 0:
                folder = self.folder / "small" / f"{at // FILES_A_FOLDER:04}"
                folder.mkdir(parents=True)
            (folder / f"{at:06}.bin").write_bytes(os.urandom(SMALL))

    def write_file(self, path: Path, size: int) -> None:
        block = os.urandom(MIB)
        with path.open("wb") as file:
            for at in range(0, size, MIB):
                file.write(at.to_bytes(8, "big") + block[8:])

    def big_file(self, times: int) -> float:
        source = self.folder / "big"
        ours, theirs = [], []
        with self._section() as fresh:
            for _ in range(times):
                theirs.append(_clock(_copy, source / "file", fresh()))
                ours.append(_clock(_push, source, str(fresh()), Settings(cache_dir=fresh())))
        return median(ours) / median(theirs)

    def small_files(self, count: int, times: int) -> list[Figure]:
        source = self.folder / "small"
        copies, pushes, again, pulls = [], [], [], []
        with self._section() as fresh:
            for _ in range(times):
                copies.append(_clock(_copy, source, fresh()))
                url, settings = str(fresh()), Settings(cache_dir=fresh())
                pushes.append(_clock(_push, source, url, settings))
                again.append(_clock(_push, source, url, settings))
                tree = _push(source, url, settings)
                pulls.append(_clock(_pull, tree, url, fresh(), settings))
        what = f"{count:,} files"
        return [
            Figure("small_push", median(pushes) / median(copies), "≤ 1.0", f"push {what} ÷ cp -r + sync"),
            Figure("small_pull", median(pulls) / median(copies), "≤ 1.5", f"pull {what} ÷ cp -r + sync"),
            Figure("repush", median(again) / median(pushes), "≤ 0.2", f"push {what} again ÷ first push"),
        ]

    def over_s3(self, count: int, times: int) -> list[Figure]:
        source = self.folder / "small"
        os.environ.update(AWS_ACCESS_KEY_ID=ACCESS, AWS_SECRET_ACCESS_KEY=SECRET, AWS_DEFAULT_REGION="us-east-1")
        up, down, push, pull = [], [], [], []
        with self._section() as fresh:
            served = fresh()
            for number in range(times):
                for side in ("ours", "theirs"):
                    (served / f"{side}-{number}").mkdir(parents=True)
            with s3_server(served) as endpoint:
                for number in range(times):
                    settings = Settings(cache_dir=fresh(), s3_endpoint=endpoint)
                    theirs = f"s3:theirs-{number}/small"
                    with closing(open_store(f"s3://ours-{number}/lab", settings)) as store:
                        # A workspace is opened once and its connection used for many transfers.
                        push_bytes(store, {"warm": b"up"})
                        up.append(_clock(rclone_copy, str(source), theirs, endpoint))
                        push.append(_clock(push_tree, store, source, settings=settings))
                        tree = push_tree(store, source, settings=settings).tree.hash
                        down.append(_clock(_then_sync, rclone_copy, theirs, str(fresh()), endpoint))
                        pull.append(_clock(_pull_from, store, tree, fresh(), settings))
        what = f"{count:,} files over S3"
        return [
            Figure("s3_push", median(push) / median(up), "≤ 0.10", f"push {what} ÷ rclone copy"),
            Figure("s3_pull", median(pull) / median(down), "≤ 0.10", f"pull {what} ÷ rclone copy"),
        ]

    def peak(self, size: int) -> float:
        """In a process of its own: half of it one file, a quarter files of 8 MiB, a quarter small ones."""
        with self._section() as fresh:
            source = fresh()
            source.mkdir()
            self.write_file(source / "large", size // 2)
            for at in range(size // 4 // (8 * MIB)):
                self.write_file(source / f"medium-{at}", 8 * MIB)
            block = os.urandom(64 * 1024)
            for at in range(size // 4 // len(block)):
                (source / f"small-{at}").write_bytes(at.to_bytes(8, "big") + block[8:])
            answer = subprocess.run(
                [sys.executable, "-m", "benchmarks.transfer", "--push", str(source), str(fresh())],
                check=True,
                capture_output=True,
                text=True,
            )
        return float(answer.stdout)

    @contextmanager
    def _section(self) -> Iterator[Callable[[], Path]]:
        """Fresh paths; what lies there is removed at the end of the section."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            numbers = itertools.count()
            os.sync()
            yield lambda: Path(name) / str(next(numbers))


def _push(source: Path, url: str, settings: Settings) -> str:
    with closing(open_store(url, settings)) as store:
        return push_tree(store, source, settings=settings).tree.hash


def _copy(source: Path, target: Path) -> None:
    _then_sync(subprocess.run, ["cp", "-r", str(source), str(target)], check=True)


def _pull(tree: str, url: str, target: Path, settings: Settings) -> None:
    with closing(open_store(url, settings)) as store:
        _pull_from(store, tree, target, settings)


def _pull_from(store: Store, tree: str, target: Path, settings: Settings) -> None:
    materialise(store, read_tree(store, tree), target, settings=settings)


def _then_sync(act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    act(*args, **kwargs)
    subprocess.run(["sync"], check=True)


def _clock(act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    began = time.perf_counter()
    act(*args, **kwargs)
    return time.perf_counter() - began


def _push_and_tell_peak(source: str, url: str) -> None:
    settings = Settings(cache_dir=Path(url).parent / "cache")
    push_tree(open_store(url, settings), Path(source), settings=settings)
    # Not getrusage: its maximum is that of the parent before this program began.
    print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--push"]:
        _push_and_tell_peak(*sys.argv[2:4])
    else:
        main(quick="--quick" in sys.argv)
