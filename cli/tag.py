"""`raykqi tag`: which tags are in use."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command import command, noun
from cli.completion import complete_tag_key
from cli.session import Session
from cli.table import Column

__all__ = ["app"]

COLUMNS = (Column("DATA", right=True), Column("TAG", least=20))
MOST = 1_000_000_000

app = noun("See which tags are in use.")


@command(
    app,
    "list",
    examples="""
    raykqi tag list
    raykqi tag list --key split
    """,
)
def list_(
    session: Session,
    key: Annotated[
        str, typer.Option("--key", "-k", metavar="K", help="Only this key.", autocompletion=complete_tag_key)
    ] = "",
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Only tags that begin so.")] = "",
) -> None:
    """Every tag in use and on how many data, most used first."""
    with session.open() as workspace:
        counts = workspace.tags(key=key, prefix=prefix, limit=MOST)
    if session.json:
        session.out.json([{"key": tag.key, "value": tag.value, "count": tag.count} for tag in counts])
    elif counts:
        session.out.table(COLUMNS, [[f"{tag.count:,}", f"{tag.key}:{tag.value}"] for tag in counts])
    else:
        session.out.note("No such tag is in use.")
