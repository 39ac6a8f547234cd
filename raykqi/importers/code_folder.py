"""The files that are a plan's code, copied to a folder of their own, without what does not belong to it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raykqi.errors import InvalidInput, NotFound
from raykqi.importers.draft import Draft

__all__ = ["code_folder", "code_title"]

LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", "*.pyc", ".venv", ".raykqi", ".mypy_cache", ".pytest_cache")


def code_title(draft: Draft, source: str) -> str:
    """What the data is called that holds the code."""
    return source or draft.definition.function.partition(":")[0] or draft.definition.title


@contextmanager
def code_folder(draft: Draft) -> Iterator[tuple[Path, str]]:
    """A copy of the code without what does not belong to it, and where it came from."""
    with tempfile.TemporaryDirectory(prefix="raykqi-code-") as temporary:
        copy = Path(temporary) / "code"
        if draft.source.startswith("git+"):
            yield _clone(draft.source, Path(temporary), copy)
            return
        folder = Path(draft.source)
        if not folder.is_dir():
            raise NotFound(f"the source {draft.source!r} is no folder", hint="Name the folder that holds the code.")
        if draft.source_files:
            for name in draft.source_files:
                target = copy / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / name, target)
        else:
            shutil.copytree(folder, copy, symlinks=True, ignore=LEFT_OUT)
        yield copy, ""


def _clone(source: str, temporary: Path, copy: Path) -> tuple[Path, str]:
    """`git+URL@REF#SUBFOLDER`: the files of that commit; the answer names the commit itself."""
    url, _, subfolder = source.removeprefix("git+").partition("#")
    address, at, ref = url.rpartition("@")
    if not at or ("/" in ref and ":" in ref) or "://" not in address:
        address, ref = url, "HEAD"
    repository = temporary / "repository"
    _git("clone", "--quiet", "--no-checkout", "--", address, str(repository), source=source)
    commit = _git("-C", str(repository), "rev-parse", "--verify", f"{ref}^{{commit}}", source=source, ref=ref)
    _git("-C", str(repository), "checkout", "--quiet", "--detach", commit, source=source)
    folder = (repository / subfolder).resolve()
    if not folder.is_relative_to(repository.resolve()) or not folder.is_dir():
        raise NotFound(f"{source}: there is no folder {subfolder!r} at {commit}", hint="Name one after the `#`.")
    shutil.copytree(folder, copy, symlinks=True, ignore=LEFT_OUT)
    return copy, f"git+{address}@{commit}{f'#{subfolder}' if subfolder else ''}"


def _git(*words: str, source: str, ref: str = "") -> str:
    try:
        if ref and ref != "HEAD":
            # A branch is only there as the remote's after a clone.
            for name in (ref, f"origin/{ref}"):
                tried = subprocess.run(
                    ["git", *words[:-1], f"{name}^{{commit}}"], capture_output=True, text=True, check=False
                )
                if tried.returncode == 0:
                    return tried.stdout.strip()
            raise NotFound(f"{source}: there is no commit, branch or tag {ref!r}", hint="Name one after the `@`.")
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise NotFound("git is not installed here", hint="Install it, or name a folder as `source`.") from error
    if done.returncode:
        raise InvalidInput(f"{source}: git says: {done.stderr.strip()[-300:]}", hint="Look at the URL and its rights.")
    return done.stdout.strip()
