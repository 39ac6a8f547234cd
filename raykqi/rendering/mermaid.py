"""A lineage as a Mermaid flowchart, for Markdown pages that draw it themselves.

Mermaid reads labels as HTML and as Markdown; every character that could mean something in either is
written as a character code, which Mermaid turns back into text after both.
"""

from __future__ import annotations

import re

from raykqi.domain.lineage import DataNode, Lineage
from raykqi.rendering.labels import nodes_of, other_tags, short_ids, show_size, state_of, title_of
from raykqi.rendering.style import ENDPOINT_COLOURS, LIGHT, RUN_COLOURS, STATE_COLOURS
from raykqi.rendering.text import clip

__all__ = ["escaped", "to_mermaid"]

LINE_EM = 32.0
MOST_TAGS = 3
# What Mermaid draws unless its page raises the limits.
USUAL_EDGES, USUAL_CHARS = 500, 50_000

# Plain between letters (`train-v1.2`); at the edges of words Markdown may see a list or emphasis.
_JOINER = re.compile(r"(?<=[^\W_])(?<!www)[-.](?=[^\W_])", re.IGNORECASE)
_MEANING = re.compile(r"[!-/:-@\[-`{-~]")


def to_mermaid(lineage: Lineage) -> str:
    short = short_ids(lineage)
    names = {node.id: f"n{place}" for place, node in enumerate(nodes_of(lineage))}
    start, cut = set(lineage.start), set(lineage.cut)
    lines = ["flowchart LR"]
    for data in lineage.data:
        label = _label(*_data_lines(data, short[data.id]), *(["…"] if data.id in cut else []))
        lines.append(f'  {names[data.id]}["{label}"]:::{"start" if data.id in start else data.status}')
    for run in lineage.runs:
        label = _label(run.shown, f"{run.status} · {short[run.id]}", *(["…"] if run.id in cut else []))
        style = "start" if run.id in start else f"run_{run.status}"
        lines.append(f'  {names[run.id]}(["{label}"]):::{style}')
    for endpoint in lineage.endpoints:
        label = _label(endpoint.name, f"endpoint, {endpoint.status}")
        style = "start" if endpoint.id in start else f"endpoint_{endpoint.status}"
        lines.append(f'  {names[endpoint.id]}{{{{"{label}"}}}}:::{style}')
    for stub in lineage.stubs:
        label = _label(stub.shown, short[stub.id])
        lines.append(
            f'  {names[stub.id]}["{label}"]:::other'
            if stub.kind == "data"
            else f'  {names[stub.id]}(["{label}"]):::other'
        )
    edges = [edge for edge in lineage.edges if edge.source in names and edge.target in names]
    for edge in edges:
        arrow = f'-->|"{escaped(edge.name, 14)}"|' if clip(edge.name, 14) else "-->"
        lines.append(f"  {names[edge.source]} {arrow} {names[edge.target]}")
    lines += _classes(lineage)
    size = sum(map(len, lines)) + len(lines)
    if len(edges) > USUAL_EDGES or size > USUAL_CHARS:
        lines.insert(1, f"  %% to draw this, set maxEdges to {len(edges)} and maxTextSize to {size + 200} in Mermaid")
    return "\n".join([*lines, ""])


def _data_lines(node: DataNode, short: str) -> list[str]:
    tags = other_tags(node)
    more = [f"+{len(tags) - MOST_TAGS} tags"] if len(tags) > MOST_TAGS else []
    facts = f"{show_size(node.size)} · {state_of(node)}" if node.status == "done" else state_of(node)
    return [title_of(node), short, *map(str, tags[:MOST_TAGS]), *more, facts]


def _classes(lineage: Lineage) -> list[str]:
    states = [
        f"  classDef {state} fill:{LIGHT.card},stroke:{STATE_COLOURS[state]},color:{LIGHT.ink}{dashes}"
        for state in sorted({node.status for node in lineage.data})
        for dashes in [",stroke-dasharray:5 4" if state in {"purged", "removed"} else ""]
    ]
    runs = [
        f"  classDef run_{state} fill:{RUN_COLOURS[state]}22,stroke:{RUN_COLOURS[state]}"
        for state in sorted({node.status for node in lineage.runs})
    ]
    served = [
        f"  classDef endpoint_{state} fill:{ENDPOINT_COLOURS[state]}22,stroke:{ENDPOINT_COLOURS[state]}"
        for state in sorted({node.status for node in lineage.endpoints})
    ]
    return [
        *states,
        *runs,
        *served,
        *([f"  classDef other fill:{LIGHT.ground},stroke:{LIGHT.muted},stroke-dasharray:5 4"] if lineage.stubs else []),
        f"  classDef start fill:{LIGHT.halo},stroke:{LIGHT.start},stroke-width:3px,color:{LIGHT.ink}",
    ]


def _label(*lines: str) -> str:
    return "<br/>".join(escaped(line, LINE_EM) or "—" for line in lines)


def escaped(text: str, width: float) -> str:
    shown = clip(text, width)
    joiners = {match.start() for match in _JOINER.finditer(shown)}
    return "".join(
        f"#{ord(char)};" if _MEANING.match(char) and place not in joiners else char for place, char in enumerate(shown)
    )
