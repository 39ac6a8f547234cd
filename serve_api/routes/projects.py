"""Projects: what they are called and may use, who is in them, and who did what."""

from __future__ import annotations

from datetime import datetime

import msgspec

from raykqi.domain.access import DeedPage, DeedQuery, Membership, Project, Quota, Role, Usage
from raykqi.domain.tags import instant_of
from raykqi.domain.text import check_text
from raykqi.errors import Forbidden
from serve_api.asking import Asked
from serve_api.routes.data import Limit
from serve_api.routing import Routes

__all__ = ["routes"]

routes = Routes("projects")


class NewProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    title: str = ""
    quota: Quota = Quota()


class ProjectEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is; a quota takes the place of the whole quota before."""

    title: str | None = None
    quota: Quota | None = None


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role


class DeedsListed(msgspec.Struct, frozen=True):
    by: str = ""
    action: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""
    limit: Limit = 50
    cursor: str = ""


class DeedsOfAll(DeedsListed, frozen=True):
    project: str = ""


class UsageWanted(msgspec.Struct, frozen=True):
    """Of runs that ended in this time."""

    since: str = ""
    until: str = ""


@routes.get("/projects", needs="signed_in")
def list_projects(asked: Asked) -> list[Project]:
    """The projects that the caller is in; for administrators all"""
    roles = asked.caller.roles
    return [project for project in asked.workspace.projects() if asked.caller.is_admin or project.name in roles]


@routes.post("/projects", needs="workspace", once=True, status=201, example=NewProject("lab-2", "第二研究室"))
def make_project(asked: Asked, body: NewProject) -> Project:
    """Make a project"""
    return asked.workspace.create_project(body.name, title=body.title, quota=body.quota)


@routes.get("/projects/{project}", needs="viewer", tagged=True)
def show_project(asked: Asked, project: str) -> Project:
    """One project"""
    return asked.workspace.project(project)


@routes.patch("/projects/{project}", needs="admin", conditional=True, example=ProjectEdit(title="第二研究室"))
def change_project(asked: Asked, project: str, body: ProjectEdit) -> Project:
    """Change its title; the quota too, as an administrator of the workspace"""
    if body.quota is not None and not asked.caller.is_admin:
        raise Forbidden("only administrators of the workspace change quotas", hint="Ask one of them.")
    return asked.workspace.change_project(project, title=body.title, quota=body.quota)


@routes.delete("/projects/{project}", needs="workspace", conditional=True, status=204)
def remove_project(asked: Asked, project: str) -> None:
    """Remove a project that holds no data, no active plans and no runs under way"""
    asked.workspace.remove_project(project)


@routes.get("/projects/{project}/members", needs="viewer")
def list_members(asked: Asked, project: str) -> list[Membership]:
    """Who is in the project, and with which role"""
    return asked.workspace.members(project)


@routes.put("/projects/{project}/members/{user}", needs="manager", example=NewRole("member"))
def set_member(asked: Asked, project: str, user: str, body: NewRole) -> Membership:
    """Give a user a role in the project; that of an admin, only as one"""
    _refuse_above(asked, project, user, body.role)
    return asked.workspace.set_member(user, body.role, project=project)


@routes.delete("/projects/{project}/members/{user}", needs="manager", once=True, status=204)
def remove_member(asked: Asked, project: str, user: str) -> None:
    """Take a user out of the project; an admin, only as one"""
    _refuse_above(asked, project, user, "viewer")
    asked.workspace.remove_member(user, project=project)


@routes.get("/projects/{project}/usage", needs="viewer")
def show_usage(asked: Asked, project: str, query: UsageWanted) -> Usage:
    """What the project uses now, and what its members' runs have taken"""
    return asked.workspace.usage(project, since=query.since or None, until=query.until or None)


@routes.get("/projects/{project}/audit", needs="viewer")
def list_deeds(asked: Asked, project: str, query: DeedsListed) -> DeedPage:
    """Who did what in the project, newest first"""
    return _deeds(asked, project, query)


@routes.get("/audit", needs="workspace")
def list_all_deeds(asked: Asked, query: DeedsOfAll) -> DeedPage:
    """Who did what in the workspace, newest first"""
    return _deeds(asked, query.project, query)


def _deeds(asked: Asked, project: str, query: DeedsListed) -> DeedPage:
    wanted = DeedQuery(
        project=project,
        by=check_text(query.by, "user"),
        action=check_text(query.action, "action"),
        subject=check_text(query.subject, "subject"),
        since=_moment(query.since),
        until=_moment(query.until),
    )
    return asked.workspace.audit(wanted, limit=query.limit, cursor=query.cursor)


def _moment(text: str) -> datetime | None:
    return instant_of(text or None)


def _refuse_above(asked: Asked, project: str, user: str, role: Role) -> None:
    """Only an admin makes one, changes one or takes one out."""
    if asked.caller.may("admin", project):
        return
    before = next((each.role for each in asked.workspace.members(project) if each.user == user), None)
    if "admin" in (role, before):
        raise Forbidden("only an admin of the project changes who is one", hint="Ask one of them.")
