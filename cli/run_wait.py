"""`raykqi run wait`: until runs have ended, with an exit code that tells whether all ended well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import command, ids_of
from cli.completion import complete_plan, complete_run
from cli.live import LiveLine
from cli.run_text import STATUS_STYLES, remark_of, run_record, say_if_nobody_serves
from cli.session import Session
from cli.values import parse_duration
from raykqi.domain.run import LIVE, STATUSES

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.run import Run

__all__ = ["register", "show_counts"]

SHOWN = 20


def register(app: typer.Typer) -> None:
    command(
        app,
        "wait",
        examples="""
        raykqi run wait
        raykqi run wait 01939c1c-7d1e --timeout 10m && raykqi data find -t type:model
        """,
    )(wait)


def wait(
    session: Session,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Ids of runs or beginnings of them; none means all that have not ended, and what comes of them.",
            autocompletion=complete_run,
        ),
    ] = None,
    plan: Annotated[
        list[str] | None,
        typer.Option(
            "--plan", "-p", metavar="PLAN", help="The runs of this plan, by id or name.", autocompletion=complete_plan
        ),
    ] = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="Give up after so long: 90s, 2h.")] = "",
) -> None:
    """Until runs have ended. Exits with 0 when all are done, with 1 when one failed or the time is over."""
    seconds = parse_duration(timeout, "--timeout").total_seconds() if timeout else None
    began = datetime.now(UTC)
    with session.open() as workspace, LiveLine() as line:
        named: list[str] | None = ids_of(runs) if runs else None
        if plan:
            named = [*(named or ()), *(run.id for run in workspace.runs(plan=plan))]
        if not named or "waiting" in workspace.statuses(named).values():
            say_if_nobody_serves(session, workspace, workspace.runs(status="waiting", limit=1))
        late = ""
        try:
            ended = _wait(workspace, named, seconds, line) if named != [] else []
        except TimeoutError as error:
            late = str(error)
            ended = [] if named is None else [workspace.run(id_) for id_ in named]
        if named is None:
            ended = workspace.runs(status=("done", "failed"), since=began, oldest_first=True)
    _conclude(session, ended, late)


def show_counts(counts: Mapping[str, int]) -> str:
    """`3 done, 1 failed, 2 running`: what there is, in the order of a run's life, ended ones first."""
    order = ["done", "failed", "invalidated", *(status for status in STATUSES if status in LIVE)]
    order += [status for status in STATUSES if status not in order]
    return ", ".join(f"{counts[status]:,} {status}" for status in order if counts.get(status)) or "nothing"


def _wait(workspace: AnyWorkspace, named: list[str] | None, seconds: float | None, line: LiveLine) -> list[Run]:
    began = datetime.now(UTC)

    def tick() -> None:
        if not line.is_seen:
            return
        if named is None:
            counts = workspace.count_by_status("waiting", *LIVE)
            counts |= workspace.count_by_status("done", "failed", since=began)
        else:
            counts = dict(Counter(workspace.statuses(named).values()))
        line.show(show_counts(counts))

    return workspace.wait(named, timeout=seconds, tick=tick)


def _conclude(session: Session, ended: list[Run], late: str) -> None:
    bad = [run for run in ended if run.status != "done"]
    if session.json:
        session.out.json([run_record(run) for run in ended])
    else:
        for run in bad[:SHOWN]:
            status = session.out.styled(run.status, STATUS_STYLES.get(run.status, ""))
            session.out.line(f"{run.id}  {status}  {run.title}  {remark_of(run)}")
        counts = Counter[str](run.status for run in ended)
        session.out.line(f"{show_counts(counts)}." if ended else "Nothing ran meanwhile.")
        if late:
            session.out.complain(late)
    if late or bad:
        raise typer.Exit(1)
