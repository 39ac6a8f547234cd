"""`raykqi data`: what is there, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import data_change, data_find, data_transfer
from cli.command import DataId, command, noun
from cli.output import harmless
from cli.records import data_record, entry_record
from cli.session import Session
from cli.table import Column
from cli.values import show_count, show_local, show_size

if TYPE_CHECKING:
    from raykqi.domain.data import Data
    from raykqi.domain.tree import Entry

__all__ = ["app"]

KIND_LETTERS = {"file": "-", "dir": "d", "link": "l"}
LONG = (Column("", style="dim"), Column("", right=True), Column(""))

app = noun("Store, find, read and tag data.")
data_transfer.register(app)
data_find.register(app)


@command(
    app,
    "show",
    examples="""
    raykqi data show 01939c1c-7d1e
    raykqi data show 01939c1c-7d1e --json
    """,
)
def show(session: Session, data: DataId) -> None:
    """Everything that is known about one data."""
    with session.open() as workspace:
        found = workspace.show(data)
    if session.json:
        session.out.json(data_record(found))
        return
    facts = [(label, value) for label, value in [*_facts(found), *_tombstones(found)] if value]
    width = max(len(label) for label, _ in facts)
    for label, value in facts:
        session.out.line(f"{session.out.styled(label.ljust(width), 'dim')}  {harmless(value)}")
    for place, tag in enumerate(found.tags):
        label = "tags" if place == 0 else ""
        session.out.line(f"{session.out.styled(label.ljust(width), 'dim')}  {harmless(str(tag))}")


@command(
    app,
    "ls",
    examples="""
    raykqi data ls 01939c1c-7d1e
    raykqi data ls -l 01939c1c-7d1e 'train/**/*.png'
    """,
)
def ls(
    session: Session,
    data: DataId,
    patterns: Annotated[
        list[str] | None,
        typer.Argument(metavar="[GLOB]...", help="Only what matches: * within a name, ** across folders."),
    ] = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Modes and sizes too.")] = False,
) -> None:
    """The files, links and folders in data."""
    with session.open() as workspace:
        entries = workspace.ls(data, patterns or ())
    if session.json:
        session.out.json([entry_record(entry) for entry in entries])
    elif long:
        rows = [[_mode(entry), _size(entry), _path(entry)] for entry in entries]
        session.out.table(LONG, rows, header=False, exact=True)
    elif session.out.is_terminal:
        session.out.lines(harmless(_path(entry)) for entry in entries)
    else:
        session.out.lines(entry.path for entry in entries)


@command(
    app,
    "cat",
    examples="""
    raykqi data cat 01939c1c-7d1e train/labels.csv | head
    """,
)
def cat(
    session: Session, data: DataId, path: Annotated[str, typer.Argument(metavar="PATH", help="A file in it.")]
) -> None:
    """One file's bytes, verified, on stdout."""
    with session.open() as workspace:
        session.out.bytes(workspace.cat(data, path))


data_change.register(app)


def _facts(data: Data) -> list[tuple[str, str]]:
    return [
        ("id", data.id),
        ("name", data.name),
        ("status", data.status),
        ("when", show_local(data.timestamp or data.created, seconds=True)),
        ("by", data.creator),
        ("size", f"{show_size(data.tree.size)} in {show_count(data.tree.files, 'file')}"),
        ("tree", data.tree.hash),
        ("project", "" if data.project == "default" else data.project),
        ("made by", f"run {data.upstream.run} of {data.upstream.plan} as {data.upstream.output}"),
    ]


def _tombstones(data: Data) -> list[tuple[str, str]]:
    return [(stone.kind, f"{show_local(stone.at)} by {stone.by}: {stone.reason}") for stone in data.tombstones]


def _mode(entry: Entry) -> str:
    triads = [entry.mode >> shift & 7 for shift in (6, 3, 0)]
    bits = "".join(
        "".join(c if bits & bit else "-" for c, bit in zip("rwx", (4, 2, 1), strict=True)) for bits in triads
    )
    sticky = {"x": "t", "-": "T"}[bits[-1]] if entry.mode & 0o1000 else bits[-1]
    return KIND_LETTERS[entry.kind] + bits[:-1] + sticky


def _size(entry: Entry) -> str:
    return show_size(entry.size) if entry.kind == "file" else ""


def _path(entry: Entry) -> str:
    if entry.kind == "link":
        return f"{entry.path} -> {entry.object}"
    return f"{entry.path}/" if entry.kind == "dir" else entry.path
