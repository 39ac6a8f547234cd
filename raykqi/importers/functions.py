"""`@raykqi.plan`: a Python function as a plan, which stays a plain function for whoever calls it.

@raykqi.plan(inputs={"images": ["type:dataset"]}, outputs={"model": ["type:model"]})
def train(images: Path, model: Path, epochs: int = 10) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from raykqi.errors import InvalidInput
from raykqi.importers.building import build
from raykqi.importers.code_files import CodeFiles, collect_code
from raykqi.importers.draft import Draft
from raykqi.importers.parameters import read_parameters
from raykqi.importers.params import with_params
from raykqi.importers.places import Places, nearest, quote

__all__ = ["PlanFunction", "plan"]

P = ParamSpec("P")
R = TypeVar("R")

Mounts = Mapping[str, Any]


class PlanFunction(Generic[P, R]):
    """Calling it calls the function. Pickled, it is the name under which its module has it."""

    def __init__(self, function: Callable[P, R], options: Mapping[str, Any]) -> None:
        self._shown = _shown(function)
        _check_callable(function, Places(self._shown))
        functools.update_wrapper(self, function)
        self._function = function
        self._options = dict(options)
        self._described = _describe(function, self._options, Places(self._shown))
        self._drafted(None)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._function(*args, **kwargs)

    def __reduce__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<plan {self.__module__}:{self.name}>"

    @property
    def name(self) -> str:
        return self._function.__qualname__

    def draft(self, *, params: Mapping[str, object] | None = None) -> Draft:
        """The plan, with `params` in place of defaults and the files that are its code."""
        return with_params(self._drafted(self._code()), params or {})

    def _drafted(self, code: CodeFiles | None) -> Draft:
        described = {**self._described, "function": f"{code.module if code else 'module'}:{self.name}"}
        folder = _file_of(self._function).parent if "source" in described else None
        if code is None:  # the rules alone: what is captured is looked at when the plan is applied
            described.pop("source", None)
            return build(described, Places(self._shown), folder=Path.cwd(), source="later")
        return build(
            described,
            Places(self._shown),
            folder=folder or code.root,
            origin=self._shown,
            source="" if folder else str(code.root),
            source_files=() if folder else code.files,
        )

    def _code(self) -> CodeFiles:
        file = _file_of(self._function)
        if "source" not in self._options or self._options["source"] is None:
            return collect_code(file, self.__module__)
        source = self._options["source"]
        if str(source).startswith("git+"):
            module = file.stem if self.__module__ == "__main__" else self.__module__
            return CodeFiles(file.parent, module, ())
        root = (file.parent / Path(source).expanduser()).resolve()
        if not file.resolve().is_relative_to(root):
            raise InvalidInput(
                f"{self._shown}: source: {str(file)!r} is not in {str(root)!r}", hint="Name a folder that holds it."
            )
        inside = file.resolve().relative_to(root).with_suffix("")
        parts = inside.parts[:-1] if inside.name == "__init__" else inside.parts
        return CodeFiles(root, ".".join(parts), ())


def plan(
    *,
    inputs: Mounts,
    outputs: Mounts | None = None,
    log: Any = None,
    name: str = "",
    params: Mapping[str, Any] | None = None,
    source: str | Path | None = None,
    resources: Mapping[str, Any] | None = None,
    env: Mapping[str, Any] | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    retries: int = 0,
    backoff: str | float = 1.0,
    timeout: str | float = 0.0,
    grace: str | float = 10.0,
    priority: int = 0,
    limits: Mapping[str, int] | None = None,
    reuse: bool = False,
    join: list[str] | tuple[str, ...] = (),
    on_node: Mapping[str, Any] | None = None,
    service_account: str = "",
    annotations: Mapping[str, str] | list[str] | tuple[str, ...] = (),
    active: bool = True,
) -> Callable[[Callable[P, R]], PlanFunction[P, R]]:
    """Make a plan of a function of a module. `inputs` and `outputs` map its parameters to tags.

    Instead of tags an input may be `dict(tags=[…], take="all")`. The other parameters are params: their
    annotations say the types, `Literal[…]` the choices; `params` may say more of them. Options mean what
    the keys of a plan file mean.
    """
    options = {
        "inputs": inputs,
        "outputs": outputs,
        "log": log,
        "name": name or None,
        "params": params,
        "source": source,
        "resources": resources,
        "env": env,
        "runtime_env": runtime_env,
        "retries": retries,
        "backoff": backoff,
        "timeout": timeout,
        "grace": grace,
        "priority": priority,
        "limits": limits,
        "reuse": reuse,
        "join": join,
        "on_node": on_node,
        "service_account": service_account or None,
        "annotations": annotations,
        "active": active,
    }
    return lambda function: PlanFunction(function, options)


def _describe(function: Callable[..., object], options: Mapping[str, Any], places: Places) -> dict[str, Any]:
    described = {key: value for key, value in options.items() if value is not None}
    for kind in ("inputs", "outputs"):
        mounts = described.get(kind, {})
        if not isinstance(mounts, Mapping):
            hint = 'Write it as {"images": ["type:dataset"]}.'
            places.refuse((kind,), f"{quote(mounts)} does not map parameters to tags", hint=hint)
        described[kind] = [_mount(name, wanted) for name, wanted in mounts.items()]
    told = dict(described.get("params", {}))
    taken, made = ([mount["name"] for mount in described[kind]] for kind in ("inputs", "outputs"))
    params = read_parameters(function, taken, made, places)
    for key, more in told.items():
        if key not in params:
            places.refuse(("params", key), "the function has no such parameter", hint=nearest(key, params))
        own = dict(more) if isinstance(more, Mapping) else {"default": more}
        merged = {**params[key], **own}
        if "default" in own:
            merged.pop("required", None)
        params[key] = merged
    described["params"] = params
    described.setdefault("name", function.__qualname__)
    if isinstance(log := described.get("log"), list | tuple):
        described["log"] = {"tags": log}
    if isinstance(annotations := described.get("annotations"), Mapping):
        described["annotations"] = [f"{key}={value}" for key, value in annotations.items()]
    return described


def _mount(name: object, wanted: Any) -> dict[str, Any]:
    return {**wanted, "name": name} if isinstance(wanted, Mapping) else {"name": name, "tags": wanted}


def _check_callable(function: Callable[..., object], places: Places) -> None:
    if not inspect.isfunction(function):
        places.refuse((), f"{quote(function)} is no function", hint="Decorate a function of a module.")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        places.refuse((), "an async function is not run", hint="Write `def`, and asyncio.run() inside it.")
    if inspect.isgeneratorfunction(function):
        places.refuse((), "a generator would never run", hint="Write a function without `yield`.")
    if function.__name__ == "<lambda>":
        places.refuse((), "a lambda has no name to find it by", hint="Write a function with `def`.")
    if "<locals>" in function.__qualname__:
        hint = "Move it to the top of the module: a worker finds it by module and name."
        places.refuse((), "it is inside another function, where no worker can import it", hint=hint)
    if "." in function.__qualname__:
        places.refuse((), "it is a method", hint="Write a function of the module, which may call the method.")


def _shown(function: Callable[..., object]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__qualname__", None) or quote(function)
    return f"{code.co_filename}:{code.co_firstlineno}: {name}" if code else name


def _file_of(function: Callable[..., object]) -> Path:
    found = inspect.unwrap(function).__code__.co_filename
    file = Path(found)
    if not file.is_file():
        raise InvalidInput(
            f"the function {function.__qualname__!r} is not in a file but in {found!r}, where no worker can import it",
            hint="Save it in a .py file and apply the plan from there.",
        )
    return file
