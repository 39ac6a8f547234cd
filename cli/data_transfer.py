"""`raykqi data push`, `pull` and `import`: bytes in and out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import DataId, command
from cli.completion import complete_data, complete_tag
from cli.output import harmless
from cli.records import data_record
from cli.session import Session
from cli.values import show_count, show_size
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from raykqi.domain.data import Data

__all__ = ["register"]

NAME_BYTES = 255  # of a file, on the usual file systems

Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", "-t", metavar="K:V", help="A tag for the data.", autocompletion=complete_tag),
]


def register(app: typer.Typer) -> None:
    command(
        app,
        "push",
        examples="""
        raykqi data push photos -n -t type:dataset -t split:train
        raykqi data push cleaned --from raw=01939c1c-7d1e
        """,
    )(push)
    command(
        app,
        "pull",
        examples="""
        raykqi data pull 01939c1c-7d1e
        raykqi data pull 01939c1c-7d1e here -g 'train/**/*.png'
        """,
    )(pull)
    command(
        app,
        "import",
        examples="""
        raykqi data import s3://bucket/photos -t type:dataset
        """,
    )(import_)


def push(
    session: Session,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Folders or files; each becomes one data.")],
    tags: Tags = None,
    name: Annotated[bool, typer.Option("--name", "-n", help="Add the tag name:<last part of SOURCE>.")] = False,
    made_from: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="[NAME=]ID",
            help="Data that it was made of by hand: the lineage shows it.",
            autocompletion=complete_data,
        ),
    ] = None,
    dereference: Annotated[
        bool, typer.Option("--dereference", "-L", help="Store what symbolic links point to, not the links.")
    ] = False,
) -> None:
    """Store folders or files with their tags; print the new ids."""
    inputs = _inputs(made_from or ())
    pushed: list[Data] = []
    try:
        with session.open() as workspace:
            for source in sources:
                with session.progress() as progress:
                    data = workspace.push(
                        source, tags or (), name=name, inputs=inputs, dereference=dereference, progress=progress
                    )
                pushed.append(data)
                if not session.json:
                    session.out.at_once(data.id)
                session.out.note(f"{harmless(source)}: {_amount(data.tree.size, data.tree.files)}")
    finally:
        # What was stored before a later source failed stays stored: its ids must not get lost.
        if session.json:
            session.out.json([data_record(data) for data in pushed])


def pull(
    session: Session,
    data: DataId,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[DEST]", help="A folder; its name or id otherwise.", show_default=False),
    ] = None,
    patterns: Annotated[
        list[str] | None,
        typer.Option("--glob", "-g", metavar="PATTERN", help="Only what matches: * within a name, ** across folders."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Write into a folder that is not empty, replacing files of the same path."),
    ] = False,
    allow_unsafe_links: Annotated[
        bool,
        typer.Option("--allow-unsafe-links", help="Write symbolic links too that lead out of the folder."),
    ] = False,
) -> None:
    """Write data to a folder, every file verified; print the folder."""
    with session.open() as workspace:
        found = workspace.show(data)
        folder = Path(target) if target else Path(_folder_name(found))
        with session.progress() as progress:
            written = workspace.pull(
                found.id,
                folder,
                patterns=patterns or (),
                overwrite=overwrite,
                allow_unsafe_links=allow_unsafe_links,
                progress=progress,
            )
    if session.json:
        session.out.json({"data": found.id, "path": str(folder), "files": written.files, "size": written.size})
    else:
        session.out.line(str(folder))
        session.out.note(_amount(written.size, written.files))


def import_(
    session: Session,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the objects lie: s3://bucket/prefix.")],
    tags: Tags = None,
) -> None:
    """Take in objects that lie elsewhere, without copying them; print the new id."""
    with session.open() as workspace, session.progress() as progress:
        data = workspace.import_(url, tags or (), progress=progress)
    if session.json:
        session.out.json(data_record(data))
    else:
        session.out.line(data.id)
        session.out.note(f"{harmless(url)}: {_amount(data.tree.size, data.tree.files)}")


def _inputs(given: Sequence[str]) -> dict[str, str]:
    inputs: dict[str, str] = {}
    for place, text in enumerate(given, start=1):
        name, equals, data = text.rpartition("=")
        name = name.strip() if equals else ("from" if place == 1 else f"from-{place}")
        if not name or not data.strip():
            raise InvalidInput(f"--from {text!r} has no name or no id", hint="Write --from raw=ID or --from ID.")
        if name in inputs:
            raise InvalidInput(f"--from names {name!r} twice", hint="Give every input its own name.")
        inputs[name] = data.strip()
    return inputs


def _folder_name(data: Data) -> str:
    """The name tag if it is a plain file name, else the id: a tag must not choose where we write."""
    plain = data.name.isprintable() and "/" not in data.name and not data.name.startswith((".", "-", "~"))
    return data.name if plain and 0 < len(data.name.encode()) <= NAME_BYTES else data.id


def _amount(size: int, files: int) -> str:
    return f"{show_size(size)} in {show_count(files, 'file')}"
