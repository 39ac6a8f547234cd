"""Lineage: where data and runs came from, what came of them, in every form in which it can be shown."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from starlette.responses import Response

from raykqi import draw
from raykqi.domain.lineage import Ancestries, Lineage
from serve_api.asking import Asked
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

Format = Literal["json", "mermaid", "dot", "svg", "text", "openlineage"]
MEDIA: dict[str, str] = {
    "mermaid": "text/vnd.mermaid; charset=utf-8",
    "dot": "text/vnd.graphviz; charset=utf-8",
    "svg": "image/svg+xml",
    "text": "text/plain; charset=utf-8",
    "openlineage": "application/x-ndjson",
}
# What a picture of somebody's tags must not do in a browser.
NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
routes = Routes("lineage", prefix=PROJECT)
SHOWN = tuple(MEDIA.values())


class Around(msgspec.Struct, frozen=True):
    """`depth` generations far, all of them without it; `as_of` shows it as it stood then."""

    way: Literal["up", "down", "both"] = "both"
    depth: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    siblings: bool = False
    as_of: str = ""
    format: Format = "json"


class FromTo(msgspec.Struct, frozen=True):
    ancestor: str
    descendant: str
    format: Format = "json"


class Two(msgspec.Struct, frozen=True):
    left: str
    right: str


@routes.get("/lineage/path", needs="viewer", answer=Lineage, media=SHOWN)
def path_between(asked: Asked, query: FromTo) -> Lineage | Response:
    """The shortest way from one data or run to another that came of it; empty when there is none"""
    return _shown(asked, asked.workspace.path(query.ancestor, query.descendant), query.format)


@routes.get("/lineage/compare", needs="viewer")
def compare_ancestries(asked: Asked, query: Two) -> Ancestries:
    """How the ancestries of two data or runs differ"""
    return asked.workspace.compare(query.left, query.right)


@routes.get("/lineage/{node}", needs="viewer", answer=Lineage, media=SHOWN)
def show_lineage(asked: Asked, node: str, query: Around) -> Lineage | Response:
    """Where a data or run came from and what came of it"""
    found = asked.workspace.lineage(
        node, way=query.way, depth=query.depth, siblings=query.siblings, as_of=query.as_of or None
    )
    return _shown(asked, found, query.format)


def _shown(asked: Asked, lineage: Lineage, wanted: Format) -> Lineage | Response:
    if wanted == "json":
        return lineage
    text = draw(lineage, wanted, namespace=f"raykqi:{asked.api.workspace.id}")
    return Response(text, media_type=MEDIA[wanted], headers=NO_SCRIPTS)
