"""What passes between the controller and the replicas of an endpoint: what shall be served, and how it goes."""

from __future__ import annotations

from typing import Literal

import msgspec

from raykqi.domain.endpoint import EndpointSpec, Loading, RevisionStatus

__all__ = ["LATENCIES_MS", "Counts", "JobOrder", "Report", "ReportedRevision", "Wanted", "WantedRevision"]

# Upper bounds of the buckets in which latencies are counted; one more holds what took longer.
LATENCIES_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0)


class WantedRevision(msgspec.Struct, frozen=True):
    """`share` of the requests goes to it; the shares of those that are ready count relative to each other.

    `code` is the tree of the code of the plan that made the model, or "". `tags` are those of its data that say
    things of the model as its card does.
    """

    number: int
    data: str
    tree: str
    loading: Loading
    status: RevisionStatus
    share: float
    code: str = ""
    tags: tuple[str, ...] = ()


class JobOrder(msgspec.Struct, frozen=True):
    """A job that this replica shall do; `tree` is that of its request, whose one file is called `request`."""

    job: str
    request: str
    tree: str
    kind: str
    content_type: str


class Wanted(msgspec.Struct, frozen=True):
    """All that a replica has to know; `version` counts on with every change, `access` with every change of rights.

    Without `revisions` nothing is served, and `reason` says why.
    """

    version: int
    endpoint: str
    name: str
    project: str
    spec: EndpointSpec
    revisions: tuple[WantedRevision, ...] = ()
    jobs: tuple[JobOrder, ...] = ()
    access: int = 0
    reason: str = ""


class Counts(msgspec.Struct, frozen=True):
    """Of one revision in one replica since that began: answers, those with 5xx and 4xx, and how long they took."""

    answers: int = 0
    errors: int = 0
    refused: int = 0
    seconds: float = 0.0
    latencies: tuple[int, ...] = ()
    batches: int = 0


class ReportedRevision(msgspec.Struct, frozen=True):
    number: int
    state: Literal["loading", "ready", "failed"]
    reason: str = ""
    counts: Counts = Counts()


class Report(msgspec.Struct, frozen=True):
    """How a replica is. It is answered at once when `version` is not the newest, else when there is something new."""

    endpoint: str
    replica: str
    version: int
    node: str = ""
    revisions: tuple[ReportedRevision, ...] = ()
    jobs: tuple[str, ...] = ()  # that it is doing
    waiting: int = 0  # requests
    is_leaving: bool = False
