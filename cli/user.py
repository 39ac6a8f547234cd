"""`raykqi user`: the people of a workspace. For its administrators, but for one's own password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.command import command, noun
from cli.login import ask_secret
from cli.output import harmless
from cli.session import Session
from cli.table import Column
from cli.values import show_local
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from raykqi.domain.access import User

__all__ = ["app"]

COLUMNS = (Column("NAME", style="bold"), Column("TITLE", least=10), Column("RIGHTS"), Column("SINCE"))

Name = Annotated[str, typer.Argument(metavar="USER", help="The name of a user.")]
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Their full name.", show_default=False)]
Password = Annotated[bool, typer.Option("--password", help="Ask for a password; else a line of stdin.")]

app = noun("Users: who may come, and who looks after the workspace.")


@command(app, "list", examples="raykqi user list\nraykqi user list --json")
def list_(session: Session) -> None:
    """All users."""
    with session.open() as workspace:
        found = workspace.users()
    if session.json:
        session.out.json([msgspec.to_builtins(user) for user in found])
    elif found:
        rows = [
            [each.name, each.title, _rights(each), show_local(each.created) if each.created else ""] for each in found
        ]
        session.out.table(COLUMNS, rows)
    else:
        session.out.note("There are no users yet: raykqi user add NAME --password")


@command(
    app,
    "add",
    examples="raykqi user add hanako --title '山田 花子' --password\nraykqi user add root --admin --password",
)
def add(
    session: Session,
    name: Name,
    title: Title = None,
    admin: Annotated[bool, typer.Option("--admin", help="Of the workspace: with every right everywhere.")] = False,
    password: Password = False,
) -> None:
    """Add a user, who sees nothing until a project takes them as a member."""
    secret = ask_secret("password", twice=True) if password else ""
    with session.open() as workspace:
        added = workspace.add_user(name, password=secret, title=title or "", is_admin=admin)
    _show(session, added)


@command(
    app,
    "change",
    examples="""
    raykqi user change hanako --title '田中 花子'
    raykqi user change hanako --disable
    raykqi user change hanako --password
    """,
)
def change(
    session: Session,
    name: Name,
    title: Title = None,
    admin: Annotated[
        bool | None,
        typer.Option("--admin/--no-admin", help="Whether they look after the workspace.", show_default=False),
    ] = None,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether they are kept out.", show_default=False)
    ] = None,
    password: Password = False,
) -> None:
    """Change what is known of a user, and what they may."""
    if title is None and admin is None and disable is None and not password:
        raise InvalidInput(
            "no change of the user was asked for", hint="Give --title, --admin, --disable or --password."
        )
    secret = ask_secret("password", twice=True) if password else None
    with session.open() as workspace:
        changed = workspace.change_user(name, title=title, is_admin=admin, is_disabled=disable, password=secret)
    _show(session, changed)


@command(app, "password", examples="raykqi user password")
def change_password(session: Session) -> None:
    """Change one's own password; other sign-ins end."""
    old = ask_secret("old password")
    new = ask_secret("new password", twice=True)
    with session.open() as workspace:
        workspace.change_password(old, new)
    if session.json:
        session.out.json({"changed": True})
    else:
        session.out.line("The password is changed; other sign-ins have ended.")


@command(app, "remove", examples="raykqi user remove hanako")
def remove(session: Session, name: Name) -> None:
    """Remove a user with memberships and tokens; what they did stays under that name."""
    with session.open() as workspace:
        workspace.remove_user(name)
    if session.json:
        session.out.json({"user": name, "removed": True})
    else:
        session.out.line(harmless(f"{name} is removed."))


def _row(user: User) -> list[str]:
    return [user.name, user.title, _rights(user), show_local(user.created) if user.created else ""]


def _rights(user: User) -> str:
    words = ["administrator" if user.is_admin else "", "disabled" if user.is_disabled else ""]
    return ", ".join(filter(None, words))


def _show(session: Session, user: User) -> None:
    if session.json:
        session.out.json(msgspec.to_builtins(user))
    else:
        session.out.line(harmless("  ".join(filter(None, [user.name, user.title, _rights(user)]))))
