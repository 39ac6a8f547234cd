"""Where inputs and outputs are mounted, and what they are called."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence

from raykqi.importers.places import Places, Where, quote

__all__ = ["OF_THE_SYSTEM", "check_disjoint", "check_path", "derive_names"]

OF_THE_SYSTEM = ("proc", "sys", "dev")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_ODD = re.compile(r"\W+")


def check_path(path: str, places: Places, where: Where) -> str:
    """An absolute path without detours; a slash at the end is dropped."""
    if not path.startswith("/"):
        places.refuse(where, f"the path {quote(path)} is not absolute", hint=f"Write it as {quote('/' + path)}.")
    segments = path.strip("/").split("/") if path.strip("/") else []
    if not segments:
        places.refuse(where, "the path '/' would hide the whole system", hint="Name a folder, as in /in/dataset.")
    if ".." in segments:
        places.refuse(where, f"the path {quote(path)} holds '..'", hint="Write where it leads to.")
    if "" in segments or "." in segments or path.startswith("//"):
        clean = "/" + "/".join(part for part in segments if part not in ("", "."))
        places.refuse(where, f"the path {quote(path)} has empty parts or '.'", hint=f"Write {quote(clean)}.")
    if _CONTROL.search(path):
        places.refuse(where, f"the path {quote(path)} holds a control character", hint="Remove it.")
    if len(path.encode()) > 4000 or any(len(part.encode()) > 255 for part in segments):
        places.refuse(where, f"the path {quote(path)} is too long", hint="A part may have 255 bytes, all of it 4,000.")
    if segments[0] in OF_THE_SYSTEM:
        places.refuse(where, f"the path {quote(path)} belongs to the kernel", hint="Use another, as in /in/dataset.")
    return "/" + "/".join(segments)


def check_disjoint(paths: Sequence[tuple[str, Where]], places: Places) -> None:
    """No path is another one or inside of it; siblings such as /in/1 and /in/10 are."""
    ordered = sorted(((path.split("/"), path, where) for path, where in paths if path), key=lambda item: item[0])
    for (outer, outer_path, outer_where), (inner, inner_path, where) in itertools.pairwise(ordered):
        if inner[: len(outer)] == outer:
            relation = "is used twice" if inner == outer else f"lies inside {quote(outer_path)}"
            at, other = max((where, outer_where), (outer_where, where), key=_reading_order)
            hint = f"It overlaps with {places.show(other)}. Give each input and output a folder of its own."
            places.refuse(at, f"the path {quote(inner_path)} {relation}", hint=hint)


def _reading_order(pair: tuple[Where, Where]) -> tuple[str, ...]:
    return tuple(f"{part:09}" if isinstance(part, int) else part for part in pair[0])


def derive_names(paths: Sequence[str], taken: Sequence[str]) -> list[str]:
    """A name for each path: its last part, or as many parts as it takes to be the only one.

    What a name cannot have becomes `_`. Names differ even where case does not count.
    """
    names = [""] * len(paths)
    used = {name.upper() for name in taken}
    depth = dict.fromkeys(range(len(paths)), 1)
    for _ in range(max((path.count("/") for path in paths), default=0) + 1):
        for index, path in enumerate(paths):
            names[index] = _name(path, depth[index])
        upper = [name.upper() for name in names]
        clashing = [
            index
            for index, path in enumerate(paths)
            if (upper[index] in used or upper.count(upper[index]) > 1 or not names[index].isidentifier())
            and depth[index] < path.count("/")
        ]
        if not clashing:
            break
        for index in clashing:
            depth[index] += 1
    for index, name in enumerate(names):
        plain = name if name.isidentifier() else f"_{name}"
        count, unique = 1, plain
        while unique.upper() in used:
            count += 1
            unique = f"{plain}_{count}"
        used.add(unique.upper())
        names[index] = unique
    return names


def _name(path: str, depth: int) -> str:
    joined = unicodedata.normalize("NFKC", "_".join(path.strip("/").split("/")[-depth:]))
    return _ODD.sub("_", joined).strip("_") or "_"
