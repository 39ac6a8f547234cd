"""What passes between the controller and the nodes: an order to carry out one attempt, and reports on it.

Orders hold everything that a node needs besides the object storage, so that it never asks back.
"""

from __future__ import annotations

import msgspec

from raykqi.domain.data import TreeRef
from raykqi.domain.plan import Definition, Scalar
from raykqi.domain.resources import Resources
from raykqi.domain.run import Exit, Usage

__all__ = ["LONG_FUNCTION", "Attempt", "Completing", "Ended", "Lost", "NodeShape", "Order", "OrderInput"]
__all__ += ["OrderOutput", "OrderTree", "Report", "Running", "Stored"]

LONG_FUNCTION = 1.0  # seconds from which the call of a function is watched, and leaves a receipt as commands do


class Attempt(msgspec.Struct, frozen=True):
    run: str
    number: int


class OrderTree(msgspec.Struct, frozen=True):
    data: str
    tree: str


class OrderInput(msgspec.Struct, frozen=True):
    """`take: all` has any number of trees, each in a folder named by its data; the others have one."""

    name: str
    path: str
    trees: tuple[OrderTree, ...]
    is_many: bool = False


class OrderOutput(msgspec.Struct, frozen=True):
    name: str
    path: str
    data: str


class Order(msgspec.Struct, frozen=True):
    """`log` is the id of the data that takes the log, or ""; `env` is what hooks added.

    With `token` the command may act in its project, at the server at `url`.
    """

    attempt: Attempt
    plan: str
    project: str
    workspace: str
    definition: Definition
    resources: Resources
    inputs: tuple[OrderInput, ...]
    outputs: tuple[OrderOutput, ...]
    params: dict[str, Scalar] = {}
    log: str = ""
    env: dict[str, str] = {}
    generation: int = 0
    url: str = ""
    token: str = ""

    def __repr__(self) -> str:
        """Without the token, and without what hooks added."""
        return f"Order({self.attempt!r}, plan={self.plan!r})"


class Stored(msgspec.Struct, frozen=True):
    """An output, or the log, whose bytes are in storage."""

    data: str
    tree: TreeRef


class Running(msgspec.Struct, frozen=True, tag=True):
    attempt: Attempt
    node: str = ""


class Completing(msgspec.Struct, frozen=True, tag=True):
    """The command has ended; its outputs are being stored."""

    attempt: Attempt


class Ended(msgspec.Struct, frozen=True, tag=True):
    """How the command itself ended, and what it left. `reused` are objects that storage already had."""

    attempt: Attempt
    exit: Exit
    stored: tuple[Stored, ...] = ()
    usage: Usage = Usage()
    node: str = ""
    reused: frozenset[str] = frozenset()
    generation: int = 0


class Lost(msgspec.Struct, frozen=True, tag=True):
    """Nothing will come of this attempt any more. `blameless` ones are begun again without counting as a retry."""

    attempt: Attempt
    reason: str
    blameless: bool = False


Report = Running | Completing | Ended | Lost


class NodeShape(msgspec.Struct, frozen=True):
    """What a node has in all, in the units of `Resources`, and its labels."""

    name: str
    total: Resources
    labels: dict[str, str] = {}
