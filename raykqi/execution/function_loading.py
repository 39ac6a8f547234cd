"""Loading the function of a plan from the code it brings along. The process is dedicated to one code at a time."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from raykqi.domain.plan import Definition
from raykqi.errors import InvalidInput
from raykqi.execution.inputs import SharedTrees, write_private
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store

__all__ = ["FunctionLoader", "import_function"]

HINT = "The function has to be in a module of the plan's code, or in a package of the node's Python."


class FunctionLoader:
    """Keeps what it loaded: the code of a tree never changes."""

    def __init__(self) -> None:
        self._code = ""
        self._folder: Path | None = None
        self._held: SharedTrees | None = None
        self._functions: dict[str, Callable[..., object]] = {}

    def load(self, definition: Definition, store: Store, settings: Settings, *, scratch: Path) -> Callable[..., object]:
        """What is said while a module is imported belongs to the caller's log."""
        code = definition.code.tree if definition.code else ""
        if code != self._code:
            self._leave()
        if code and self._folder is None:
            self._enter(code, store, settings, scratch)
        name = definition.function
        if name not in self._functions:
            self._functions[name] = import_function(name)
        return self._functions[name]

    def _enter(self, code: str, store: Store, settings: Settings, scratch: Path) -> None:
        self._held = SharedTrees(store, settings)
        folder = self._held.place(code)
        if folder is None:
            folder = scratch / "code" / code
            if not folder.is_dir():
                write_private(store, code, folder, settings, None)
        self._code, self._folder = code, folder
        # The folder is shared with other processes, and its content is part of what a result came from.
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()

    def _leave(self) -> None:
        """Forget the modules of another code: names that are the same there mean something else here."""
        if self._folder is not None:
            place = str(self._folder)
            sys.path[:] = [path for path in sys.path if path != place]
            for name, module in list(sys.modules.items()):
                if (getattr(module, "__file__", None) or "").startswith(place + "/"):
                    del sys.modules[name]
        if self._held:
            self._held.close()
        self._code, self._folder, self._held = "", None, None
        self._functions.clear()


def import_function(name: str) -> Callable[..., object]:
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise InvalidInput(f"{name!r} names no function", hint="It has the form module:function.")
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:
        traceback.print_exc()
        raise InvalidInput(
            f"the module {module_name!r} cannot be imported: {type(error).__name__}: {error}", hint=HINT
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise InvalidInput(f"{module_name!r} has no {path!r}", hint=HINT)
        found = getattr(found, part)
    if not callable(found):
        raise InvalidInput(f"{name!r} is a {type(found).__name__}, which cannot be called", hint=HINT)
    return found
