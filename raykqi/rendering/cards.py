"""The shapes of a lineage picture: a card for data, a pill for a run, a sign for an endpoint.

A shape is measured first, then drawn as SVG elements around its own upper left corner, as broad as
its column. Colours are classes; `style.py` has them.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple
from xml.sax.saxutils import escape

from raykqi.domain.lineage import DataNode, EndpointNode, RunNode, Stub
from raykqi.domain.tags import Tag
from raykqi.rendering.labels import is_named, other_tags, show_size, state_of, title_of
from raykqi.rendering.text import clean, clip, em_width

__all__ = ["DataCard", "EndpointSign", "RunPill", "StubCard", "number", "text"]

NARROWEST, WIDEST = 160.0, 276.0
PADDING, BAR = 14.0, 4.0
LEFT = PADDING + BAR
NAME_SIZE, PLAN_SIZE, FACTS_SIZE, CHIP_SIZE, ID_SIZE = 13.5, 12.5, 10.5, 10.0, 10.5
MONO_CHAR = 0.61
CHIP_TOP, CHIP_HEIGHT, CHIP_GAP, CHIP_ROWS, CHIP_KEY_EM = 51.0, 17.0, 5.0, 2, 9.0
MORE_WIDTH = 28.0
DOT_ROOM = 50.0


class Chip(NamedTuple):
    x: float
    row: int
    width: float
    key: str
    value: str


def number(value: float) -> str:
    """One decimal is finer than a screen."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def text(x: float, y: float, style: str, words: str, *, anchor: str = "") -> str:
    side = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{number(x)}" y="{number(y)}" class="{style}"{side}>{escape(words)}</text>'


class DataCard:
    """Name, id, tags as chips unless `brief`, and what there is of it."""

    corner = 9.0

    def __init__(self, node: DataNode, short: str, *, brief: bool) -> None:
        self._node = node
        self._short = short
        self._facts = _facts(node)
        self._chips = [] if brief else _chips(other_tags(node))
        needed = max(
            em_width(title_of(node)) * NAME_SIZE,
            len(short) * MONO_CHAR * ID_SIZE,
            em_width(self._facts) * FACTS_SIZE,
            *(chip.x + chip.width for chip in self._chips),
        )
        rows = self._chips[-1].row + 1 if self._chips else 0
        self._facts_line = CHIP_TOP + rows * (CHIP_HEIGHT + CHIP_GAP) + (10.5 if rows else 6)
        self.width = min(WIDEST, max(NARROWEST, ceil(needed) + 1 + LEFT + PADDING))
        self.height = self._facts_line + 12.5

    def draw(self, width: float) -> list[str]:
        node, room, low = self._node, width - LEFT - PADDING, self.height
        named = "name" if is_named(node) else "name unnamed"
        return [
            _title(f"data {node.id}", *map(str, node.tags[:20]), *_epitaph(node), f"by {node.creator}"),
            f'<rect class="frame" width="{number(width)}" height="{number(low)}" rx="9"/>',
            # The bar of colour follows the round corners of its card.
            f'<path class="bar" d="M9 0A9 9 0 0 0 0 9V{number(low - 9)}A9 9 0 0 0 9 {number(low)}'
            f'C6.5 {number(low)} 5 {number(low - 4)} 5 {number(low - 9)}V9C5 4 6.5 0 9 0Z"/>',
            text(LEFT, 24, named, clip(title_of(node), room / NAME_SIZE)),
            text(LEFT, 40, "id", self._short),
            *map(_draw_chip, self._chips),
            text(LEFT, self._facts_line, "facts", clip(self._facts, room / FACTS_SIZE)),
        ]


class RunPill:
    """The plan, and the state of this run."""

    height = 46.0
    corner = 23.0

    def __init__(self, node: RunNode, short: str) -> None:
        self._node = node
        self._state = f"{node.status} · {short}"
        needed = max(em_width(clean(node.shown)) * PLAN_SIZE, em_width(self._state) * FACTS_SIZE)
        self.width = min(WIDEST - 24, max(120.0, ceil(needed) + 1 + DOT_ROOM))

    def draw(self, width: float) -> list[str]:
        node, room = self._node, width - DOT_ROOM
        return [
            _title(f"run {node.id}", f"plan {node.shown}", node.status, f"by {node.creator}"),
            f'<rect class="frame" width="{number(width)}" height="46" rx="23"/>',
            '<circle class="dot" cx="20" cy="23" r="4.5"/>',
            text(33, 21, "plan", clip(node.shown, room / PLAN_SIZE) or "—"),
            text(33, 35.5, "facts", clip(self._state, room / FACTS_SIZE)),
        ]


