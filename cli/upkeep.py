"""`raykqi snapshot`, `rebuild`, `compact`, `gc`, `fsck` and `doctor`: care for a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.command import DryRun, command
from cli.output import harmless
from cli.session import Session
from cli.values import parse_duration, show_count, show_size

if TYPE_CHECKING:
    from raykqi.domain.upkeep import Problem

__all__ = ["register"]

DAMAGED = 7
STATE_STYLES = {"good": "green", "warning": "yellow", "bad": "red"}
STATE_MARKS = {"good": "ok", "warning": "warning", "bad": "bad"}
PATHS_SHOWN = 10
NOTHING_TO_JOIN = "There was nothing to join: the last entry, and those less than 15 minutes older, are left alone."


def register(app: typer.Typer) -> None:
    command(app, "snapshot", examples="raykqi snapshot")(snapshot)
    command(app, "rebuild", examples="raykqi rebuild --from-journal")(rebuild)
    command(app, "compact", examples="raykqi compact")(compact)
    command(app, "gc", examples="raykqi gc --dry-run")(gc)
    command(app, "fsck", examples="raykqi fsck --deep --repair")(fsck)
    command(app, "doctor", examples="raykqi doctor")(doctor)


def snapshot(session: Session) -> None:
    """Write the index as Parquet files; print the folder they are in."""
    with session.open(for_repair=True) as workspace:
        key = workspace.snapshot()
        url = f"{workspace.url.rstrip('/')}/{key}"
    _print(session, {"snapshot": key, "url": url}, url)


def rebuild(
    session: Session,
    from_journal: Annotated[
        bool, typer.Option("--from-journal", help="Use the journal alone, not the latest snapshot.")
    ] = False,
) -> None:
    """Make the index anew."""
    with session.open(for_repair=True) as workspace:
        workspace.rebuild(from_snapshot=not from_journal)
        url = workspace.url
    _print(session, {"url": url, "from_snapshot": not from_journal}, "The index was made anew.")


def compact(session: Session) -> None:
    """Join old journal entries into few objects."""
    with session.open() as workspace:
        joined = workspace.compact()
    _print(
        session,
        {"entries": joined},
        f"{show_count(joined, 'entry', 'entries')} joined." if joined else NOTHING_TO_JOIN,
    )


def gc(
    session: Session,
    dry_run: DryRun = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="TIME", help="Leave objects alone that are younger: 30m, 2d.")
    ] = "1h",
) -> None:
    """Delete what no data needs any more."""
    seconds = parse_duration(grace, "--grace").total_seconds()
    with session.open() as workspace:
        found = workspace.gc(dry_run=dry_run, grace_seconds=seconds)
    record = msgspec.to_builtins(found)
    if session.json:
        session.out.json(record)
        return
    if dry_run:
        session.out.lines(found.objects)
    amount = f"{show_count(len(found.objects), 'object')}, {show_size(found.bytes)}"
    session.out.line(f"{'Would free' if dry_run else 'Freed'} {amount}.")
    if found.young:
        young = f"{show_count(found.young, 'object')}, {show_size(found.young_bytes)}"
        session.out.line(f"Not needed either, but younger than {grace}: {young}. --grace sets that age.")


def fsck(
    session: Session,
    deep: Annotated[bool, typer.Option("--deep", help="Read and verify every byte that is stored.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
) -> None:
    """Check all that is stored.

    Exits with 7 if something is wrong and was not mended.
    """
    with session.open(for_repair=True) as workspace, session.progress() as progress:
        report = workspace.fsck(deep=deep, repair=repair, progress=progress)
    if session.json:
        record: dict[str, Any] = msgspec.to_builtins(report)
        session.out.json({"clean": report.clean, "sound": report.sound, **record})
    else:
        for problem in report.problems:
            _show_problem(session, problem)
        entries = show_count(report.entries, "entry", "entries")
        looked_at = f"{entries}, {report.data:,} data, {show_count(report.objects, 'object')}"
        seen = "clean" if deep else "clean (presence and sizes; --deep reads every byte)"
        verdict = seen if report.clean else f"{len(report.problems)} wrong"
        mended = " and mended" if report.sound and not report.clean else ""
        session.out.line(f"{looked_at}: {verdict}{mended}.")
    if not report.sound:
        raise typer.Exit(DAMAGED)


def doctor(session: Session) -> None:
    """Examine the workspace and this machine's access to it.

    Exits with 1 if something is bad.
    """
    with session.open(for_repair=True) as workspace:
        findings = workspace.doctor()
    if session.json:
        session.out.json([msgspec.to_builtins(finding) for finding in findings])
    else:
        for finding in findings:
            mark = session.out.styled(f"{STATE_MARKS[finding.state]:7}", STATE_STYLES[finding.state])
            session.out.line(f"{mark}  {finding.subject:10}  {harmless(finding.what)}")
            if finding.hint:
                session.out.line(f"{'':21}{session.out.styled(finding.hint, 'dim')}")
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _show_problem(session: Session, problem: Problem) -> None:
    session.out.line(f"{session.out.styled(harmless(problem.object), 'bold')}: {harmless(problem.what)}")
    for label, values in (("data", problem.data), ("path", problem.paths)):
        session.out.lines(f"  {label}  {harmless(value)}" for value in values[:PATHS_SHOWN])
        if len(values) > PATHS_SHOWN:
            session.out.line(f"  {label}  and {len(values) - PATHS_SHOWN:,} more")
    if problem.repaired:
        session.out.line(f"  {session.out.styled('mended', 'green')}: {harmless(problem.repaired)}")
    elif problem.hint:
        session.out.line(f"  {session.out.styled(f'hint: {harmless(problem.hint)}', 'dim')}")


def _print(session: Session, record: dict[str, Any], text: str) -> None:
    if session.json:
        session.out.json(record)
    else:
        session.out.line(text)
