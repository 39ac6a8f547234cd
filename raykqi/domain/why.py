"""Answers about plans as values: why data is taken or not, and which plans feed which."""

from __future__ import annotations

import msgspec

from raykqi.domain.tags import Tag

__all__ = ["InputReason", "PlanFlow", "PlanLink", "PlanNode", "Why"]


class InputReason(msgspec.Struct, frozen=True):
    """Of one input: the tags that the data lacks; `others` is how many data could sit there."""

    name: str
    is_match: bool
    missing: tuple[Tag, ...] = ()
    reason: str = ""
    others: int = 0


class Why(msgspec.Struct, frozen=True):
    """`text` says it in a sentence; `runs` are those that took the data in this plan."""

    plan: str
    data: str
    is_match: bool
    text: str
    inputs: tuple[InputReason, ...] = ()
    runs: tuple[str, ...] = ()


class PlanNode(msgspec.Struct, frozen=True):
    id: str
    title: str
    active: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class PlanLink(msgspec.Struct, frozen=True):
    """What `source` makes as `output` may sit in `input` of `target`."""

    source: str
    output: str
    target: str
    input: str


class PlanFlow(msgspec.Struct, frozen=True):
    plans: tuple[PlanNode, ...]
    links: tuple[PlanLink, ...]
    start: str = ""
