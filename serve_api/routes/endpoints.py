"""Endpoints: what is served, how it is rolled out, and who saw what came of a data."""

from __future__ import annotations

from typing import Annotated

import msgspec

from raykqi.domain.endpoint import (
    Batching,
    Binding,
    Canary,
    Endpoint,
    EndpointPage,
    EndpointSpec,
    Gate,
    Guard,
    Job,
    JobPage,
    Loading,
    RequestLimits,
    Sampling,
    Scale,
    ServingResources,
)
from raykqi.domain.rollout import Report
from raykqi.domain.tags import Tag
from raykqi.domain.text import check_text
from raykqi.errors import UnknownId
from serve_api.asking import Asked
from serve_api.routes.data import ID, Limit
from serve_api.routes.identity import Issued, NewToken, Seconds, issue
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

routes = Routes("endpoints", prefix=PROJECT)
_SPEC = EndpointSpec(Binding(tags=(Tag("type", "model"), Tag("stage", "prod"))), canary=Canary(0.1))


class Listed(msgspec.Struct, frozen=True):
    limit: Limit = 50
    cursor: str = ""


class NewEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of an endpoint that is there, all is said anew."""

    name: str
    spec: EndpointSpec


class EndpointEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is; each of these takes the place of the whole before."""

    binding: Binding | None = None
    loading: Loading | None = None
    batching: Batching | None = None
    limits: RequestLimits | None = None
    scale: Scale | None = None
    resources: ServingResources | None = None
    gate: Gate | None = None
    canary: Canary | None = None
    guard: Guard | None = None
    sampling: Sampling | None = None
    is_public: bool | None = None
    surge: bool | None = None


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """0 is the revision that is on its way, else the newest."""

    revision: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0


class Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To this model, which it served before; "" is the one before."""

    data: str = ""
    reason: str = ""


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str = ""


class Removal(msgspec.Struct, frozen=True):
    reason: str = ""


class NewEndpointToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For 90 days unless `expires_in` says otherwise."""

    name: str
    user: str = ""
    expires_in: Seconds | None = None


@routes.get("/endpoints", needs="viewer")
def list_endpoints(asked: Asked, query: Listed) -> EndpointPage:
    """The endpoints of the project, by name"""
    return asked.workspace.endpoint_page(limit=query.limit, cursor=query.cursor)


@routes.post("/endpoints", needs="member", status=201, also=(200,), once=True, example=NewEndpoint("digits", _SPEC))
def deploy_endpoint(asked: Asked, body: NewEndpoint) -> Endpoint:
    """Serve a model: one data, or always the newest with some tags

    It is answered at once; the revision that it leads to goes from `loading` to `live`.
    """
    known = _is_there(asked, body.name)
    deployed = asked.workspace.deploy(body.name, spec=body.spec)
    asked.answer_status = 200 if known else 201
    asked.answer_headers["Location"] = f"/api/v1/projects/{asked.project}/endpoints/{deployed.name}"
    return deployed


@routes.get("/endpoints/{name}", needs="viewer", tagged=True)
def show_endpoint(asked: Asked, name: str) -> Endpoint:
    """What is said of an endpoint, and which revision served when"""
    return asked.workspace.endpoint(name)


@routes.patch(
    "/endpoints/{name}", needs="member", conditional=True, tagged=True, example=EndpointEdit(scale=Scale(0, 3))
)
def change_endpoint(asked: Asked, name: str, body: EndpointEdit) -> Endpoint:
    """Change what is said of it. Another model or way to load it makes a new revision; the rest restarts nothing"""
    given = {field: value for field in body.__struct_fields__ if (value := getattr(body, field)) is not None}
    spec = msgspec.structs.replace(asked.workspace.endpoint(name).spec, **given)
    return asked.workspace.change_endpoint(name, spec=spec)


@routes.delete("/endpoints/{name}", needs="member", conditional=True, once=True, status=204)
def remove_endpoint(asked: Asked, name: str, query: Removal) -> None:
    """It answers no more, and its tokens end. What it served when stays in the lineage"""
    asked.workspace.remove_endpoint(name, check_text(query.reason, "reason"))


