"""Runs: what was run, what runs and what waits; stop, retry, remove."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.responses import RedirectResponse, Response

from raykqi.domain.beat import Beat, BeatFile
from raykqi.domain.filter_text import by_field
from raykqi.domain.run import STATUSES, Run, RunPage, RunQuery, RunStatus
from raykqi.domain.text import check_text
from raykqi.errors import NotFound
from serve_api.asking import Asked
from serve_api.dashboard import page_of
from serve_api.routes.data import ID, Limit
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

routes = Routes("runs", prefix=PROJECT)


class RunsWanted(msgspec.Struct, frozen=True):
    """Any of the values of a parameter, all of the parameters. A name of a plan means all plans that have it.

    `filter` as `field:expression`, such as `ended:>=2026-11-20`; of those all must hold.
    """

    status: tuple[RunStatus, ...] = ()
    plan: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    filter: tuple[str, ...] = ()


class RunsListed(RunsWanted, frozen=True):
    order: Literal["newest", "oldest"] = "newest"
    limit: Limit = 50
    cursor: str = ""


class RunCount(msgspec.Struct, frozen=True):
    count: int
    by_status: dict[str, int] = {}


class LinkedRun(Run, frozen=True):
    """`links` leads to pages about it, such as `dashboard`: Ray's own."""

    links: dict[str, str] = msgspec.field(default_factory=dict)


class RunsMeant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    runs: tuple[str, ...]


class RunsStopped(RunsMeant, frozen=True, forbid_unknown_fields=True):
    """What they have made so far counts as done, unless they shall `fail`."""

    fail: bool = False


class RunsRemoved(RunsMeant, frozen=True, forbid_unknown_fields=True):
    reason: str = ""


@routes.get("/runs", needs="viewer")
def list_runs(asked: Asked, query: RunsListed) -> RunPage:
    """The runs that meet all conditions"""
    return asked.workspace.run_page(_query(asked, query, query.order), limit=query.limit, cursor=query.cursor)


@routes.get("/runs/count", needs="viewer", shows=RunCount(3, {"running": 1, "waiting": 2}))
def count_runs(asked: Asked, query: RunsWanted) -> RunCount:
    """How many runs meet all conditions, together and by status"""
    wanted = _query(asked, query, "newest")
    counts = {
        status: asked.workspace.count_runs(msgspec.structs.replace(wanted, statuses=(status,)))
        for status in wanted.statuses or STATUSES
    }
    return RunCount(sum(counts.values()), {status: count for status, count in counts.items() if count})


@routes.post("/runs/statuses", needs="viewer", example=RunsMeant((ID,)), shows={ID: "running"})
def statuses_of_runs(asked: Asked, body: RunsMeant) -> dict[str, str]:
    """How far these runs have come, by their ids"""
    return asked.workspace.statuses(body.runs)


@routes.post("/runs/stop", needs="member", example=RunsStopped((ID,)))
def stop_runs(asked: Asked, body: RunsStopped) -> list[Run]:
    """End them"""
    return asked.workspace.stop(body.runs, fail=body.fail)


@routes.post("/runs/retry", needs="member", once=True, example=RunsMeant((ID,)))
def retry_runs(asked: Asked, body: RunsMeant) -> list[Run]:
    """Run them again, on the same data; what they had made gives way to what comes"""
    return asked.workspace.retry(body.runs)


@routes.post("/runs/remove", needs="member", once=True, example=RunsRemoved((ID,), "wrong parameters"))
def remove_runs(asked: Asked, body: RunsRemoved) -> list[str]:
    """Remove what they made; their assignments never run again"""
    return asked.workspace.remove_runs(body.runs, check_text(body.reason, "reason"))


@routes.get("/runs/{run}", needs="viewer")
def show_run(asked: Asked, run: str) -> LinkedRun:
    """Everything known about one run"""
    found = asked.workspace.run(run)
    return LinkedRun(**msgspec.structs.asdict(found), links=links_of(asked, found))


@routes.get("/runs/{run}/beat", needs="viewer")
def beat_of_run(asked: Asked, run: str) -> Beat | None:
    """How the current attempt is doing; null before it began"""
    return asked.workspace.beat(run)


@routes.get("/runs/{run}/files", needs="viewer")
def files_of_run(asked: Asked, run: str) -> list[BeatFile]:
    """The files in its outputs: those written so far while it runs, those that were kept when it has ended"""
    return asked.workspace.files(run)


@routes.get("/runs/{run}/dashboard", needs="viewer", answer=None, status=303)
def dashboard_of_run(asked: Asked, run: str) -> Response:
    """To the page of a run in Ray's own dashboard"""
    found = asked.workspace.run(run)
    dashboard = asked.api.options.dashboard
    if not dashboard:
        raise NotFound(
            "this server knows of no dashboard of Ray", hint="`raykqi up` brings one, unless told otherwise."
        )
    return RedirectResponse(page_of(dashboard, found), 303)


def links_of(asked: Asked, run: Run) -> dict[str, str]:
    base = f"/api/v1/projects/{run.project}/runs/{run.id}"
    links = {"self": base, "log": f"{base}/log", "lineage": f"/api/v1/projects/{run.project}/lineage/{run.id}"}
    return links | ({"dashboard": f"{base}/dashboard"} if asked.api.options.dashboard and run.attempt else {})


def _query(asked: Asked, wanted: RunsWanted, order: str) -> RunQuery:
    return asked.workspace.run_query(
        status=wanted.status,
        plan=wanted.plan,
        input=wanted.input,
        output=wanted.output,
        since=wanted.since or None,
        until=wanted.until or None,
        filters=by_field(wanted.filter, ":"),
        oldest_first=order == "oldest",
    )
