"""`raykqi token`: what scripts and machines come with instead of a password."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
import typer

from cli.command import command, noun
from cli.completion import complete_endpoint
from cli.output import harmless
from cli.session import Session
from cli.table import Column
from cli.values import parse_duration, show_local
from raykqi.domain.access import ROLES, Role, Token

__all__ = ["Lasts", "User", "app", "show_new_token"]

COLUMNS = (
    Column("ID", style="cyan"),
    Column("NAME", least=10, style="bold"),
    Column("USER"),
    Column("FOR"),
    Column("EXPIRES"),
)

User = Annotated[str, typer.Option("--user", "-u", metavar="NAME", help="Not oneself but this user.")]

Lasts = Annotated[str, typer.Option("--for", metavar="TIME", help="How long it holds.")]
Endpoint = Annotated[
    str,
    typer.Option(
        "--endpoint",
        metavar="NAME",
        help="May ask this endpoint and do nothing else.",
        autocompletion=complete_endpoint,
    ),
]

app = noun("Tokens: they act as their user, in one project or with a smaller role if you wish.")


@command(
    app,
    "create",
    examples="""
    raykqi token create nightly
    raykqi token create robot --in vision --role member --for 30d
    raykqi token create shop --endpoint digits
    """,
)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    only: Annotated[str, typer.Option("--in", metavar="PROJECT", help="In this project alone.")] = "",
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help=f"At most as {', '.join(ROLES)}.", show_default=False)
    ] = None,
    endpoint: Endpoint = "",
    lasts: Lasts = "90d",
    user: User = "",
) -> None:
    """Make a token and print it: this once, since nobody keeps it."""
    length = parse_duration(lasts, "--for")
    with session.open() as workspace:
        token, text = workspace.issue_token(
            name, user=user, project=only, role=cast("Role | None", role), endpoint=endpoint, expires_in=length
        )
    show_new_token(session, token, text)


def show_new_token(session: Session, token: Token, text: str) -> None:
    if session.json:
        session.out.json(msgspec.to_builtins(token) | {"text": text})
    else:
        session.out.line(text)
        session.out.note(f"Token {token.id}, until {show_local(token.expires)}. It is shown this once.")


@command(app, "list", examples="raykqi token list\nraykqi token list --json")
def list_(session: Session, user: User = "") -> None:
    """Tokens that have not expired, and when they do. Their text nobody knows."""
    with session.open() as workspace:
        found = workspace.tokens(user)
    if session.json:
        session.out.json([msgspec.to_builtins(token) for token in found])
    elif found:
        rows = [[each.id, each.name, each.user, _narrow(each), _until(each)] for each in found]
        session.out.table(COLUMNS, rows)
    else:
        session.out.note("There are no tokens.")


@command(app, "revoke", examples="raykqi token revoke 01939c1c-7d1e")
def revoke(
    session: Session, tokens: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of tokens.")]
) -> None:
    """From now on nobody can come with them."""
    with session.open() as workspace:
        revoked = [workspace.revoke_token(token) for token in tokens]
    if session.json:
        session.out.json(revoked)
    else:
        session.out.lines(harmless(id_) for id_ in revoked)


def _narrow(token: Token) -> str:
    if token.endpoint:
        return f"asking {token.endpoint}"
    return " as ".join(filter(None, [token.project, token.role])) or "all that its user may"


def _until(token: Token) -> str:
    return f"revoked {show_local(token.revoked)}" if token.revoked else show_local(token.expires)
