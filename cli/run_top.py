"""`raykqi run top`: what runs now and what waits, drawn anew whenever something changes."""

from __future__ import annotations

import queue
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import command
from cli.completion import complete_plan
from cli.live import bar
from cli.run_text import NOBODY, run_record, say_if_nobody_serves, time_of
from cli.run_wait import show_counts
from cli.session import Session
from cli.table import Column
from cli.values import short_ids, show_duration, show_size
from raykqi.domain.run import LIVE

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.beat import Beat
    from raykqi.domain.run import Run

__all__ = ["register"]

COLUMNS = (
    Column("ID", style="cyan"),
    Column("PLAN", least=10, style="bold"),
    Column("STATUS"),
    Column("PROGRESS", least=8, weight=4),
    Column("CPU", right=True, weight=3),
    Column("MEMORY", right=True, weight=2),
    Column("TIME", right=True),
)
BEAT = 1.0  # seconds after which beats are read again, which no change tells of
BAR = 12
LIVE_SHOWN, WAITING_SHOWN = 100, 20
HOME, REST_OF_LINE, REST_OF_PAGE = "\x1b[H", "\x1b[K", "\x1b[J"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"

Page = tuple[dict[str, int], "list[Run]", "dict[str, Beat | None]"]


def register(app: typer.Typer) -> None:
    command(app, "top", examples="raykqi run top\nraykqi run top --once --json")(top)


def top(
    session: Session,
    plan: Annotated[
        list[str] | None,
        typer.Option("--plan", "-p", metavar="PLAN", help="Of this plan, by id or name.", autocompletion=complete_plan),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print it once, as in a pipe.")] = False,
) -> None:
    """What runs and waits now, with progress and use of this moment; Ctrl-C leaves."""
    with session.open() as workspace:
        if once or session.json or not session.out.is_terminal:
            counts, runs, beats = _look(workspace, plan or ())
            say_if_nobody_serves(session, workspace, runs)
            if session.json:
                session.out.json({"counts": counts, "runs": [_record(run, beats[run.id]) for run in runs]})
            else:
                _print(session, counts, runs, beats)
            return
        changes: queue.SimpleQueue[None] = queue.SimpleQueue()
        sys.stdout.write(f"{HIDE}{HOME}{REST_OF_PAGE}")
        try:
            with workspace.watching(lambda: changes.put(None)):
                while True:
                    sys.stdout.write(HOME)
                    counts, runs, beats = _look(workspace, plan or ())
                    _print(session, counts, runs, beats, live=True)
                    if runs and not workspace.is_served():
                        session.out.line(f"{NOBODY}{REST_OF_LINE}")
                    sys.stdout.write(REST_OF_PAGE)
                    sys.stdout.flush()
                    _wait(changes)
        except KeyboardInterrupt:
            return
        finally:
            sys.stdout.write(SHOW)


def _wait(changes: queue.SimpleQueue[None]) -> None:
    """For a change, of which many in a row count once, or for the next beat."""
    try:
        changes.get(timeout=BEAT)
        while True:
            changes.get(timeout=BEAT / 20)
    except queue.Empty:
        return


def _look(workspace: AnyWorkspace, plan: list[str] | tuple[str, ...]) -> Page:
    live = workspace.runs(status=LIVE, plan=plan, oldest_first=True, limit=LIVE_SHOWN)
    waiting = workspace.runs(status="waiting", plan=plan, oldest_first=True, limit=WAITING_SHOWN)
    counts = workspace.count_by_status(plan=plan)
    counts.pop("invalidated", None)
    return (
        counts,
        [*live, *waiting],
        {run.id: workspace.beat(run) if run.status in LIVE else None for run in [*live, *waiting]},
    )


def _print(
    session: Session, counts: dict[str, int], runs: list[Run], beats: dict[str, Beat | None], *, live: bool = False
) -> None:
    now, end = datetime.now(UTC), REST_OF_LINE if live else ""
    session.out.line(f"{show_counts(counts)}{end}")
    if not runs:
        return
    short = short_ids(run.id for run in runs)
    room = shutil.get_terminal_size().lines - 4 if live else len(runs)
    session.out.table(COLUMNS, [_row(session, run, beats[run.id], short[run.id], now) for run in runs[:room]], end=end)
    if room < _unended(counts):
        session.out.line(f"… and {_unended(counts) - min(room, len(runs)):,} more{end}")


def _unended(counts: dict[str, int]) -> int:
    """How many have not ended."""
    return sum(count for status, count in counts.items() if status in LIVE or status == "waiting")


def _row(session: Session, run: Run, beat: Beat | None, short: str, now: datetime) -> list[str]:
    took = time_of(run, now)
    if run.status not in LIVE:
        return [short, run.title, run.status, run.reason, "", "", ""]
    progress = ""
    if beat and beat.progress is not None:
        progress = f"{bar(beat.progress, BAR, draws=session.out.draws)} {beat.progress:4.0%}"
    text = "  ".join(filter(None, [progress, beat.text if beat else ""]))
    usage = beat.usage if beat else None
    return [
        short,
        run.title,
        run.status,
        text,
        f"{usage.cpu / usage.wall:.0%}" if usage and usage.wall else "",
        show_size(usage.memory) if usage and usage.memory else "",
        "" if took is None else show_duration(took),
    ]


def _record(run: Run, beat: Beat | None) -> dict[str, Any]:
    """The run, with what its beat says as `doing{phase progress text wall cpu memory}`, or null."""
    doing = None
    if beat:
        doing = {"phase": beat.phase, "progress": beat.progress, "text": beat.text}
        doing |= {"wall": beat.usage.wall, "cpu": beat.usage.cpu, "memory": beat.usage.memory}
    return run_record(run) | {"doing": doing}
