"""Which plans feed which, as text, DOT, Mermaid, SVG or JSON: the same look as a lineage.

A plan is a pill; an edge leads from the output of one to the input of another that may take it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import ceil
from xml.sax.saxutils import escape, quoteattr

import msgspec

from raykqi.domain.why import PlanFlow, PlanLink, PlanNode
from raykqi.errors import InvalidInput
from raykqi.rendering.cards import number, text
from raykqi.rendering.dot import quoted
from raykqi.rendering.layout import Box, Layout, lay_out
from raykqi.rendering.mermaid import escaped
from raykqi.rendering.style import LIGHT, RUN_COLOURS, stylesheet
from raykqi.rendering.svg import MARKER, curve
from raykqi.rendering.text import clean, clip, em_width

__all__ = ["PLAN_FORMATS", "draw_plans"]

PLAN_FORMATS = ("text", "json", "dot", "mermaid", "svg")
MARGIN, HEADER, HEIGHT = 40.0, 58.0, 46.0
NARROWEST, WIDEST, DOT_ROOM = 120.0, 252.0, 50.0
PORT_EM = 7.6
ACTIVE, INACTIVE = "done", "deactivated"


def draw_plans(flow: PlanFlow, format: str = "text") -> str:  # noqa: A002
    """The flow in one of PLAN_FORMATS; all but `text` ends its last line."""
    drawing: dict[str, Callable[[PlanFlow], str]] = {
        "text": _text,
        "json": _json,
        "dot": _dot,
        "mermaid": _mermaid,
        "svg": _svg,
    }
    if format not in drawing:
        raise InvalidInput(f"there is no format {format!r}", hint=f"Choose one of {', '.join(PLAN_FORMATS)}.")
    return drawing[format](flow)


def _text(flow: PlanFlow) -> str:
    """Each plan with what it feeds, those first that nothing feeds."""
    titles = {plan.id: clean(plan.title) for plan in flow.plans}
    leaving: dict[str, list[PlanLink]] = {}
    for link in flow.links:
        leaving.setdefault(link.source, []).append(link)
    lines = []
    for plan in _in_order(flow):
        state = "" if plan.active else " (inactive)"
        lines.append(f"▶ {clean(plan.title)}{state}")
        lines += [
            f"    {clean(link.output)} → {clean(link.input)} of {titles[link.target]}"
            for link in leaving.get(plan.id, [])
        ]
    return "\n".join(lines)


def _in_order(flow: PlanFlow) -> list[PlanNode]:
    """Every plan after those that feed it; in a circle, as they come."""
    fed_by: dict[str, set[str]] = {plan.id: set() for plan in flow.plans}
    feeds: dict[str, set[str]] = {plan.id: set() for plan in flow.plans}
    for link in flow.links:
        if link.source != link.target:
            fed_by[link.target].add(link.source)
            feeds[link.source].add(link.target)
    plans = {plan.id: plan for plan in flow.plans}
    ordered: dict[str, PlanNode] = {}
    free = [id_ for id_ in plans if not fed_by[id_]]
    while len(ordered) < len(plans):
        id_ = free.pop(0) if free else next(id_ for id_ in plans if id_ not in ordered)
        if id_ in ordered:
            continue
        ordered[id_] = plans[id_]
        for other in plans:
            if other in feeds[id_]:
                fed_by[other].discard(id_)
                if not fed_by[other]:
                    free.append(other)
    return list(ordered.values())


def _json(flow: PlanFlow) -> str:
    return json.dumps(msgspec.to_builtins(flow), ensure_ascii=False, indent=2) + "\n"


def _dot(flow: PlanFlow) -> str:
    lines = [
        "digraph plans {",
        '  graph [rankdir=LR, nodesep=0.3, ranksep=0.7, fontname="Helvetica,Noto Sans CJK JP"];',
        '  node [shape=box, style="rounded,filled", fontname="Helvetica,Noto Sans CJK JP", fontsize=11];',
        f'  edge [fontname="Helvetica,Noto Sans CJK JP", fontsize=9, color="{LIGHT.edge}", '
        f'fontcolor="{LIGHT.muted}", arrowsize=0.7];',
    ]
    for plan in flow.plans:
        colour = RUN_COLOURS[ACTIVE if plan.active else INACTIVE]
        border = f'color="{LIGHT.start}", penwidth=3' if plan.id == flow.start else f'color="{colour}"'
        label = quoted(clip(plan.title, 32))
        lines.append(
            f'  {quoted(plan.id)} [label={label}, fillcolor="{colour}22", {border}, tooltip={quoted(plan.id)}];'
        )
    for link in flow.links:
        ends = f"taillabel={quoted(clip(link.output, 14))}, headlabel={quoted(clip(link.input, 14))}"
        lines.append(f"  {quoted(link.source)} -> {quoted(link.target)} [{ends}];")
    return "\n".join([*lines, "}", ""])


def _mermaid(flow: PlanFlow) -> str:
    names = {plan.id: f"p{place}" for place, plan in enumerate(flow.plans)}
    lines = ["flowchart LR"]
    for plan in flow.plans:
        style = "start" if plan.id == flow.start else "active" if plan.active else "inactive"
        lines.append(f'  {names[plan.id]}(["{escaped(plan.title, 32) or "—"}"]):::{style}')
    for link in flow.links:
        label = f"{escaped(link.output, 14)} → {escaped(link.input, 14)}"
        lines.append(f'  {names[link.source]} -->|"{label}"| {names[link.target]}')
    for style, status in (("active", ACTIVE), ("inactive", INACTIVE)):
        lines.append(f"  classDef {style} fill:{RUN_COLOURS[status]}22,stroke:{RUN_COLOURS[status]}")
    lines.append(f"  classDef start fill:{LIGHT.halo},stroke:{LIGHT.start},stroke-width:3px,color:{LIGHT.ink}")
    return "\n".join([*lines, ""])


def _svg(flow: PlanFlow) -> str:
    place_of = {plan.id: place for place, plan in enumerate(flow.plans)}
    pairs = list(dict.fromkeys((place_of[link.source], place_of[link.target]) for link in flow.links))
    layout = lay_out([Box(_width(plan), HEIGHT, 0) for plan in flow.plans], pairs)
    heading = f"Plans around {clip(_title_of(flow), 40)}" if flow.start else "Plans"
    active = sum(plan.active for plan in flow.plans)
    facts = f"{len(flow.plans):,} plans, {active:,} active"
    width = number(max(layout.width, em_width(heading) * 16, 280.0) + 2 * MARGIN)
    height = number(layout.height + HEADER + 2 * MARGIN)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(heading)}</title>",
            f"<style>{stylesheet()}</style>",
            MARKER,
            f'<rect class="ground" width="{width}" height="{height}"/>',
            text(MARGIN, MARGIN + 8, "heading", heading),
            text(MARGIN, MARGIN + 28, "subheading", facts),
            f'<g transform="translate({number(MARGIN)} {number(MARGIN + HEADER)})">',
            *(f'<path class="edge" d="{curve(route)}" marker-end="url(#tip)"/>' for route in layout.routes),
            *_pills(flow, layout),
            *_ports(flow, layout, place_of),
            "</g>",
            "</svg>",
            "",
        ]
    )


def _title_of(flow: PlanFlow) -> str:
    return next((plan.title for plan in flow.plans if plan.id == flow.start), flow.start)


def _facts(plan: PlanNode) -> str:
    state = "" if plan.active else "inactive · "
    return f"{state}{', '.join(map(clean, plan.inputs))} → {', '.join(map(clean, plan.outputs)) or 'nothing'}"


def _width(plan: PlanNode) -> float:
    needed = max(em_width(clean(plan.title)) * 12.5, em_width(_facts(plan)) * 10.5)
    return min(WIDEST, max(NARROWEST, ceil(needed) + 1 + DOT_ROOM))


def _pills(flow: PlanFlow, layout: Layout) -> Iterator[str]:
    for place, plan in enumerate(flow.plans):
        (x, y), width = layout.places[place], layout.widths[place]
        classes = f"run {ACTIVE if plan.active else INACTIVE}{' start' if plan.id == flow.start else ''}"
        room = width - DOT_ROOM
        shapes = [
            f"<title>{escape(clean(plan.title))}\n{escape(clean(plan.id))}\n{escape(_facts(plan))}</title>",
            f'<rect class="frame" width="{number(width)}" height="{number(HEIGHT)}" rx="23"/>',
            '<circle class="dot" cx="20" cy="23" r="4.5"/>',
            text(33, 21, "plan", clip(plan.title, room / 12.5) or "—"),
            text(33, 35.5, "facts", clip(_facts(plan), room / 10.5)),
        ]
        at = f"translate({number(x)} {number(y)})"
        yield f'<g class="{classes}" data-id={quoteattr(clean(plan.id))} transform="{at}">{"".join(shapes)}</g>'


def _ports(flow: PlanFlow, layout: Layout, place_of: dict[str, int]) -> Iterator[str]:
    """What leaves a plan and what comes into it, at its ends."""
    ends: dict[tuple[int, bool], dict[str, None]] = {}
    for link in flow.links:
        ends.setdefault((place_of[link.source], True), {})[link.output] = None
        ends.setdefault((place_of[link.target], False), {})[link.input] = None
    for (place, leaves), names in ends.items():
        x, y = layout.places[place]
        line, label = y + HEIGHT / 2 - 5, clip(", ".join(names), PORT_EM)
        if leaves:
            yield text(x + layout.widths[place] + 8, line, "port", label)
        else:
            yield text(x - 12, line, "port", label, anchor="end")
