"""`raykqi data tag`, `rm` and `purge`: changes of data that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import DataIds, DryRun, Reason, command, ids_of
from cli.completion import complete_tag, complete_tag_key
from cli.output import harmless
from cli.records import Record, change_record
from cli.run_text import new_run_record, plan_names, show_new_run
from cli.session import Session
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from raykqi.domain.data import TagChange

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(
        app,
        "tag",
        examples="""
        raykqi data tag 01939c1c-7d1e --add quality:checked --remove quality:unknown
        raykqi data find -t split:train -q | raykqi data tag - --add frozen:2026-11 --dry-run
        """,
    )(tag)
    command(
        app,
        "rm",
        examples="""
        raykqi data rm 01939c1c-7d1e --reason 'pushed by mistake' --dry-run
        """,
    )(remove)
    command(
        app,
        "purge",
        examples="""
        raykqi data purge 01939c1c-7d1e --reason 'consent withdrawn'
        """,
    )(purge)


def tag(
    session: Session,
    data: DataIds,
    add: Annotated[
        list[str] | None, typer.Option("--add", "-a", metavar="K:V", help="Add it.", autocompletion=complete_tag)
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", "-r", metavar="K:V", help="Take it off.", autocompletion=complete_tag),
    ] = None,
    remove_keys: Annotated[
        list[str] | None,
        typer.Option("--remove-key", metavar="K", help="Take off all with this key.", autocompletion=complete_tag_key),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Change tags of one or many data in one step: first take off, then add."""
    if not (add or remove or remove_keys):
        raise InvalidInput("no change of tags was asked for", hint="Give --add K:V, --remove K:V or --remove-key K.")
    ids = ids_of(data)
    with session.open() as workspace:
        if dry_run:
            changes, runs = workspace.preview_tag(
                ids, add=add or (), remove=remove or (), remove_keys=remove_keys or ()
            )
            names = plan_names(workspace, runs)
        else:
            changes = workspace.tag(ids, add=add or (), remove=remove or (), remove_keys=remove_keys or ())
            runs, names = [], {}
    if session.json:
        made: dict[str, list[Record]] = {}
        for run in runs:
            made.setdefault(run.cause.data, []).append(new_run_record(run))
        session.out.json(
            [change_record(change) | ({"runs": made[change.data]} if change.data in made else {}) for change in changes]
        )
        return
    session.out.lines(_change(session, change) for change in changes)
    session.out.lines(show_new_run(session, run, names) for run in runs)
    _conclude(session, len(changes), "changed", dry_run)


def remove(session: Session, data: DataIds, reason: Reason, dry_run: DryRun = False) -> None:
    """Take data out of every list; the lineage keeps a tombstone, `gc` frees the space."""
    with session.open() as workspace:
        gone = workspace.remove(ids_of(data), reason, dry_run=dry_run)
    _show_ids(session, gone, "removed", dry_run)


def purge(session: Session, data: DataIds, reason: Reason, dry_run: DryRun = False) -> None:
    """Give up the bytes; record, tags and lineage stay, `gc` frees the space."""
    with session.open() as workspace:
        gone = workspace.purge(ids_of(data), reason, dry_run=dry_run)
    _show_ids(session, gone, "purged", dry_run)


def _show_ids(session: Session, ids: list[str], done: str, dry_run: bool) -> None:
    if session.json:
        session.out.json(ids)
        return
    session.out.lines(ids)
    _conclude(session, len(ids), done, dry_run)


def _conclude(session: Session, count: int, done: str, dry_run: bool) -> None:
    if not count:
        session.out.note(f"Nothing {'would be' if dry_run else 'had to be'} {done}.")
    elif dry_run:
        session.out.note(f"{count} would be {done}; nothing is yet.")
    else:
        session.out.note(f"{count} {done}.")


def _change(session: Session, change: TagChange) -> str:
    removed = [session.out.styled(f"-{harmless(str(tag))}", "red") for tag in change.removed]
    added = [session.out.styled(f"+{harmless(str(tag))}", "green") for tag in change.added]
    return "  ".join([change.data, *removed, *added])
