"""What a transaction of the index remembers from round to round."""

from __future__ import annotations

from dataclasses import dataclass, field

from raykqi.catalog.ports import Ports

__all__ = ["Match", "Memory"]

Match = tuple[int, int]  # an input and a data, by number


@dataclass
class Memory:
    """Numbers of its data, and the inputs of all plans.

    `matches` are those of data that became done in it.
    """

    ports: Ports
    has_plans: bool = False
    numbers: dict[str, int] = field(default_factory=dict)
    matches: list[Match] = field(default_factory=list)
