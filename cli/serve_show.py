"""`raykqi serve list`, `show`, `spec`, `jobs` and `logs`: what there is to know about endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.command import command
from cli.output import harmless
from cli.serve_text import (
    EndpointName,
    address_of,
    binding_of,
    endpoint_record,
    next_step,
    one_line,
    since,
    spec_facts,
    state_of,
)
from cli.session import Session, is_server
from cli.table import Column
from cli.values import parse_limit, short_ids, show_count, show_local

if TYPE_CHECKING:
    from raykqi.domain.endpoint import Endpoint

__all__ = ["register", "show_endpoint"]

COLUMNS = (
    Column("NAME", style="bold"),
    Column("STATE", least=8),
    Column("REVISION", right=True),
    Column("MODEL", style="cyan", weight=3),
    Column("FOLLOWS", least=12, weight=1),
    Column("SINCE", weight=2),
    Column("REMARK", least=12, weight=1),
)
REVISIONS = (
    Column("REVISION", right=True, style="bold"),
    Column("STATUS"),
    Column("MODEL", style="cyan"),
    Column("SINCE", weight=2),
    Column("BY", weight=1),
    Column("WHY", least=12, weight=3),
)
HISTORY = (
    Column("WHEN", style="dim"),
    Column("REVISION", right=True),
    Column("BECAME"),
    Column("BY"),
    Column("WHY", least=12, weight=1),
)
JOBS = (
    Column("ID", style="cyan"),
    Column("STATUS"),
    Column("CREATED"),
    Column("BY", weight=1),
    Column("REQUEST", weight=2),
    Column("RESULT", weight=3),
    Column("REMARK", least=12, weight=1),
)
Limit = Annotated[str, typer.Option("--limit", "-n", metavar="N", help="So many, or all.")]


def register(app: typer.Typer) -> None:
    command(app, "list", examples="raykqi serve list\nraykqi serve list --json")(list_)
    command(app, "show", examples="raykqi serve show digits\nraykqi serve show digits --history")(show)
    command(app, "spec", examples="raykqi serve spec digits > digits.yaml\nraykqi serve deploy -f digits.yaml")(spec)
    command(app, "jobs", examples="raykqi serve jobs digits\nraykqi serve jobs digits -n all --json")(jobs)
    command(app, "logs", examples="raykqi serve logs digits\nraykqi serve logs -f digits")(logs)


def list_(session: Session, limit: Limit = "all") -> None:
    """The endpoints of the project, and what answers."""
    with session.open() as workspace:
        found = workspace.endpoints(limit=parse_limit(limit, "--limit"))
    if session.json:
        session.out.json([endpoint_record(each) for each in found])
        return
    if not found:
        session.out.note("There are no endpoints. Next: raykqi serve deploy NAME --tags type:model")
        return
    models = {each.id: each.live.data for each in found if each.live}
    short = short_ids(models.values())
    rows = [
        [
            each.name,
            state_of(each),
            str(each.live.number) if each.live else "",
            short.get(models.get(each.id, ""), ""),
            binding_of(each),
            since(each.live) if each.live else "",
            _remark(each),
        ]
        for each in found
    ]
    session.out.table(COLUMNS, rows)


def show(
    session: Session,
    name: EndpointName,
    history: Annotated[bool, typer.Option("--history", help="Every step of every revision.")] = False,
) -> None:
    """What answers, what is on its way, what served when, and what to do next."""
    with session.open() as workspace:
        found = workspace.endpoint(name)
        url = address_of(workspace, found.name)
        # Only the process that serves knows that; a folder that is opened here does not.
        running = len(workspace.endpoint_replicas(found.name)) if is_server(workspace.url) else None
    if session.json:
        session.out.json(endpoint_record(found) | ({} if running is None else {"running": running}))
    else:
        show_endpoint(session, found, url, history=history, running=running)


def spec(session: Session, name: EndpointName) -> None:
    """What was said of it, as a file that `deploy -f` takes."""
    from raykqi.importers.endpoint_file import render_endpoint

    with session.open() as workspace:
        found = workspace.endpoint(name)
    if session.json:
        session.out.json(endpoint_record(found)["spec"])
    else:
        session.out.text(render_endpoint(found.name, found.spec))


def jobs(session: Session, name: EndpointName, limit: Limit = "50") -> None:
    """Requests that are answered later, newest first; their results are data."""
    with session.open() as workspace:
        found = workspace.jobs(name, limit=parse_limit(limit, "--limit"))
    if session.json:
        session.out.json([msgspec.to_builtins(job) for job in found])
    elif found:
        rows = [
            [job.id, job.status, show_local(job.created), job.by, job.request, job.result, job.reason] for job in found
        ]
        session.out.table(JOBS, rows)
    else:
        session.out.note(f"There are no jobs. Next: curl --data-binary @request.json URL/endpoints/{name}/jobs")


def logs(
    session: Session,
    name: EndpointName,
    replica: Annotated[str, typer.Option("--replica", metavar="ID", help="Of this replica alone.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the endpoint is removed.")] = False,
) -> None:
    """What its models and replicas have written, those that are gone too."""
    with session.open() as workspace:
        session.out.bytes(workspace.endpoint_log(name, replica=replica, follow=follow), at_once=follow)


def show_endpoint(
    session: Session, endpoint: Endpoint, url: str, *, history: bool = False, running: int | None = None
) -> None:
    facts = [(label, value) for label, value in _facts(endpoint, url, running) if value]
    width = max(len(label) for label, _ in facts)
    for label, value in facts:
        session.out.line(f"{session.out.styled(label.ljust(width), 'dim')}  {harmless(value)}")
    short = short_ids(each.data for each in endpoint.revisions)
    if endpoint.revisions:
        session.out.line()
        rows = [
            [
                str(each.number),
                each.status,
                short[each.data],
                since(each),
                each.history[-1].by if each.history else each.by,
                each.reason,
            ]
            for each in reversed(endpoint.revisions)
        ]
        session.out.table(REVISIONS, rows)
    if history:
        steps = [(step, each.number) for each in endpoint.revisions for step in each.history]
        steps.sort(key=lambda each: each[0].at)
        session.out.line()
        session.out.table(
            HISTORY,
            [[show_local(step.at, seconds=True), str(at), step.status, step.by, step.reason] for step, at in steps],
        )
    session.out.note(f"Next: {next_step(endpoint)}")


def _facts(endpoint: Endpoint, url: str, running: int | None) -> Iterator[tuple[str, str]]:
    live, coming = endpoint.live, endpoint.coming
    yield "name", endpoint.name
    yield "state", f"{state_of(endpoint)}: {endpoint.reason}" if endpoint.reason else state_of(endpoint)
    yield "url", url
    if running is not None:
        is_asleep = not running and endpoint.live and not endpoint.spec.scale.least and not endpoint.is_paused
        yield "running", "nothing: it sleeps until somebody asks" if is_asleep else show_count(running, "replica")
    yield "serves", f"data {live.data}, revision {live.number} since {since(live)}" if live else "nothing"
    if coming:
        why = f": {one_line(coming.reason)}" if coming.reason else ""
        yield "next", f"data {coming.data}, revision {coming.number} is {coming.status}{why}"
    last = endpoint.revisions[-1] if endpoint.revisions else None
    if last and last.status in ("failed", "withdrawn"):
        yield "last", one_line(f"data {last.data}, revision {last.number} is {last.status}: {last.reason}")
    yield "follows", binding_of(endpoint)
    yield from spec_facts(endpoint.spec)
    yield "created", f"{show_local(endpoint.created, seconds=True)} by {endpoint.creator}"
    yield "project", "" if endpoint.project == "default" else endpoint.project
    yield "id", endpoint.id


def _remark(endpoint: Endpoint) -> str:
    if endpoint.reason:
        return endpoint.reason
    if coming := endpoint.coming:
        return coming.reason
    last = endpoint.revisions[-1] if endpoint.revisions else None
    return (
        f"revision {last.number} is {last.status}: {last.reason}"
        if last and last.status in ("failed", "withdrawn")
        else ""
    )
