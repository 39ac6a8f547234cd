"""What a reader is told about a node, in words: the same in every format.

Short ids are the shortest beginnings that tell the nodes of one lineage apart, so that they can be
typed where an id is asked for. They are at least as long as the time in an id.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from raykqi.domain.lineage import DataNode, Lineage, Node
from raykqi.domain.tags import Tag
from raykqi.rendering.text import clean

__all__ = ["is_named", "nodes_of", "other_tags", "short_ids", "show_day", "show_size", "state_of", "title_of"]

_SHORTEST = 13


def nodes_of(lineage: Lineage) -> tuple[Node, ...]:
    """All data, then all runs, then endpoints, then what is of other projects."""
    return (*lineage.data, *lineage.runs, *lineage.endpoints, *lineage.stubs)


def short_ids(lineage: Lineage) -> dict[str, str]:
    return dict(_tell_apart(sorted({node.id for node in nodes_of(lineage)})))


def is_named(node: DataNode) -> bool:
    tag = _title_tag(node)
    return tag is not None and tag.key == "name"


def title_of(node: DataNode) -> str:
    """The name, else the first tag, else that there is none."""
    tag = _title_tag(node)
    return (clean(tag.value if tag.key == "name" else str(tag)) if tag else "") or "(no tags)"


def other_tags(node: DataNode) -> tuple[Tag, ...]:
    """The tags that are not the title."""
    title = _title_tag(node)
    return tuple(tag for tag in node.tags if tag != title)


def state_of(node: DataNode) -> str:
    """`done` data show when they were made, all others why they cannot be used."""
    if stone := node.tombstone:
        return clean(f"{stone.kind} {show_day(stone.at)} by {stone.by}")
    return show_day(node.timestamp or node.created) if node.status == "done" else node.status


def show_size(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1023.95:  # what would be rounded up to 1024.0
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} PiB"


def show_day(moment: datetime) -> str:
    """To the minute, in UTC: a picture looks the same wherever it is drawn."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _title_tag(node: DataNode) -> Tag | None:
    names = (tag for tag in node.tags if tag.key == "name" and clean(tag.value))
    others = (tag for tag in node.tags if tag.key != "name")
    return next(names, next(others, None))


def _tell_apart(ids: list[str]) -> Iterable[tuple[str, str]]:
    for index, node in enumerate(ids):
        beside = [ids[other] for other in (index - 1, index + 1) if 0 <= other < len(ids)]
        length = max([_SHORTEST, *(_shared(node, other) + 1 for other in beside)])
        yield node, node[:length].rstrip("-")


def _shared(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
