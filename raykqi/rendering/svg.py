"""A lineage as one self-contained SVG: drawn here, without Graphviz or a browser, light and dark.

The same lineage always gives the same text. Groups carry `data-id`, so that a page can attach to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from raykqi.domain.lineage import Edge, EndpointNode, Lineage, Node, RunNode, Stub
from raykqi.rendering.cards import DataCard, EndpointSign, RunPill, StubCard, number, text
from raykqi.rendering.labels import nodes_of, short_ids, show_day, title_of
from raykqi.rendering.layout import Box, Layout, Point, lay_out
from raykqi.rendering.style import stylesheet
from raykqi.rendering.text import clean, clip, em_width

__all__ = ["MARKER", "curve", "to_svg"]

MARGIN, HEADER = 40.0, 58.0
HALO = 5.0
STUB = 16.0
TIP = 7.0
PORT_EM = 7.6
# Above this, a reader sees the shape of the lineage and not the tags of each card.
DETAILED_NODES = 400

MARKER = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" '
    'markerUnits="userSpaceOnUse"><path class="tip" d="M0 .6 8 4 0 7.4Z"/></marker></defs>'
)


Shape = DataCard | RunPill | EndpointSign | StubCard


class Picture(NamedTuple):
    """A lineage with its shapes in their places; `place_of` is where a node stands in `shapes` and `layout`."""

    lineage: Lineage
    place_of: dict[str, int]
    edges: list[Edge]
    shapes: list[Shape]
    layout: Layout


def to_svg(lineage: Lineage) -> str:
    picture = _compose(lineage)
    heading, subheading = _headings(lineage)
    width = number(max(picture.layout.width, em_width(heading) * 16, 280.0) + 2 * MARGIN)
    height = number(picture.layout.height + HEADER + 2 * MARGIN)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(heading)}</title>",
            f"<style>{stylesheet()}</style>",
            MARKER,
            f'<rect class="ground" width="{width}" height="{height}"/>',
            text(MARGIN, MARGIN + 8, "heading", heading),
            text(MARGIN, MARGIN + 28, "subheading", subheading),
            f'<g transform="translate({number(MARGIN)} {number(MARGIN + HEADER)})">',
            *_halos(picture),
            *(f'<path class="edge" d="{curve(route)}" marker-end="url(#tip)"/>' for route in picture.layout.routes),
            *_stubs(picture),
            *_nodes(picture),
            *_ports(picture),
            "</g>",
            "</svg>",
            "",
        ]
    )


def _compose(lineage: Lineage) -> Picture:
    short = short_ids(lineage)
    nodes = nodes_of(lineage)
    index = {node.id: place for place, node in enumerate(nodes)}
    edges = [edge for edge in lineage.edges if edge.source in index and edge.target in index]
    brief = len(nodes) > DETAILED_NODES
    shapes: list[Shape] = [DataCard(node, short[node.id], brief=brief) for node in lineage.data]
    shapes += [RunPill(node, short[node.id]) for node in lineage.runs]
    shapes += [EndpointSign(node) for node in lineage.endpoints]
    shapes += [StubCard(stub, short[stub.id]) for stub in lineage.stubs]
    boxes = [Box(shape.width, shape.height, _kind(node) == "data") for shape, node in zip(shapes, nodes, strict=True)]
    layout = lay_out(boxes, [(index[edge.source], index[edge.target]) for edge in edges])
    return Picture(lineage, index, edges, shapes, layout)


def _headings(lineage: Lineage) -> tuple[str, str]:
    names = {node.id: title_of(node) for node in lineage.data} | {node.id: node.shown for node in lineage.runs}
    served = "1 endpoint" if len(lineage.endpoints) == 1 else f"{len(lineage.endpoints):,} endpoints"
    asked = [clip(names.get(start, start), 30) for start in lineage.start[:3]]
    more = f" and {len(lineage.start) - 3} more" if len(lineage.start) > 3 else ""
    runs = "1 run" if len(lineage.runs) == 1 else f"{len(lineage.runs):,} runs"
    facts = [f"{len(lineage.data):,} data", runs, *([served] if lineage.endpoints else [])]
    if lineage.stubs:
        facts.append(f"{len(lineage.stubs):,} of another project")
    if lineage.cut:
        facts.append("goes on at …")
    if lineage.as_of:
        facts.append(f"as of {show_day(lineage.as_of)} UTC")
    return f"Lineage of {', '.join(asked) or 'nothing'}{more}", " · ".join(facts)


def curve(route: Sequence[Point]) -> str:
    """Level through the columns it passes, an S between them."""
    (x, y), *others = route
    parts = [f"M{number(x)} {number(y)}"]
    for place, (to_x, to_y) in enumerate(others):
        if place % 2:
            parts.append(f"H{number(to_x)}")
        else:
            bend = max((to_x - x) * 0.55, 24.0)
            points = ((x + bend, y), (to_x - bend, to_y), (to_x, to_y))
            parts.append("C" + " ".join(f"{number(at_x)} {number(at_y)}" for at_x, at_y in points))
        x, y = to_x, to_y
    return "".join(parts)


def _halos(picture: Picture) -> Iterator[str]:
    """A glow behind what was asked for; below the edges, so that their tips stay seen."""
    for start in picture.lineage.start:
        if (place := picture.place_of.get(start)) is not None:
            (x, y), shape = picture.layout.places[place], picture.shapes[place]
            yield (
                f'<rect class="halo" x="{number(x - HALO)}" y="{number(y - HALO)}" '
                f'width="{number(picture.layout.widths[place] + 2 * HALO)}" '
                f'height="{number(shape.height + 2 * HALO)}" rx="{number(shape.corner + HALO)}"/>'
            )


def _nodes(picture: Picture) -> Iterator[str]:
    started = set(picture.lineage.start)
    for place, node in enumerate(nodes_of(picture.lineage)):
        (x, y), shape = picture.layout.places[place], picture.shapes[place]
        status = "other" if isinstance(node, Stub) else node.status
        classes = [
            _kind(node),
            status,
            "gone" if status in {"purged", "removed", "other"} else "",
            "builtin" if getattr(node, "plan", "").startswith("raykqi#") else "",
            "start" if node.id in started else "",
        ]
        yield (
            f'<g class="{" ".join(filter(None, classes))}" data-id={quoteattr(clean(node.id))} '
            f'transform="translate({number(x)} {number(y)})">{"".join(shape.draw(picture.layout.widths[place]))}</g>'
        )


def _kind(node: Node) -> str:
    if isinstance(node, Stub):
        return node.kind
    if isinstance(node, EndpointNode):
        return "endpoint"
    return "run" if isinstance(node, RunNode) else "data"


def _stubs(picture: Picture) -> Iterator[str]:
    """A dotted end and `…` where lineage was left out: on the left of what has no past here, else on the right."""
    has_past = {edge.target for edge in picture.edges}
    for node in picture.lineage.cut:
        if (place := picture.place_of.get(node)) is None:
            continue
        x, y = picture.layout.places[place]
        middle = y + picture.shapes[place].height / 2
        side, anchor = (1, "start") if node in has_past else (-1, "end")
        near = x + picture.layout.widths[place] if side > 0 else x
        far = near + side * STUB
        yield (
            f"<g><title>more lineage here was left out</title>"
            f'<path class="stub" d="M{number(near + side * 3)} {number(middle)}H{number(far)}"/>'
            f"{text(far + side * 3, middle + 4, 'more', '…', anchor=anchor)}</g>"
        )


def _ports(picture: Picture) -> Iterator[str]:
    """The names of inputs, outputs and revisions, at the data's end of the edge, each name once."""
    names: dict[tuple[str, bool], dict[str, None]] = {}
    for edge in picture.edges:
        if edge.name:
            at = (edge.target, False) if edge.kind == "output" else (edge.source, True)
            shown = edge.name.removeprefix("revision ") if edge.kind == "serves" else edge.name
            names.setdefault(at, {})[shown] = None
    for (node, leaves), found in names.items():
        place = picture.place_of[node]
        x, y = picture.layout.places[place]
        line = y + picture.shapes[place].height / 2 - 5
        label = clip(", ".join(found), PORT_EM)
        if leaves:
            yield text(x + picture.layout.widths[place] + 8, line, "port", label)
        else:
            yield text(x - TIP - 5, line, "port", label, anchor="end")
