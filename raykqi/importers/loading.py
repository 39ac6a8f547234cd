"""Whatever file describes plans: a plan file holds one, a Python file one for each decorated function."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from raykqi.errors import InvalidInput, NotFound, RaykqiError
from raykqi.importers.code_files import collect_code
from raykqi.importers.draft import Draft
from raykqi.importers.functions import PlanFunction
from raykqi.importers.planfile import read_plan

__all__ = ["load_functions", "read_plans"]


def read_plans(
    path: Path, *, variables: Mapping[str, str] | None = None, params: Mapping[str, object] | None = None
) -> tuple[Draft, ...]:
    """The plans of a file. A Python file is imported, and so runs what stands at its top level."""
    if path.suffix != ".py":
        return (read_plan(path, variables=variables, params=params),)
    if variables:
        raise InvalidInput(f"{path}: variables are for plan files", hint="Use params in Python.")
    return tuple(function.draft(params=params) for function in load_functions(path))


def load_functions(path: Path) -> tuple[PlanFunction[..., object], ...]:
    """The decorated functions of a Python file, in their order."""
    if not path.is_file():
        raise NotFound(f"there is no file {str(path)!r}", hint="Name a Python file with functions for @raykqi.plan.")
    code = collect_code(path, "__main__")
    with _importable(code.root):
        module = _imported(code.module, path.resolve())
    found = [value for value in vars(module).values() if isinstance(value, PlanFunction)]
    own = dict.fromkeys(function for function in found if function.__module__ == module.__name__)
    if not own:
        raise InvalidInput(f"{path}: no function in it is decorated", hint="Put @raykqi.plan(inputs=…) above one.")
    return tuple(own)


def _imported(name: str, path: Path) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except RaykqiError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidInput(
            f"{path}: importing it failed: {type(error).__name__}: {error}",
            hint="Run it with python and mend it; what only a program does belongs under `if __name__ == '__main__':`.",
        ) from error
    if Path(module.__file__ or "").resolve() != path:
        raise InvalidInput(
            f"{path}: `import {name}` finds {module.__file__ or 'another module'} instead", hint="Rename the file."
        )
    return module


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