@routes.post("/endpoints/{name}/promote", needs="member", conditional=True, once=True, example=Promotion(3))
def promote_revision(asked: Asked, name: str, body: Promotion) -> Endpoint:
    """Approve a revision that waits, make a canary live, or bring one back"""
    workspace = asked.workspace
    if asked.caller.may("manager", workspace.project_name):
        return workspace.promote(name, body.revision)
    return workspace.promote_if_named(name, body.revision)


@routes.post("/endpoints/{name}/rollback", needs="member", conditional=True, once=True, example=Rollback(ID, "wrong"))
def roll_back_endpoint(asked: Asked, name: str, body: Rollback) -> Endpoint:
    """Serve an earlier model again, and follow tags no more"""
    return asked.workspace.rollback(name, body.data or None, body.reason)


@routes.post("/endpoints/{name}/pause", needs="member", conditional=True, once=True, example=Why("bad training data"))
def pause_endpoint(asked: Asked, name: str, body: Why) -> Endpoint:
    """Take it off: requests are refused with 503 and the reason"""
    return asked.workspace.pause(name, body.reason)


@routes.post("/endpoints/{name}/resume", needs="member", conditional=True, once=True)
def resume_endpoint(asked: Asked, name: str) -> Endpoint:
    """Let it answer again"""
    return asked.workspace.resume(name)


@routes.post("/endpoints/{name}/follow", needs="member", conditional=True, once=True)
def follow_with_endpoint(asked: Asked, name: str) -> Endpoint:
    """After a rollback: follow what it is bound to again, at once"""
    return asked.workspace.follow_tags(name)


@routes.get("/endpoints/{name}/jobs", needs="viewer")
def list_jobs(asked: Asked, name: str, query: Listed) -> JobPage:
    """The requests that were left at it to be answered later, newest first"""
    return asked.workspace.job_page(name, limit=query.limit, cursor=query.cursor)


@routes.get("/jobs/{job}", needs="viewer")
def show_job(asked: Asked, job: str) -> Job:
    """One job of any endpoint of the project; its request and result are data"""
    return asked.workspace.job(job)


@routes.get("/endpoints/{name}/replicas", needs="viewer")
def list_replicas(asked: Asked, name: str) -> list[Report]:
    """How its replicas do, in their own words: which revisions are ready, what they answered, how much waits"""
    return asked.workspace.endpoint_replicas(name)


# Without an Idempotency-Key, as other tokens are made: a second answer could not show its text again.
@routes.post("/endpoints/{name}/tokens", needs="viewer", status=201, example=NewEndpointToken("shop"))
def issue_endpoint_token(asked: Asked, name: str, body: NewEndpointToken) -> Issued:
    """A token that may ask this endpoint and do nothing else; for others too, as an administrator"""
    token = NewToken(body.name, body.user, asked.project, endpoint=name, expires_in=body.expires_in)
    return issue(asked, token)


@routes.get("/lineage/{node}/endpoints", needs="viewer")
def affected_endpoints(asked: Asked, node: str) -> list[Endpoint]:
    """The endpoints that serve or served a data, or what came of a data or run"""
    return asked.workspace.affected_endpoints(node)


@routes.post("/lineage/{node}/endpoints/pull", needs="member", example=Why("labels were swapped"))
def pull_endpoints(asked: Asked, node: str, body: Why) -> list[Endpoint]:
    """Pause every endpoint that serves what came of a data or run, or is about to; those that were paused"""
    why = check_text(body.reason, "reason") or f"it answers with what came of {node}"
    data = {each.id for each in asked.workspace.impact(node).data}
    serving = [each for each in asked.workspace.affected_endpoints(node) if each.serves(data)]
    return [asked.workspace.pause(each.name, why) for each in serving]


def _is_there(asked: Asked, name: str) -> bool:
    try:
        asked.workspace.endpoint(name)
    except UnknownId:
        return False
    return True
