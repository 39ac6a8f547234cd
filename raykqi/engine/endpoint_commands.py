"""What one may ask the controller to do with endpoints. An endpoint is named by its id; names are resolved before."""

from __future__ import annotations

import msgspec

from raykqi.domain.data import TreeRef
from raykqi.domain.endpoint import EndpointSpec, RevisionStatus
from raykqi.domain.tags import Tag

__all__ = ["ChangeEndpoint", "DeployEndpoint", "EndJob", "EndpointCommand", "HoldEndpoint", "MoveRevision", "Promote"]
__all__ += ["RemoveEndpoint", "RollBack", "TakeJob"]


class DeployEndpoint(msgspec.Struct, frozen=True):
    """Make the endpoint of this name, or say all anew of the one that is there.

    A model that could not be loaded is tried again. A pinned one stays so, unless it is bound to something else.
    """

    by: str
    name: str
    spec: EndpointSpec
    project: str = "default"


class ChangeEndpoint(msgspec.Struct, frozen=True):
    """None leaves it as it is. One that follows again takes up the newest match at once."""

    by: str
    endpoint: str
    paused: bool | None = None
    pinned: bool | None = None
    reason: str = ""
    project: str = ""


class RemoveEndpoint(msgspec.Struct, frozen=True):
    by: str
    endpoint: str
    reason: str = ""
    project: str = ""


class Promote(msgspec.Struct, frozen=True):
    """A revision that waits is approved, one that is a canary goes live, and any other comes back.

    0 is the one that is on its way, else the newest. Whoever is no manager may approve only if named.
    """

    by: str
    endpoint: str
    revision: int = 0
    project: str = ""
    is_manager: bool = True


class RollBack(msgspec.Struct, frozen=True):
    """Serve the model `data` again, which it served before, and follow its tags no more; "" is the one before."""

    by: str
    endpoint: str
    data: str = ""
    reason: str = ""
    project: str = ""


class MoveRevision(msgspec.Struct, frozen=True):
    """By the controller: done only while the revision is still in the status `before`."""

    by: str
    endpoint: str
    revision: int
    before: RevisionStatus
    status: RevisionStatus
    reason: str = ""


class HoldEndpoint(msgspec.Struct, frozen=True):
    by: str
    endpoint: str
    reason: str


class TakeJob(msgspec.Struct, frozen=True):
    """`request` is stored; it becomes data with these tags and the job in one entry."""

    by: str
    endpoint: str
    request: TreeRef
    kind: str
    content_type: str
    tags: tuple[Tag, ...] = ()
    reused: frozenset[str] = frozenset()
    generation: int = 0
    project: str = ""


class EndJob(msgspec.Struct, frozen=True):
    """The stored `result` becomes data made of the request and the model of `revision`, or there is a `reason`.

    A job that has ended already is left as it is, and what came late is not recorded.
    """

    by: str
    endpoint: str
    job: str
    revision: int = 0
    result: TreeRef | None = None
    tags: tuple[Tag, ...] = ()
    reused: frozenset[str] = frozenset()
    generation: int = 0
    reason: str = ""


EndpointCommand = (
    DeployEndpoint
    | ChangeEndpoint
    | RemoveEndpoint
    | Promote
    | RollBack
    | MoveRevision
    | HoldEndpoint
    | TakeJob
    | EndJob
)
