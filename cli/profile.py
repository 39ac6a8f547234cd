"""`raykqi profile`: the servers that `raykqi login` remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import command, noun
from cli.session import Session
from cli.table import Column

if TYPE_CHECKING:
    from raykqi.client.profiles import Profile

__all__ = ["app"]

COLUMNS = (Column(""), Column("NAME", style="bold"), Column("URL"), Column("USER"), Column("PROJECT"), Column("TOKEN"))

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a profile.")]

app = noun("The servers that are known here, and as whom; `raykqi login` adds one.")


@command(app, "list", examples="raykqi profile list\nraykqi profile list --json")
def list_(session: Session) -> None:
    """All profiles; the one with a * is meant when none is named."""
    from raykqi.client.profiles import read_profiles
    from raykqi.settings import ServerSettings

    known = read_profiles(ServerSettings.from_env().profiles)
    if session.json:
        session.out.json([_record(name, profile, known.current) for name, profile in sorted(known.profiles.items())])
    elif known.profiles:
        rows = [
            [
                "*" if name == known.current else "",
                name,
                profile.url,
                profile.user,
                profile.project,
                "kept" if profile.token else "",
            ]
            for name, profile in sorted(known.profiles.items())
        ]
        session.out.table(COLUMNS, rows)
    else:
        session.out.note("No server is known: raykqi login URL")


@command(app, "use", examples="raykqi profile use lab")
def use(session: Session, name: Name) -> None:
    """Mean this one from now on, when none is named."""
    from raykqi.client.profiles import read_profiles, write_profiles
    from raykqi.settings import ServerSettings

    file = ServerSettings.from_env().profiles
    known = read_profiles(file).using(name)
    write_profiles(file, known)
    _show(session, name, known.profiles[name], known.current)


@command(app, "show", examples="raykqi profile show\nraykqi profile show lab")
def show(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Else the current one.", show_default=False)
    ] = None,
) -> None:
    """One profile. Its token is never shown."""
    from raykqi.client.profiles import read_profiles
    from raykqi.settings import ServerSettings

    known = read_profiles(ServerSettings.from_env().profiles)
    meant = name or session.profile or known.current
    _show(session, meant, known.named(meant), known.current)


@command(app, "remove", examples="raykqi profile remove lab")
def remove(session: Session, name: Name) -> None:
    """Forget one. `raykqi logout` before takes its token away from whoever has it."""
    from raykqi.client.profiles import read_profiles, write_profiles
    from raykqi.settings import ServerSettings

    file = ServerSettings.from_env().profiles
    known = read_profiles(file)
    profile = known.named(name)
    write_profiles(file, known.without(name))
    _show(session, name, profile, "")


def _show(session: Session, name: str, profile: Profile, current: str) -> None:
    record = _record(name, profile, current)
    if session.json:
        session.out.json(record)
        return
    project = f", project {profile.project}" if profile.project else ""
    session.out.line(f"{name}  {profile.url}  {profile.user or 'nobody'}{project}")


def _record(name: str, profile: Profile, current: str) -> dict[str, Any]:
    """`name url user project has_token is_current`."""
    return {
        "name": name,
        "url": profile.url,
        "user": profile.user,
        "project": profile.project,
        "has_token": bool(profile.token),
        "is_current": name == current,
    }
