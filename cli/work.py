"""`raykqi work`: runs plans until nothing is left that could run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import command
from cli.live import LiveLine
from cli.machine import (
    Address,
    Cpus,
    Gpus,
    HooksFile,
    Label,
    LimitCpus,
    LimitGpus,
    LimitMemory,
    Memory,
    Resource,
    limit_of,
    machine_of,
)
from cli.run_news import RunNews
from cli.run_text import remark_of
from cli.session import Session
from cli.values import parse_duration, show_count

if TYPE_CHECKING:
    from raykqi.domain.run import Run

__all__ = ["register"]

WAITING_SHOWN = 10


def register(app: typer.Typer) -> None:
    command(app, "work", examples="raykqi work\nraykqi work --timeout 30m && raykqi data find -t type:model")(work)


def work(
    session: Session,
    address: Address = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = "",
    resource: Resource = None,
    label: Label = None,
    limit_cpus: LimitCpus = None,
    limit_gpus: LimitGpus = None,
    limit_memory: LimitMemory = "",
    hooks: HooksFile = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="Give up after so long: 90s, 2h.")] = "",
) -> None:
    """Run what waits and what comes of it, then end.

    Exits with 0 when everything that could run ended well, with 1 when a run failed or the time was over.
    """
    seconds = parse_duration(timeout, "--timeout").total_seconds() if timeout else None
    machine = machine_of(cpus, gpus, memory, resource, label, hooks)
    limit = limit_of(limit_cpus, limit_gpus, limit_memory)
    with session.open_here() as workspace, LiveLine() as line:
        news = RunNews(session, workspace, line)
        line.show("starting Ray" if address is None else f"joining the Ray at {address}")
        with workspace.serving(address=address, limit=limit, **machine) as served:
            is_done = served.drain(seconds, tick=news.look)
        news.look()
        line.clear()
        left = [run for _, each in news.projects() for run in each.runs(status="waiting", oldest_first=True)]
    _conclude(session, news, left, is_late=not is_done)


def _conclude(session: Session, news: RunNews, left: list[Run], *, is_late: bool) -> None:
    done, failed = news.counts["done"], news.counts["failed"]
    if session.json:
        session.out.json_line({"done": done, "failed": failed, "waiting": len(left), "timed_out": is_late})
    else:
        session.out.line(f"{show_count(done, 'run')} done, {failed:,} failed, {len(left):,} waiting.")
        for run in left[:WAITING_SHOWN]:
            session.out.line(f"  {run.id}  {run.title} waits: {remark_of(run)}")
        if len(left) > WAITING_SHOWN:
            session.out.line(f"  and {len(left) - WAITING_SHOWN:,} more: raykqi run find --status waiting")
        if is_late:
            session.out.complain("the time was over before all had ended; what ran waits again")
    if failed or is_late:
        raise typer.Exit(1)
