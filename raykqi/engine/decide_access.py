"""Decisions about projects, members, users and tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from raykqi.catalog.access_facts import Contents, TokenFacts, UserFacts
from raykqi.catalog.facts import Facts
from raykqi.domain.access import DEFAULT_PROJECT, RUN_USER, SIGN_IN, Quota, check_project, check_role, check_user
from raykqi.domain.events import (
    Event,
    MemberRemoved,
    MemberSet,
    ProjectChanged,
    ProjectMade,
    ProjectRemoved,
    TokenIssued,
    TokenRevoked,
    UserAdded,
    UserChanged,
    UserRemoved,
)
from raykqi.domain.ids import IdMaker
from raykqi.domain.text import check_name
from raykqi.engine.access_commands import (
    AddUser,
    ChangeProject,
    ChangeUser,
    IssueToken,
    MakeProject,
    RemoveMember,
    RemoveProject,
    RemoveUser,
    RevokeToken,
    SetMember,
)
from raykqi.engine.decide import decide
from raykqi.errors import Conflict, InUse, InvalidInput, UnknownId

__all__ = []

SYSTEM = "raykqi"  # acts by itself
LONGEST = timedelta(days=3650)


@decide.register
def _(command: MakeProject, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    name = check_project(command.project)
    _check_quota(command.quota)
    if name in facts.access.projects:
        raise Conflict(f"there is a project {name} already", hint="Choose another name, or use that one.")
    if facts.access.contents.get(name, Contents()).was_removed:
        raise Conflict(
            f"there was a project {name}, and its lineage stays under that name", hint="Choose another name."
        )
    facts.access.projects.add(name)
    return [ProjectMade(now, command.by, name, command.title, command.quota)]


@decide.register
def _(command: ChangeProject, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    name = _project(command.project, facts)
    if command.quota is not None:
        _check_quota(command.quota)
    if command.title is None and command.quota is None:
        return []
    return [ProjectChanged(now, command.by, name, command.title, command.quota)]


@decide.register
def _(command: RemoveProject, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    name = _project(command.project, facts)
    if name == DEFAULT_PROJECT:
        raise Conflict("the default project is always there", hint="Remove its data and members, if they must go.")
    inside = facts.access.contents.get(name, Contents())
    named = (
        (inside.data, "data"),
        (inside.plans, "active plans"),
        (inside.runs, "runs that have not ended"),
        (inside.endpoints, "endpoints"),
    )
    if there := ", ".join(f"{count} {what}" for count, what in named if count):
        raise InUse(
            f"project {name} cannot be removed: it holds {there}",
            hint="Remove the endpoints, stop the runs, deactivate the plans and remove the data first.",
        )
    facts.access.projects.discard(name)
    return [ProjectRemoved(now, command.by, name)]


@decide.register
def _(command: SetMember, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    project, user = _project(command.project, facts), _user(command.user, facts)
    role = check_role(command.role)
    if facts.access.members.get((project, user.name)) == role:
        return []
    facts.access.members[project, user.name] = role
    return [MemberSet(now, command.by, project, user.name, role)]


@decide.register
def _(command: RemoveMember, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    project = _project(command.project, facts)
    if facts.access.members.pop((project, command.user), None) is None:
        raise UnknownId(
            f"{command.user} is no member of project {project}", hint="`raykqi project members` lists who is."
        )
    return [MemberRemoved(now, command.by, project, command.user)]


@decide.register
def _(command: AddUser, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    name = check_user(command.user)
    if name.lower() == SYSTEM or name.lower().startswith(RUN_USER):
        raise InvalidInput(f"nobody can be called {name}: the system acts under that name", hint="Choose another one.")
    if existing := facts.access.users.get(name.lower()):
        raise Conflict(f"there is a user {existing.name} already", hint="Choose another name, or change that user.")
    facts.access.users[name.lower()] = UserFacts(name, command.is_admin, is_disabled=False)
    return [UserAdded(now, command.by, name, command.title, command.is_admin, command.password)]


@decide.register
def _(command: ChangeUser, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    user = _user(command.user, facts)
    changed = {
        "title": command.title,
        "is_admin": None if command.is_admin == user.is_admin else command.is_admin,
        "is_disabled": None if command.is_disabled == user.is_disabled else command.is_disabled,
        "password": command.password,
    }
    if all(value is None for value in changed.values()):
        return []
    if command.is_admin is False or command.is_disabled:
        _refuse_last_administrator(user, facts)
    event = UserChanged(now, command.by, user.name)
    return [
        msgspec.structs.replace(event, **changed),
        *(_revoked(token, command.by, now) for token in _ended_by(command, user, facts, now)),
    ]


@decide.register
def _(command: RemoveUser, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    user = _user(command.user, facts)
    _refuse_last_administrator(user, facts)
    del facts.access.users[user.name.lower()]
    return [UserRemoved(now, command.by, user.name)]


@decide.register
def _(command: IssueToken, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    user = _user(command.user, facts)
    if user.is_disabled:
        raise Conflict(f"user {user.name} is disabled", hint="Enable the user first.")
    name = check_name(command.name, "name of a token")
    if command.expires <= now:
        raise InvalidInput(f"a token that expires at {command.expires} is of no use", hint="Name a later time.")
    if command.expires > now + LONGEST:
        raise InvalidInput(
            f"a token cannot last until {command.expires}", hint=f"Give {LONGEST.days} days at the most."
        )
    project = _project(command.project, facts) if command.project else ""
    role = check_role(command.role) if command.role else ""
    if command.endpoint:
        _check_endpoint(command.endpoint, project, facts)
        if role:
            raise InvalidInput(
                f"a token that may ask the endpoint {command.endpoint} and nothing else has no role",
                hint="Leave out the role, or the endpoint.",
            )
    id_, expires = ids.new(), command.expires
    digest, endpoint = command.digest, command.endpoint
    return [TokenIssued(now, command.by, id_, user.name, name, digest, expires, project, role, endpoint)]


@decide.register
def _(command: RevokeToken, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    token = facts.access.tokens.get(command.token)
    if token is None or (command.user and token.user != command.user):
        raise UnknownId(f"there is no token {command.token}", hint="`raykqi token list` lists yours.")
    if token.is_revoked:
        return []
    return [_revoked(token, command.by, now)]


def _project(name: str, facts: Facts) -> str:
    if name not in facts.access.projects:
        raise UnknownId(f"there is no project {name}", hint="`raykqi project list` lists what there is.")
    return name


def _check_endpoint(name: str, project: str, facts: Facts) -> None:
    if (project, name) not in facts.access.endpoints:
        raise UnknownId(
            f"there is no endpoint {name!r} in project {project or 'none'}", hint="`raykqi serve list` shows them."
        )


def _user(name: str, facts: Facts) -> UserFacts:
    user = facts.access.users.get(name.lower())
    if user is None or user.name != name:
        raise UnknownId(f"there is no user {name}", hint="`raykqi user list` lists who there is.")
    return user


def _refuse_last_administrator(user: UserFacts, facts: Facts) -> None:
    if facts.access.admins == {user.name}:
        raise Conflict(f"{user.name} is the last administrator of the workspace", hint="Make somebody else one first.")


def _ended_by(command: ChangeUser, user: UserFacts, facts: Facts, now: datetime) -> list[TokenFacts]:
    """The sign-ins that a new password ends."""
    if command.password is None:
        return []
    return [
        token
        for token in facts.access.tokens.values()
        if token.user == user.name
        and token.name == SIGN_IN
        and token.id != command.keep
        and not token.is_revoked
        and token.expires > now
    ]


def _revoked(token: TokenFacts, by: str, now: datetime) -> TokenRevoked:
    token.is_revoked = True
    return TokenRevoked(now, by, token.id, token.user, token.project)


def _check_quota(quota: Quota) -> None:
    for name in quota.__struct_fields__:
        value = getattr(quota, name)
        if value is not None and not 0 <= value < 1 << 63:
            raise InvalidInput(f"a quota of {value} {name} is not possible", hint="Give 0 or more, or none at all.")
