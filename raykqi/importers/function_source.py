"""Whether a function that a plan file names is there in its source, with the parameters that the plan gives it."""

from __future__ import annotations

import ast
from pathlib import Path

from raykqi.domain.plan import Definition
from raykqi.importers.places import Places, Where, nearest, quote

__all__ = ["check_function"]

MOST_BYTES = 8 * 2**20


def check_function(definition: Definition, source: Path, places: Places) -> None:
    """Reads the file and never runs it; what only running would tell is left to the run."""
    module, _, name = definition.function.partition(":")
    stem = source.joinpath(*module.split("."))
    file = next((path for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py") if path.is_file()), None)
    if file is None:
        known = sorted(path.stem for path in source.glob("*.py"))[:50]
        places.refuse(
            ("function",), f"there is no module {quote(module)} in {quote(str(source))}", hint=nearest(module, known)
        )
    try:
        with file.open("rb") as opened:
            tree = ast.parse(opened.read(MOST_BYTES))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else error
        hint = "Mend the file: no worker could import it."
        places.refuse(("function",), f"{quote(str(file))} is not Python: {reason}", hint=hint)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if name in functions:
        _check_arguments(functions[name].args, definition, places)
    elif not _may_define(tree, name):
        places.refuse(("function",), f"{quote(str(file))} has no function {name!r}", hint=nearest(name, functions))


def _may_define(tree: ast.Module, name: str) -> bool:
    """Whether some statement could give the module that name: an import, an assignment, a condition."""
    return any(
        isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While | ast.Match)
        or (isinstance(node, ast.Import | ast.ImportFrom) and any(_named(each) in (name, "*") for each in node.names))
        or (isinstance(node, ast.Assign | ast.AnnAssign) and name in ast.unparse(node))
        or (isinstance(node, ast.AsyncFunctionDef | ast.ClassDef) and node.name == name)
        for node in tree.body
    )


def _named(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _check_arguments(arguments: ast.arguments, definition: Definition, places: Places) -> None:
    names = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    given: dict[str, Where] = {mount.name: ("inputs", index) for index, mount in enumerate(definition.inputs)}
    given |= {mount.name: ("outputs", index) for index, mount in enumerate(definition.outputs)}
    params: dict[str, Where] = {param.name: ("params", param.name) for param in definition.params}
    for name, where in {**given, **params}.items():
        if name not in names and arguments.kwarg is None:
            places.refuse(where, f"the function has no parameter {name!r}", hint=nearest(name, names))
    optional = {argument.arg for argument in arguments.args[len(arguments.args) - len(arguments.defaults) :]}
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    optional |= {argument.arg for argument, default in pairs if default is not None}
    missing = [name for name in names if name not in optional and name not in given and name not in params]
    if missing:
        hint = "Add it to `inputs`, `outputs` or `params`."
        places.refuse(("function",), f"its parameter {missing[0]!r} is not given", hint=hint)
