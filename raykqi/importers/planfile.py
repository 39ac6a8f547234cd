"""Plan files: YAML that holds one plan. Everything that Knitfab's plan files may hold means the same here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raykqi.errors import InvalidInput, NotFound
from raykqi.importers.building import build
from raykqi.importers.draft import Draft
from raykqi.importers.other_tools import refuse_other_tools
from raykqi.importers.params import with_params
from raykqi.importers.places import Places, quote
from raykqi.importers.variables import fill_in
from raykqi.importers.yaml_tree import MOST_BYTES, decode, read_tree

__all__ = ["read_plan", "read_sent_plan"]


def read_plan(
    source: Path | str,
    *,
    variables: Mapping[str, str] | None = None,
    params: Mapping[str, object] | None = None,
    name: str = "",
) -> Draft:
    """The plan in a file, or in a text of more than one line.

    `variables` fill in `${NAME}`, `params` replace defaults. `name` is what messages call a text.
    """
    if isinstance(source, str) and "\n" in source:
        return _read(source, name or "plan", None, variables or {}, params or {})
    path = Path(source)
    return _read(decode(_content(path), str(path)), str(path), path, variables or {}, params or {})


def read_sent_plan(
    text: str, *, variables: Mapping[str, str] | None = None, params: Mapping[str, object] | None = None
) -> Draft:
    """The plan in a text that came from another machine: nothing in it means a file or folder of this one."""
    tree, lines = read_tree(text, "plan")
    places = Places("plan", lines)
    hint = "Apply it by `raykqi plan apply` or raykqi.connect(…).apply(…), which send the code along."
    if isinstance(tree, dict):
        refuse_other_tools(tree, "plan")
        if "source" in tree:
            places.refuse(("source",), "a plan that is sent as text can bring no code along", hint=hint)
        around = tree.get("runtime_env")
        if isinstance(around, dict) and "working_dir" in around:
            places.refuse(("runtime_env",), "a plan that is sent as text can bring no working_dir along", hint=hint)
    return _read(text, "plan", None, variables or {}, params or {}, is_sent=True)


def _read(
    text: str,
    shown: str,
    path: Path | None,
    variables: Mapping[str, str],
    params: Mapping[str, object],
    *,
    is_sent: bool = False,
) -> Draft:
    tree, lines = read_tree(text, shown)
    places = Places(shown, lines)
    if tree is None:
        raise InvalidInput(f"{shown}: there is nothing in it", hint="`raykqi plan template --scratch` shows a plan.")
    if not isinstance(tree, dict):
        kind = "a list" if isinstance(tree, list) else f"the text {quote(str(tree))}"
        places.refuse((), f"a plan is lines of `key: value`, and this is {kind}", hint="Begin with `image: …`.")
    refuse_other_tools(tree, shown)
    filled = fill_in(tree, variables, places)
    assert isinstance(filled, dict)
    folder = None if is_sent else path.resolve().parent if path else Path.cwd()
    origin = str(path.resolve()) if path else ""
    return with_params(build(filled, places, folder=folder, origin=origin), params)


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InvalidInput(f"{str(path)!r} is a folder", hint="Name the plan file in it.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {str(path)!r}", hint="Name a plan file (YAML).") from None
    except ValueError:
        raise InvalidInput(f"{str(path)!r} is not a name of a file", hint="Name a plan file (YAML).") from None
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be read: {error.strerror}", hint="Name a plan file (YAML).") from None