class EndpointSign:
    """The name of the endpoint, and whether it answers; its corners tell it from a run."""

    height = 46.0
    corner = 3.0

    def __init__(self, node: EndpointNode) -> None:
        self._node = node
        self._state = f"endpoint, {node.status}"
        needed = max(em_width(clean(node.name)) * PLAN_SIZE, em_width(self._state) * FACTS_SIZE)
        self.width = min(WIDEST - 24, max(120.0, ceil(needed) + 1 + DOT_ROOM))

    def draw(self, width: float) -> list[str]:
        node, room = self._node, width - DOT_ROOM
        return [
            _title(f"endpoint {node.name}", node.id, node.status, f"by {node.creator}"),
            f'<rect class="frame" width="{number(width)}" height="46" rx="3"/>',
            '<path class="dot" d="M20 17l6 6-6 6-6-6Z"/>',
            text(33, 21, "plan", clip(node.name, room / PLAN_SIZE) or "—"),
            text(33, 35.5, "facts", clip(self._state, room / FACTS_SIZE)),
        ]


class StubCard:
    """What is of another project: that it is there, and whether it is data or a run."""

    height = 46.0

    def __init__(self, stub: Stub, short: str) -> None:
        self._stub = stub
        self._short = short
        self.corner = 9.0 if stub.kind == "data" else RunPill.corner
        self.width = max(120.0, ceil(len(short) * MONO_CHAR * ID_SIZE) + 1 + DOT_ROOM)

    def draw(self, width: float) -> list[str]:
        return [
            _title(f"{self._stub.kind} of {self._stub.shown}"),
            f'<rect class="frame" width="{number(width)}" height="46" rx="{number(self.corner)}"/>',
            text(LEFT, 21, "plan", clip(self._stub.shown, (width - LEFT) / PLAN_SIZE)),
            text(LEFT, 36, "id", self._short),
        ]


def _facts(node: DataNode) -> str:
    if node.tombstone or node.status != "done":
        return state_of(node)
    files = "1 file" if node.files == 1 else f"{node.files:,} files"
    return f"{show_size(node.size)} · {files} · {state_of(node)}"


def _title(*lines: str) -> str:
    return f"<title>{escape(chr(10).join(filter(None, map(clean, lines))))}</title>"


def _epitaph(node: DataNode) -> tuple[str, ...]:
    return (state_of(node), node.tombstone.reason) if node.tombstone else ()


def _chips(tags: tuple[Tag, ...]) -> list[Chip]:
    """Tags in two rows at most, and a count of those that found no place."""
    room = WIDEST - LEFT - PADDING
    widest = room - MORE_WIDTH - CHIP_GAP
    chips: list[Chip] = []
    x, row = 0.0, 0
    for index, tag in enumerate(tags):
        key = clip(tag.key, CHIP_KEY_EM)
        value = clip(tag.value, (widest - 17) / CHIP_SIZE - em_width(key))
        width = (em_width(key) + em_width(value)) * CHIP_SIZE + 17
        last_row, last_tag = row == CHIP_ROWS - 1, index == len(tags) - 1
        kept_free = MORE_WIDTH + CHIP_GAP if last_row and not last_tag else 0.0
        if x and x + width + kept_free > room:
            if last_row:
                return [*chips, Chip(x, row, MORE_WIDTH, f"+{len(tags) - index}", "")]
            x, row = 0.0, row + 1
        chips.append(Chip(x, row, width, key, value))
        x += width + CHIP_GAP
    return chips


def _draw_chip(chip: Chip) -> str:
    x, y = LEFT + chip.x, CHIP_TOP + chip.row * (CHIP_HEIGHT + CHIP_GAP)
    value = f' <tspan class="value">{escape(chip.value)}</tspan>' if chip.value else ""
    return (
        f'<rect class="chip" x="{number(x)}" y="{number(y)}" width="{number(chip.width)}" '
        f'height="{number(CHIP_HEIGHT)}" rx="5"/>'
        f'<text x="{number(x + 7)}" y="{number(y + 12.2)}" class="key">{escape(chip.key)}{value}</text>'
    )
