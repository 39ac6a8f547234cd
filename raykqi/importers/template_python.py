"""A plan file to begin with from a Python file, which is read and never run."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from raykqi.errors import InvalidInput, NotFound
from raykqi.importers.code_files import collect_code
from raykqi.importers.places import nearest
from raykqi.importers.template import NOTES, template_of

__all__ = ["python_template"]

_OUTPUT = re.compile(r"(?:^|_)(out|output|outputs|dest|target|result|results|save|saved|report|to)(?:_|$)", re.I)
_MODEL = re.compile(r"(?:^|_)(model|weights|checkpoint)(?:_|$)", re.I)
_INPUT = re.compile(r"(?:^|_)(in|input|inputs|src|source|data|dataset|images|from)(?:_|$)", re.I)
PATHS = ("Path", "PurePath", "PosixPath", "PathLike")
SORTED = ("inputs", "outputs", "params", "source")  # what of a decorator's options is not just a key of a plan file
TYPES = ("str", "int", "float", "bool")


def python_template(file: Path, *, function: str = "", source: str = "") -> str:
    """Which parameters are inputs and outputs is what the decorator says, else guessed by their names.

    `source` is how the plan names the folder.
    """
    tree = _parsed(file)
    functions = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    node = _choose(functions, function, file)
    code = collect_code(file, "__main__")
    options = _options(node)
    inputs, outputs, params = _sorted(node, options or {})
    work: dict[str, Any] = {"name": node.name, "function": f"{code.module}:{node.name}"}
    work["source"] = source or str(code.root)
    if params:
        work["params"] = params
    notes: dict[str, str] = {}
    if not isinstance((options or {}).get("inputs"), dict):
        notes["inputs"] = f"{NOTES['inputs']}\nWhich parameters are inputs was guessed by their names."
    if options is not None:
        notes["name"] = f"{node.name} is decorated: `raykqi plan apply {file.name}` takes it as it stands there."
    told = None if options is None else {key: options.get(key) for key in ("log", *options) if key not in SORTED}
    return template_of(work, inputs, outputs, notes, told)


def _options(node: ast.FunctionDef) -> dict[str, Any] | None:
    """What `@raykqi.plan(…)` is given, as far as it stands there; None without it."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(called).rpartition(".")[2] == "plan":
            break
    else:
        return None
    options: dict[str, Any] = {}
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        try:
            # Through JSON, which knows what YAML can hold: texts as keys, lists, and no sets or bytes.
            options[keyword.arg or ""] = json.loads(json.dumps(ast.literal_eval(keyword.value)))
        except (ValueError, TypeError):
            continue
    if isinstance(log := options.get("log"), list):
        options["log"] = {"tags": log}
    if isinstance(annotations := options.get("annotations"), dict):
        options["annotations"] = [f"{key}={value}" for key, value in annotations.items()]
    return {key: value for key, value in options.items() if value is not None and key}


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), str(file))
    except OSError as error:
        raise NotFound(f"{str(file)!r} cannot be read: {error.strerror}", hint="Name a Python file.") from None
    except SyntaxError as error:
        raise InvalidInput(f"{file}:{error.lineno}: not Python: {error.msg}", hint="Name a Python file.") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"{file}: not Python: {error}", hint="Name a Python file.") from None


def _choose(functions: dict[str, ast.FunctionDef], wanted: str, file: Path) -> ast.FunctionDef:
    if wanted and wanted not in functions:
        raise NotFound(f"{file}: there is no function {wanted!r}", hint=nearest(wanted, functions))
    decorated = [node for node in functions.values() if node.decorator_list]
    with_inputs = [node for node in functions.values() if _sorted(node, {})[0]]
    for candidates in ([functions[wanted]] if wanted else [], decorated, with_inputs, list(functions.values())):
        if len(candidates) == 1:
            return candidates[0]
    if not functions:
        hint = "For a script: raykqi plan template -- python FILE --data /in/data --out /out/result"
        raise InvalidInput(f"{file}: there is no function in it", hint=hint)
    raise InvalidInput(f"{file}: there are several functions", hint=f"Choose: --function {', '.join(functions)}.")


def _sorted(
    node: ast.FunctionDef, options: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    plain = [*node.args.posonlyargs, *node.args.args]
    defaults: dict[str, ast.expr] = {}
    without = len(plain) - len(node.args.defaults)
    defaults |= {arg.arg: value for arg, value in zip(plain[without:], node.args.defaults, strict=True)}
    keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    defaults |= {arg.arg: value for arg, value in keywords if value}
    inputs, outputs = _mounts(options, "inputs"), _mounts(options, "outputs")
    told = {mount["name"] for mount in (*inputs, *outputs)}
    params: dict[str, Any] = {}
    told_params = options.get("params")
    # A model is what training makes, but what evaluation takes to make its report.
    is_output = _OUTPUT if any(_OUTPUT.search(argument.arg) for argument in arguments) else _MODEL
    for argument in arguments:
        name = argument.arg
        if name in told:
            continue
        written = ast.unparse(argument.annotation).strip("'\"") if argument.annotation else ""
        is_path = any(word in re.split(r"\W+", written) for word in PATHS)
        if "inputs" not in options and (
            is_path
            or (not written and name not in defaults and any(words.search(name) for words in (_INPUT, _OUTPUT, _MODEL)))
        ):
            kind = outputs if is_output.search(name) and not _INPUT.search(name) else inputs
            kind.append({"name": name, "tags": [f"type:{name}"]})
        else:
            params[name] = _param(written, defaults.get(name))
            more = told_params.get(name, {}) if isinstance(told_params, dict) else {}
            params[name] |= more if isinstance(more, dict) else {"default": more}
            if "default" in params[name]:
                params[name].pop("required", None)
    return inputs, outputs, params


def _mounts(options: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    told = options.get(kind)
    return [
        {"name": name, **(wanted if isinstance(wanted, dict) else {"tags": wanted})}
        for name, wanted in (told.items() if isinstance(told, dict) else ())
    ]


def _param(written: str, default: ast.expr | None) -> dict[str, Any]:
    choices = _choices(written)
    try:
        value = None if default is None else ast.literal_eval(default)
    except ValueError:
        value = None
    if type(value).__name__ not in TYPES:
        value = None
    known = choices[0] if choices else value
    type_ = written if written in TYPES else type(known).__name__ if known is not None else "str"
    if value is None or (type(value).__name__ != type_ and (type_, type(value)) != ("float", int)):
        return {"type": type_, "required": True, **({"choices": choices} if choices else {})}
    return {"type": type_, "default": value, **({"choices": choices} if choices else {})}


def _choices(written: str) -> list[Any]:
    """What `Literal[…]` allows, if it is all of one type of params."""
    found = re.fullmatch(r"(?:typing\.)?Literal\[(.*)\]", written, re.DOTALL)
    try:
        values = list(ast.literal_eval(f"[{found[1]}]")) if found else []
    except (ValueError, SyntaxError):
        return []
    kinds = {type(value).__name__ for value in values}
    return values if len(kinds) == 1 and kinds <= set(TYPES) else []
