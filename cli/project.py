"""`raykqi project`: the tenants of a workspace, who belongs to them, and what they may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import typer

from cli.access_text import amounts, change_quota, project_record, quota_record, show_quota
from cli.command import command, noun
from cli.output import harmless
from cli.session import Session
from cli.table import Column
from cli.values import show_count, show_duration, show_local, show_size
from raykqi.domain.access import ROLES

if TYPE_CHECKING:
    from raykqi.domain.access import Project, Role, Usage

__all__ = ["app"]

COLUMNS = (Column("NAME", style="bold"), Column("TITLE", least=10), Column("QUOTA", least=12), Column("CREATED"))
MEMBERS = (Column("USER", style="bold"), Column("ROLE"))
USERS = (
    Column("USER", style="bold"),
    Column("RUNS", right=True),
    Column("CPU", right=True),
    Column("GPU", right=True),
)

Name = Annotated[str, typer.Argument(metavar="PROJECT", help="Small letters, digits and hyphens.")]
Meant = Annotated[str, typer.Argument(metavar="[PROJECT]", help="Else the one that is acted in.", show_default=False)]
User = Annotated[str, typer.Argument(metavar="USER", help="The name of a user.")]
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="What it is about.", show_default=False)]

app = noun("Projects: everything belongs to one, and nothing is seen from another.")


@command(app, "list", examples="raykqi project list\nraykqi project list --json")
def list_(session: Session) -> None:
    """The projects that one may see."""
    with session.open() as workspace:
        found = workspace.projects()
    if session.json:
        session.out.json([project_record(project) for project in found])
        return
    rows = [
        [each.name, each.title, show_quota(each.quota), show_local(each.created) if each.created else ""]
        for each in found
    ]
    session.out.table(COLUMNS, rows)


@command(app, "create", examples="raykqi project create vision --title 'Images of 2026'")
def create(session: Session, name: Name, title: Title = None) -> None:
    """Make a project. For administrators of the workspace."""
    with session.open() as workspace:
        made = workspace.create_project(name, title=title or "")
    _show(session, made)


@command(app, "show", examples="raykqi project show\nraykqi project show vision --json")
def show(session: Session, name: Meant = "") -> None:
    """One project and its members."""
    with session.open() as workspace:
        found, members = workspace.project(name), workspace.members(name)
    if session.json:
        session.out.json(project_record(found) | {"members": [msgspec.to_builtins(each) for each in members]})
        return
    facts = [("name", found.name), ("title", found.title), ("quota", show_quota(found.quota))]
    facts += [("created", f"{show_local(found.created)} by {found.creator}" if found.created else "")]
    facts += [("member", f"{each.user}  {each.role}") for each in members]
    for label, value in facts:
        if value:
            session.out.line(f"{session.out.styled(label.ljust(7), 'dim')}  {harmless(value)}")


@command(app, "title", examples="raykqi project title 'Images of 2027' vision")
def change_title(
    session: Session,
    title: Annotated[str, typer.Argument(metavar="TEXT", help="What it is about.")],
    name: Meant = "",
) -> None:
    """Change what it is about. For its admins."""
    with session.open() as workspace:
        changed = workspace.change_project(name, title=title)
    _show(session, changed)


@command(app, "delete", examples="raykqi project delete vision")
def delete(session: Session, name: Name) -> None:
    """Delete one that holds no data, no active plans and no runs under way."""
    with session.open() as workspace:
        workspace.remove_project(name)
    _say(session, {"project": name, "deleted": True}, f"{name} is deleted.")


@command(app, "members", examples="raykqi project members\nraykqi project members vision")
def members(session: Session, name: Meant = "") -> None:
    """Who has which role in it."""
    with session.open() as workspace:
        found = workspace.members(name)
    if session.json:
        session.out.json([msgspec.to_builtins(each) for each in found])
    elif found:
        session.out.table(MEMBERS, [[each.user, each.role] for each in found])
    else:
        session.out.note("It has no members: administrators of the workspace alone see it.")


@command(app, "add", examples="raykqi project add hanako member\nraykqi project add taro manager --project vision")
def add(
    session: Session,
    user: User,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"One of {', '.join(ROLES)}.")] = "member",
) -> None:
    """Give a user a role in the project, whatever it was."""
    _set(session, user, role)


@command(app, "role", examples="raykqi project role hanako viewer")
def change_role(
    session: Session,
    user: User,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"One of {', '.join(ROLES)}.")],
) -> None:
    """Change the role of a member."""
    _set(session, user, role)


@command(app, "remove", examples="raykqi project remove hanako\nraykqi project remove hanako --project vision")
def remove(session: Session, user: User) -> None:
    """Take a member out of the project; what they made stays."""
    with session.open() as workspace:
        workspace.remove_member(user)
        project = workspace.project_name
    _say(session, {"project": project, "user": user, "removed": True}, f"{user} is no member of {project} any more.")


@command(
    app,
    "quota",
    examples="""
    raykqi project quota
    raykqi project quota vision --cpus 32 --gpus 4 --storage 2TiB
    raykqi project quota vision --gpus none
    """,
)
def quota(
    session: Session,
    name: Meant = "",
    cpus: Annotated[str | None, typer.Option("--cpus", metavar="N", help="Cores of all runs together.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", metavar="SIZE", help="Of all runs together.")] = None,
    gpus: Annotated[str | None, typer.Option("--gpus", metavar="N", help="GPUs of all runs together.")] = None,
    running: Annotated[str | None, typer.Option("--running", metavar="N", help="Runs at a time.")] = None,
    storage: Annotated[str | None, typer.Option("--storage", metavar="SIZE", help="Of all data together.")] = None,
) -> None:
    """What its runs may take at a time, and its data together; `none` takes a limit off."""
    given = {"cpus": cpus, "memory": memory, "gpus": gpus, "running": running, "storage": storage}
    with session.open() as workspace:
        found = workspace.project(name)
        if any(value is not None for value in given.values()):
            found = workspace.change_project(name, quota=change_quota(found.quota, **given))
    if session.json:
        session.out.json(project_record(found))
    else:
        session.out.line(f"{found.name}  {show_quota(found.quota)}")


@command(app, "usage", examples="raykqi project usage\nraykqi project usage vision --json")
def usage(session: Session, name: Meant = "") -> None:
    """What it takes now of what it may, and what its members have used."""
    with session.open() as workspace:
        found = workspace.usage(name)
    if session.json:
        quotas = {"quota": quota_record(found.quota), "now": quota_record(found.now)}
        session.out.json(msgspec.to_builtins(found) | quotas)
        return
    stored = f"{show_size(found.storage)} in {show_count(found.data, 'data', 'data')}"
    allowed, now = amounts(found.quota), amounts(found.now) | {"storage": stored}
    for label, value in [*_runs(found), *now.items()]:
        most = f"  of {allowed[label]}" if label in allowed else ""
        session.out.line(f"{session.out.styled(label.ljust(8), 'dim')}  {value}{most}")
    if found.users:
        session.out.line()
        rows = [
            [each.user, f"{each.runs:,}", show_duration(each.cpu_seconds), show_duration(each.gpu_seconds)]
            for each in found.users
        ]
        session.out.table(USERS, rows)


def _set(session: Session, user: str, role: str) -> None:
    with session.open() as workspace:
        member = workspace.set_member(user, cast("Role", role))
    _say(session, msgspec.to_builtins(member), f"{member.user} is {member.role} of {member.project}.")


def _runs(usage: Usage) -> list[tuple[str, str]]:
    return [("runs", "  ".join(f"{count:,} {status}" for status, count in usage.runs.items()) or "none")]


def _show(session: Session, project: Project) -> None:
    _say(session, project_record(project), project.name)


def _say(session: Session, record: dict[str, object], text: str) -> None:
    if session.json:
        session.out.json(record)
    else:
        session.out.line(harmless(text))
