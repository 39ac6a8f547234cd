"""Memory of this machine and of this process: what is free, what may be taken, whether a model fits into it."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

from raykqi.errors import ModelFailed
from raykqi.serving.finding import Found

__all__ = ["available_memory", "check_room", "limit_memory", "offer_to_the_kernel", "size_of"]

CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60
WEIGHTS = {".data", ".weight", ".weights", ".onnx_data", ".pb"}


def limit_memory(size: int) -> None:
    """What this process writes to counts; files that it maps, and what it only reserves, do not."""
    if size:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def offer_to_the_kernel() -> None:
    """When memory runs out this process is to go, not the replica that would have to be built up again."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def check_room(needed: int, limit: int) -> None:
    """`needed` is what the files of the model hold; loaded it is at least that."""
    if limit and needed > limit:
        raise ModelFailed(
            f"the model needs {_told(needed)} of memory of the {_told(limit)} that the endpoint may have",
            hint="Give the endpoint more memory.",
        )
    free = available_memory()
    if needed > free:
        raise ModelFailed(
            f"the model needs {_told(needed)} of memory of the {_told(free)} that are free on this node",
            hint="Run the endpoint on a node with more memory, or free some.",
        )


def size_of(found: Found) -> int:
    """Of the files that are read as they are. How much a user's class takes nobody knows before."""
    if found.format == "class":
        return 0
    files = [found.file]
    if found.format == "onnx":  # weights too large for one file lie beside it
        files += [each for each in found.file.parent.iterdir() if each.suffix in WEIGHTS]
    return sum(each.stat().st_size for each in files)


def available_memory() -> int:
    """What the machine has left, or less where a control group of this process allows no more."""
    free = _of_lines(Path("/proc/meminfo"), "MemAvailable:") * 1024 or UNLIMITED
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                free = min(free, _left(CGROUPS, path, "memory.max", "memory.current", "inactive_file"))
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                free = min(free, _left(CGROUPS / "memory", path, *names))
    return free


def _left(root: Path, path: str, limit: str, usage: str, cache: str) -> int:
    """The least that this group or one above it leaves; a container sees its own group as the root."""
    least = UNLIMITED
    group = root / path.lstrip("/")
    for place in dict.fromkeys((group, *group.parents)):
        if not place.is_relative_to(root):
            break
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            allowed = int((place / limit).read_text())
            used = int((place / usage).read_text()) - _of_lines(place / "memory.stat", cache)
            least = min(least, max(0, allowed - used))
    return least


def _of_lines(file: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            words = line.split()
            if words and words[0] == name:
                return int(words[1])
    return 0


def _told(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
