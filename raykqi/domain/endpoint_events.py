"""The events of endpoints, their revisions, and requests that are answered later."""

from __future__ import annotations

from datetime import datetime

import msgspec

from raykqi.domain.endpoint import EndpointSpec, Loading, RevisionStatus
from raykqi.domain.run import Cause

__all__ = ["EndpointChanged", "EndpointDeployed", "EndpointEvent", "EndpointHeld", "EndpointRemoved", "JobEnded"]
__all__ += ["JobTaken", "RevisionMade", "RevisionMoved"]


class EndpointDeployed(msgspec.Struct, frozen=True, gc=False, tag="endpoint.deployed", tag_field="action"):
    """A new endpoint, or all that is now said of one that is there."""

    at: datetime
    by: str
    endpoint: str
    name: str
    spec: EndpointSpec
    project: str = "default"


class EndpointChanged(msgspec.Struct, frozen=True, gc=False, tag="endpoint.changed", tag_field="action"):
    """Paused or going on, pinned or following again, and up to which match of its tags; None: as it is."""

    at: datetime
    by: str
    endpoint: str
    paused: bool | None = None
    pinned: bool | None = None
    followed: str | None = None
    reason: str = ""


class EndpointHeld(msgspec.Struct, frozen=True, gc=False, tag="endpoint.held", tag_field="action"):
    """Why it is not served, such as that no node has what it asks for; "" when that is over."""

    at: datetime
    endpoint: str
    reason: str


class EndpointRemoved(msgspec.Struct, frozen=True, gc=False, tag="endpoint.removed", tag_field="action"):
    at: datetime
    by: str
    endpoint: str
    reason: str = ""


class RevisionMade(msgspec.Struct, frozen=True, gc=False, tag="revision.made", tag_field="action"):
    at: datetime
    by: str
    endpoint: str
    revision: int
    data: str
    loading: Loading
    status: RevisionStatus
    cause: Cause
    reason: str = ""


class RevisionMoved(msgspec.Struct, frozen=True, gc=False, tag="revision.moved", tag_field="action"):
    at: datetime
    by: str
    endpoint: str
    revision: int
    status: RevisionStatus
    reason: str = ""


class JobTaken(msgspec.Struct, frozen=True, gc=False, tag="job.taken", tag_field="action"):
    """`request` is data that the same entry records."""

    at: datetime
    by: str
    job: str
    endpoint: str
    request: str
    kind: str
    content_type: str


class JobEnded(msgspec.Struct, frozen=True, gc=False, tag="job.ended", tag_field="action"):
    """With the data that is its `result`, which the same entry records, or with the reason why there is none."""

    at: datetime
    job: str
    endpoint: str
    revision: int = 0
    result: str = ""
    reason: str = ""


EndpointEvent = (
    EndpointDeployed
    | EndpointChanged
    | EndpointHeld
    | EndpointRemoved
    | RevisionMade
    | RevisionMoved
    | JobTaken
    | JobEnded
)
