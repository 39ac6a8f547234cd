"""Endpoints as values: which model answers, how it is loaded and rolled out, and what became of each revision.

An endpoint is bound to a data by its id, or to the newest data with some tags. Each model that it was
bound to, with the way to load it, is a revision; its number stays, also when it comes back.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Literal

import msgspec

from raykqi.domain.ids import is_id
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag, parse_tags
from raykqi.domain.text import check_text
from raykqi.errors import InvalidInput

__all__ = ["ANSWERING", "CURRENT", "Batching", "Binding", "Canary", "Endpoint", "EndpointPage", "EndpointSpec", "Gate"]
__all__ += ["Guard", "Job", "JobPage", "JobStatus", "Loading", "Move", "Provider", "RequestLimits", "Revision"]
__all__ += ["RevisionStatus", "Sampling", "Scale", "ServingResources", "check_endpoint_name", "check_spec"]

RevisionStatus = Literal["waiting", "loading", "canary", "live", "retired", "withdrawn", "failed"]
CURRENT: tuple[RevisionStatus, ...] = ("waiting", "loading", "canary", "live")  # whose model must stay
ANSWERING: tuple[RevisionStatus, ...] = ("canary", "live")
Provider = Literal["auto", "cpu", "cuda"]
JobStatus = Literal["waiting", "done", "failed"]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?\Z")
MIB = 1024**2


class Binding(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One of the two: the id of a data, or the tags of which the newest data is followed."""

    data: str = ""
    tags: tuple[Tag, ...] = ()


