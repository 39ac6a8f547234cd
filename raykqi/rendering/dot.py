"""A lineage in Graphviz's language: data as small tables, runs and endpoints as coloured boxes.

Labels are HTML-like, where only markup has a meaning, so any text is safe once it is escaped.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from raykqi.domain.lineage import DataNode, EndpointNode, Lineage, RunNode
from raykqi.rendering.labels import other_tags, short_ids, show_size, state_of, title_of
from raykqi.rendering.style import ENDPOINT_COLOURS, LIGHT, RUN_COLOURS, STATE_COLOURS
from raykqi.rendering.text import clean, clip

__all__ = ["quoted", "to_dot"]

LINE_EM = 32.0
MOST_TAGS = 6
HEAD = (
    "digraph lineage {",
    '  graph [rankdir=LR, nodesep=0.25, ranksep=0.6, fontname="Helvetica,Noto Sans CJK JP"];',
    '  node [shape=plain, fontname="Helvetica,Noto Sans CJK JP", fontsize=11];',
    f'  edge [fontname="Helvetica,Noto Sans CJK JP", fontsize=9, color="{LIGHT.edge}", fontcolor="{LIGHT.muted}", '
    "arrowsize=0.7];",
)


def to_dot(lineage: Lineage) -> str:
    short = short_ids(lineage)
    start, cut = set(lineage.start), set(lineage.cut)
    lines = [*HEAD]
    for data in lineage.data:
        rows = [*_data_rows(data, short[data.id]), *_rest(data.id in cut)]
        gone = data.tombstone is not None
        frame = _frame(STATE_COLOURS[data.status], LIGHT.card, chosen=data.id in start, dashed=gone)
        lines.append(_node(data.id, rows, frame, _epitaph(data)))
    for run in lineage.runs:
        rows = [*_run_rows(run, short[run.id]), *_rest(run.id in cut)]
        colour = RUN_COLOURS[run.status]
        lines.append(_node(run.id, rows, _frame(colour, f"{colour}22", chosen=run.id in start), run.id))
    for endpoint in lineage.endpoints:
        colour, gone = ENDPOINT_COLOURS[endpoint.status], endpoint.status == "removed"
        frame = _frame(colour, f"{colour}22", chosen=endpoint.id in start, dashed=gone)
        lines.append(_node(endpoint.id, _endpoint_rows(endpoint), frame, f"endpoint {endpoint.name}"))
    for stub in lineage.stubs:
        rows = [_bold(stub.shown), _small(short[stub.id], LIGHT.muted)]
        lines.append(_node(stub.id, rows, _frame(LIGHT.muted, LIGHT.ground, chosen=False, dashed=True), stub.shown))
    known = short.keys()
    lines += [
        f"  {quoted(edge.source)} -> {quoted(edge.target)} [label={quoted(clip(edge.name, 14))}];"
        for edge in lineage.edges
        if edge.source in known and edge.target in known
    ]
    return "\n".join([*lines, "}", ""])


def _node(node: str, rows: list[str], frame: str, tooltip: str) -> str:
    cells = "".join(f'<TR><TD ALIGN="LEFT">{row}</TD></TR>' for row in rows)
    table = f'<TABLE CELLBORDER="0" CELLSPACING="4" CELLPADDING="1" {frame}>{cells}</TABLE>'
    return f"  {quoted(node)} [label=<{table}>, tooltip={quoted(tooltip)}];"


def _frame(colour: str, fill: str, *, chosen: bool, dashed: bool = False) -> str:
    border = f'BORDER="3" COLOR="{LIGHT.start}"' if chosen else f'BORDER="1" COLOR="{colour}"'
    return f'{border} BGCOLOR="{fill}" STYLE="ROUNDED{",DASHED" if dashed else ""}"'


def _data_rows(node: DataNode, short: str) -> list[str]:
    tags = other_tags(node)
    shown = [_small(str(tag), LIGHT.ink) for tag in tags[:MOST_TAGS]]
    more = [_small(f"+{len(tags) - MOST_TAGS} tags", LIGHT.muted)] if len(tags) > MOST_TAGS else []
    gone = bool(node.tombstone) or node.status != "done"
    facts = state_of(node) if gone else f"{show_size(node.size)} · {state_of(node)}"
    return [_bold(title_of(node)), _small(short, LIGHT.muted), *shown, *more, _small(facts, LIGHT.muted)]


def _run_rows(node: RunNode, short: str) -> list[str]:
    return [
        _bold(node.shown),
        f'<FONT COLOR="{RUN_COLOURS[node.status]}">●</FONT> {_small(f"{node.status} · {short}", LIGHT.muted)}',
    ]


def _endpoint_rows(node: EndpointNode) -> list[str]:
    mark = f'<FONT COLOR="{ENDPOINT_COLOURS[node.status]}">◆</FONT>'
    return [_bold(node.name), f"{mark} {_small(f'endpoint, {node.status}', LIGHT.muted)}"]


def _rest(is_cut: bool) -> list[str]:
    return ["<B>…</B>"] if is_cut else []


def _epitaph(node: DataNode) -> str:
    return f"{node.id} {state_of(node)}: {node.tombstone.reason}" if node.tombstone else node.id


def _bold(text: str) -> str:
    return f"<B>{_text(text)}</B>"


def _small(text: str, colour: str) -> str:
    return f'<FONT POINT-SIZE="9" COLOR="{colour}">{_text(text)}</FONT>'


def _text(text: str) -> str:
    # Graphviz takes `]` before the end of a label for the end of a CDATA section.
    return escape(clip(text, LINE_EM) or "—", {"]": "&#93;"})


def quoted(text: str) -> str:
    escaped = clean(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
