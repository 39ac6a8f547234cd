"""Plans as values: what runs, on what, with what, and what of that may change later.

A `Definition` never changes and its digest is what makes two plans the same; `PlanSettings` may
change at any time and count for runs that start afterwards.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import Literal

import msgspec
from blake3 import blake3

from raykqi.domain.filters import Filter
from raykqi.domain.resources import Resources
from raykqi.domain.tags import Tag

__all__ = ["BUILTIN_PLANS", "CODE_INPUT", "LOG_OUTPUT", "Launcher", "NodeRules", "Param", "ParamType", "Plan"]
__all__ += ["Code", "Definition", "Limits", "PlanInput", "PlanOutput", "PlanPage", "PlanQuery", "PlanSettings"]
__all__ += ["Scalar", "Take"]

Take = Literal["each", "latest", "all"]
Launcher = Literal["process", "sandbox", "container"]
ParamType = Literal["str", "int", "float", "bool"]
Scalar = str | int | float | bool

BUILTIN_PLANS = ("raykqi#uploaded", "raykqi#imported", "raykqi#code", "raykqi#served")
CODE_INPUT = "(code)"  # the input of a run that names its code; brackets keep it apart from names of users
LOG_OUTPUT = "(log)"
PENDING = 10_000


class PlanInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """`id` and `timestamp` are the system tags that an input may ask for. `path` is absolute, or "" in functions."""

    name: str
    path: str = ""
    tags: tuple[Tag, ...] = ()
    id: str = ""
    timestamp: datetime | None = None
    take: Take = "each"


class PlanOutput(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    path: str = ""
    tags: tuple[Tag, ...] = ()


class Param(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    type: ParamType = "str"
    value: Scalar | None = None
    choices: tuple[Scalar, ...] = ()


class NodeRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """Labels `key=value`: on nodes that have them all, if possible on those, and which taints are borne."""

    may: tuple[str, ...] = ()
    prefer: tuple[str, ...] = ()
    must: tuple[str, ...] = ()


class Code(msgspec.Struct, frozen=True, omit_defaults=True):
    """The code that a plan brings along, as data of the workspace. `source` says where it came from."""

    tree: str
    data: str = ""
    source: str = ""


class Definition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a plan is. A command plan has `command`, or an image with `entrypoint` and `args`; a function
    plan has `function`, as `module:name` inside its code."""

    inputs: tuple[PlanInput, ...]
    outputs: tuple[PlanOutput, ...] = ()
    log: tuple[Tag, ...] | None = None
    name: str = ""
    image: str = ""
    entrypoint: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    function: str = ""
    code: Code | None = None
    params: tuple[Param, ...] = ()
    env: dict[str, str] = {}
    runtime_env: dict[str, object] = {}
    launcher: Launcher = "process"
    retries: int = 0
    backoff: float = 1.0
    timeout: float = 0.0
    grace: float = 10.0
    priority: int = 0
    join: tuple[str, ...] = ()
    reuse: bool = False
    on_node: NodeRules = NodeRules()

    @property
    def digest(self) -> str:
        """The same for two definitions that would do the same.

        Which data holds the code does not matter, nor in which order inputs, outputs and params are listed.
        """
        same = msgspec.structs.replace(
            self,
            code=self.code and Code(self.code.tree),
            inputs=tuple(sorted(self.inputs, key=attrgetter("name"))),
            outputs=tuple(sorted(self.outputs, key=attrgetter("name"))),
            params=tuple(sorted(self.params, key=attrgetter("name"))),
        )
        return blake3(msgspec.json.encode(same, order="deterministic")).hexdigest()

    @property
    def title(self) -> str:
        """What people call it when it has no name."""
        if self.name or self.image or self.function:
            return self.name or self.image or self.function
        words = self.command or ("plan",)
        shown = words[2:] if words[1:2] in (("-c",), ("-ec",)) and len(words) > 2 else words
        return " ".join(" ".join(shown).split())[:60]


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """`running` 0 means as many as fit; `pending` is how many runs may wait before the rest is held back."""

    running: int = 0
    pending: int = PENDING


class PlanSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    active: bool = True
    resources: Resources = Resources()
    limits: Limits = Limits()
    service_account: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """One plan as the workspace knows it. `backlog` is about how many runs are held back; `held` why none starts."""

    id: str
    project: str
    definition: Definition
    settings: PlanSettings
    created: datetime
    creator: str
    digest: str
    backlog: bool = False
    held: str = ""
    runs: dict[str, int] = {}

    @property
    def title(self) -> str:
        return self.definition.title


class PlanQuery(msgspec.Struct, frozen=True):
    active: bool | None = None
    image: str = ""
    name: str = ""
    in_tags: tuple[Tag, ...] = ()
    out_tags: tuple[Tag, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    project: str = "default"
    filters: tuple[Filter, ...] = ()


class PlanPage(msgspec.Struct, frozen=True):
    items: tuple[Plan, ...]
    next_cursor: str = ""