class Loading(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the model is loaded: what of an endpoint makes another revision of the same data.

    `predictor` is `file.py:Class` in the model's data, else in the code of the plan that made it; "" finds the
    model. `trust` are types that skops may load, and `trust_pickle` lets foreign code in a pickle run.
    """

    predictor: str = ""
    trust: tuple[str, ...] = ()
    trust_pickle: bool = False
    provider: Provider = "auto"
    environment: dict[str, str] = {}


class Batching(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most `most` requests at a time through the model, and fewer when those take longer than the budget."""

    most: int = 64
    latency_ms: float = 50.0


class RequestLimits(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Of one request `body` bytes and `timeout` seconds; `queue` requests at a time in a replica; `rate` a second."""

    body: int = 64 * MIB
    timeout: float = 60.0
    queue: int = 512
    rate: float | None = None


class Scale(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Between `least` (0: none while nobody asks for `idle` seconds) and `most` replicas, of `target` requests each."""

    least: int = 1
    most: int = 1
    target: float = 16.0
    idle: float = 300.0


class ServingResources(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What Ray reserves for a replica: cores and GPUs, also parts of them; bytes, which the model may not exceed."""

    cpu: float = 0.1
    gpu: float = 0.0
    memory: int = 0


class Gate(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a new model passes first: a metric that is better than the current one's, the word of one of these users.

    `metric` is looked for in tags and in `metrics.json` of what runs made of the model; `least` is how much better.
    """

    metric: str = ""
    goal: Literal["higher", "lower"] = "higher"
    least: float = 0.0
    approvers: tuple[str, ...] = ()


class Canary(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A new model gets this share of the requests first, for `seconds` and until it has answered `requests`."""

    share: float = 0.0
    seconds: float = 60.0
    requests: int = 20


class Guard(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a new model goes back by itself: a share of errors, or a 99th percentile of milliseconds, above these.

    It is watched while it is a canary and for `seconds` after it went live; None watches nothing.
    """

    errors: float | None = 0.1
    latency_ms: float | None = None
    seconds: float = 60.0
    requests: int = 20


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """This share of requests and answers becomes data with `tags`, in files of `rows` or of `seconds`.

    Bodies over `body` bytes are left out, and the JSON fields in `leave_out` are struck out wherever they stand.
    """

    share: float = 0.0
    rows: int = 1_000
    seconds: float = 300.0
    body: int = 64 * 1024
    tags: tuple[Tag, ...] = ()
    leave_out: tuple[str, ...] = ()


class EndpointSpec(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a user says of an endpoint. `surge`: the new model is loaded before the old one goes."""

    binding: Binding
    loading: Loading = Loading()
    batching: Batching = Batching()
    limits: RequestLimits = RequestLimits()
    scale: Scale = Scale()
    resources: ServingResources = ServingResources()
    gate: Gate = Gate()
    canary: Canary = Canary()
    guard: Guard = Guard()
    sampling: Sampling = Sampling()
    is_public: bool = False
    surge: bool = True


class Move(msgspec.Struct, frozen=True):
    """One step of a revision: what it became, when, by whom and why."""

    at: datetime
    by: str
    status: RevisionStatus
    reason: str = ""


class Revision(msgspec.Struct, frozen=True):
    """`history` is what it was when, oldest first; `reason` is why it is what it is."""

    number: int
    data: str
    tree: str
    loading: Loading
    status: RevisionStatus
    created: datetime
    by: str
    cause: Cause
    reason: str = ""
    history: tuple[Move, ...] = ()


class Endpoint(msgspec.Struct, frozen=True):
    """`followed` is the last match of its tags that was acted upon; a pinned endpoint follows none.

    `reason` says what keeps it from being served, if anything does.
    """

    id: str
    name: str
    project: str
    spec: EndpointSpec
    created: datetime
    updated: datetime
    creator: str
    is_paused: bool = False
    is_pinned: bool = False
    followed: str = ""
    reason: str = ""
    revisions: tuple[Revision, ...] = ()

    @property
    def live(self) -> Revision | None:
        return next((each for each in self.revisions if each.status == "live"), None)

    @property
    def coming(self) -> Revision | None:
        """The one that is on its way to be live."""
        return next((each for each in self.revisions if each.status in ("waiting", "loading", "canary")), None)

    def serves(self, data: Collection[str]) -> bool:
        """Whether it answers with one of them, or is about to."""
        if self.is_paused:
            return False
        return any(each.status in CURRENT and each.data in data for each in self.revisions)


class EndpointPage(msgspec.Struct, frozen=True):
    items: tuple[Endpoint, ...]
    next_cursor: str = ""


class Job(msgspec.Struct, frozen=True):
    """A request that is answered later: `request` and, when it is done, `result` are data; this has the `tree`."""

    id: str
    endpoint: str
    project: str
    status: JobStatus
    request: str
    created: datetime
    by: str
    kind: str = "predict"
    content_type: str = "application/json"
    result: str = ""
    revision: int = 0
    ended: datetime | None = None
    reason: str = ""
    tree: str = ""


class JobPage(msgspec.Struct, frozen=True):
    items: tuple[Job, ...]
    next_cursor: str = ""


def check_endpoint_name(text: str) -> str:
    if not _NAME.match(text):
        raise InvalidInput(
            f"{text!r} is no name of an endpoint", hint="Up to 47 small letters, digits and hyphens, as in digits-2."
        )
    return text


def check_spec(spec: EndpointSpec) -> EndpointSpec:
    """Refused are values that nothing could be done with."""
    bound = spec.binding
    if bool(bound.data) == bool(bound.tags):
        raise InvalidInput(
            "an endpoint is bound to one data or to tags", hint="Give --data ID or --tags type:model,stage:prod."
        )
    if bound.data and not is_id(bound.data):
        raise InvalidInput(f"{bound.data!r} is no whole id of data", hint="`raykqi data show ID` prints all of it.")
    for tags in (bound.tags, spec.sampling.tags):
        if parse_tags(map(str, tags)) != tuple(sorted(set(tags))):
            raise InvalidInput(f"{', '.join(map(str, tags))} are no tags", hint="Write each as key:value.")
    for variable, content in spec.loading.environment.items():
        if not variable or "=" in variable:
            raise InvalidInput(f"{variable!r} is no name of a variable", hint="Write environment as NAME: VALUE.")
        check_text(variable, "environment")
        check_text(content, "environment")
    for text in (spec.loading.predictor, *spec.loading.trust, spec.gate.metric, *spec.gate.approvers):
        check_text(text, "spec")
    numbers = (
        ("batching.most", spec.batching.most, 1, 4096),
        ("batching.latency_ms", spec.batching.latency_ms, 0, 60_000),
        ("limits.body", spec.limits.body, 1, 1 << 40),
        ("limits.timeout", spec.limits.timeout, 0.001, 86_400),
        ("limits.queue", spec.limits.queue, 1, 100_000),
        ("limits.rate", spec.limits.rate, 0.001, 1e9),
        ("scale.least", spec.scale.least, 0, 1_000),
        ("scale.most", spec.scale.most, max(1, spec.scale.least), 1_000),
        ("scale.target", spec.scale.target, 0.1, 10_000),
        ("scale.idle", spec.scale.idle, 0, 86_400),
        ("resources.cpu", spec.resources.cpu, 0, 10_000),
        ("resources.gpu", spec.resources.gpu, 0, 1_000),
        ("resources.memory", spec.resources.memory, 0, 1 << 50),
        ("gate.least", spec.gate.least, 0, float("inf")),
        ("canary.share", spec.canary.share, 0, 1),
        ("canary.seconds", spec.canary.seconds, 0, 30 * 86_400),
        ("canary.requests", spec.canary.requests, 0, 1 << 40),
        ("guard.errors", spec.guard.errors, 0, 1),
        ("guard.latency_ms", spec.guard.latency_ms, 0.001, 1e9),
        ("guard.seconds", spec.guard.seconds, 0, 30 * 86_400),
        ("guard.requests", spec.guard.requests, 1, 1 << 40),
        ("sampling.share", spec.sampling.share, 0, 1),
        ("sampling.rows", spec.sampling.rows, 1, 1_000_000),
        ("sampling.seconds", spec.sampling.seconds, 0.1, 86_400),
        ("sampling.body", spec.sampling.body, 0, 1 << 30),
    )
    for name, value, least, most in numbers:
        if value is not None and not least <= value <= most:
            raise InvalidInput(f"{name} of {value} is not possible", hint=f"Give {least:g} to {most:g}.")
    if spec.resources.gpu > 1 and spec.resources.gpu % 1:
        raise InvalidInput(f"{spec.resources.gpu} GPUs cannot be given", hint="Above 1, Ray gives whole GPUs.")
    return spec
