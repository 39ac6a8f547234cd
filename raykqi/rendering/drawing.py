"""One function for all pictures and texts of a lineage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePath

from raykqi.domain.lineage import Lineage
from raykqi.errors import InvalidInput

__all__ = ["FORMATS", "draw", "format_of"]

FORMATS = ("text", "json", "dot", "mermaid", "svg", "openlineage")
PRODUCER = "urn:raykqi:raykqi"
_ENDINGS = {
    ".json": "json",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".svg": "svg",
    ".txt": "text",
    ".ndjson": "openlineage",
    ".jsonl": "openlineage",
}


def draw(lineage: Lineage, format: str = "text", *, namespace: str = "raykqi") -> str:  # noqa: A002
    """The lineage in one of FORMATS; `namespace` is where OpenLineage files its jobs.

    OpenLineage comes as newline-delimited JSON, one event a line. All but `text`, which is made to
    be printed, ends its last line, as a file should.
    """
    if format not in FORMATS:
        raise InvalidInput(f"there is no format {format!r}", hint=f"Choose one of {', '.join(FORMATS)}.")
    drawing: dict[str, Callable[[], str]] = {
        "text": lambda: _text(lineage),
        "json": lambda: _json(lineage),
        "dot": lambda: _dot(lineage),
        "mermaid": lambda: _mermaid(lineage),
        "svg": lambda: _svg(lineage),
        "openlineage": lambda: _openlineage(lineage, namespace),
    }
    return drawing[format]()


def format_of(path: str) -> str:
    """The format that a file's ending asks for."""
    ending = PurePath(path).suffix.lower()
    if ending not in _ENDINGS:
        raise InvalidInput(
            f"{path!r} does not say which format it wants", hint=f"End it in {', '.join(_ENDINGS)}, or give --format."
        )
    return _ENDINGS[ending]


def _text(lineage: Lineage) -> str:
    from raykqi.rendering.outline import to_text

    return to_text(lineage)


def _json(lineage: Lineage) -> str:
    from raykqi.rendering.records import to_json

    return json.dumps(to_json(lineage), ensure_ascii=False, indent=2) + "\n"


def _dot(lineage: Lineage) -> str:
    from raykqi.rendering.dot import to_dot

    return to_dot(lineage)


def _mermaid(lineage: Lineage) -> str:
    from raykqi.rendering.mermaid import to_mermaid

    return to_mermaid(lineage)


def _svg(lineage: Lineage) -> str:
    from raykqi.rendering.svg import to_svg

    return to_svg(lineage)


def _openlineage(lineage: Lineage, namespace: str) -> str:
    from raykqi.rendering.openlineage import to_openlineage

    events = to_openlineage(lineage, namespace=namespace, producer=PRODUCER)
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
