"""Which files are a function's code: its package or script, and what these import from beside them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from raykqi.errors import InvalidInput

__all__ = ["CodeFiles", "collect_code"]

MOST_FILES = 20_000
INSTALLED = ("site-packages", "dist-packages")
SKIPPED = ("__pycache__", "node_modules")


class CodeFiles(NamedTuple):
    """`module` is how a worker imports it once `root` is on its path."""

    root: Path
    module: str
    files: tuple[str, ...]


def collect_code(file: Path, module: str) -> CodeFiles:
    """The code of a module. A script, `__main__`, is imported by the name of its file."""
    file = file.resolve()
    if module == "__main__":
        package = _package_of(file)
        if "." in file.stem:
            hint = "Rename it: a dot divides packages."
            raise InvalidInput(f"no worker can import a file called {file.name!r}", hint=hint)
        module = ".".join((*package, file.stem))
    parts = module.split(".")
    depth = len(parts) if file.name == "__init__.py" else len(parts) - 1
    root = file.parent
    for _ in range(depth):
        root = root.parent
    is_script = len(parts) == 1 and file.name != "__init__.py"
    found = {file} if is_script else set(_tree(root / parts[0]))
    if root.name not in INSTALLED:
        found |= _beside(found, root)
    if len(found) > MOST_FILES:
        raise InvalidInput(
            f"the code of {module} has more than {MOST_FILES:,} files under {str(root)!r}",
            hint="Name the folder that holds the code alone as `source`.",
        )
    return CodeFiles(root, module, tuple(sorted(path.relative_to(root).as_posix() for path in found)))


def _package_of(file: Path) -> tuple[str, ...]:
    """The packages that a file run as `python -m` is in."""
    names: list[str] = []
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier() and folder != folder.parent:
        names.insert(0, folder.name)
        folder = folder.parent
    return tuple(names)


def _beside(start: set[Path], root: Path) -> set[Path]:
    """What the files import that stands in the root itself, and what that imports."""
    found: set[Path] = set()
    open_ = list(start)
    asked = {"raykqi"}  # every node has it; a copy in the code would take its place
    while open_:
        for name in _imported(open_.pop()) - asked:
            asked.add(name)
            fresh = set(_module(root, name)) - found - start
            found |= fresh
            open_ += fresh
    return found


def _imported(file: Path) -> set[str]:
    if file.suffix != ".py":
        return set()
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()  # whoever imports it will be told
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def _module(root: Path, name: str) -> Iterator[Path]:
    if (root / f"{name}.py").is_file():
        yield root / f"{name}.py"
    elif (root / name / "__init__.py").is_file() or _has_python(root / name):
        yield from _tree(root / name)


def _has_python(folder: Path) -> bool:
    try:
        return any(path.suffix == ".py" for path in folder.iterdir())
    except OSError:
        return False


def _tree(folder: Path) -> Iterator[Path]:
    """Every file of a package, with the data that it brings, without what is hidden or compiled."""
    open_, count = [folder], 0
    while open_:
        for path in sorted(open_.pop().iterdir()):
            if path.name in SKIPPED or path.name.startswith(".") or path.suffix == ".pyc":
                continue
            if path.is_dir() and not path.is_symlink():
                open_.append(path)
            elif path.is_file():
                count += 1
                if count > MOST_FILES:
                    yield path
                    return
                yield path
