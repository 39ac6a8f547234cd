"""Who may do what: users, their roles in projects, the tokens they act with, and what a project may use.

Secrets are never values of this room: of a password and of a token only hashes are kept.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

import msgspec

from raykqi.errors import InvalidInput

__all__ = ["DEFAULT_PROJECT", "ROLES", "RUN_USER", "SIGN_IN", "Caller", "Deed", "DeedPage", "DeedQuery", "Membership"]
__all__ += [
    "Project",
    "Quota",
    "Role",
    "Token",
    "Usage",
    "User",
    "UserUsage",
    "at_least",
    "check_project",
    "check_role",
    "check_user",
]

Role = Literal["viewer", "member", "manager", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "member", "manager", "admin")  # each may do what those before it may
DEFAULT_PROJECT = "default"
RUN_USER = "run-"  # what the names of runs begin with, as which their commands act
SIGN_IN = "sign-in"  # the name of tokens that are given for a password
_PROJECT = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_USER = re.compile(r"[A-Za-z0-9][-_.@A-Za-z0-9]{0,127}\Z")


class Quota(msgspec.Struct, frozen=True, omit_defaults=True):
    """What all runs of a project may take at a time, and its data together; None: without limit.

    `cpu` and `gpu` in thousandths, `memory` and `storage` in bytes.
    """

    cpu: int | None = None
    memory: int | None = None
    gpu: int | None = None
    running: int | None = None
    storage: int | None = None


class Membership(msgspec.Struct, frozen=True):
    user: str
    role: Role
    project: str


class Project(msgspec.Struct, frozen=True):
    name: str
    title: str = ""
    quota: Quota = Quota()
    created: datetime | None = None  # None: the default project, which was always there
    creator: str = ""


class User(msgspec.Struct, frozen=True):
    """`is_admin`: of the workspace, with every right in every project."""

    name: str
    title: str = ""
    is_admin: bool = False
    is_disabled: bool = False
    has_password: bool = False
    created: datetime | None = None


class Token(msgspec.Struct, frozen=True):
    """What is known of a token; `id` is no secret. An empty `project` or `role` narrows nothing.

    One of an `endpoint` may ask that, in `project`, and do nothing else.
    """

    id: str
    user: str
    name: str
    created: datetime
    expires: datetime
    project: str = ""
    role: Role | Literal[""] = ""
    revoked: datetime | None = None
    endpoint: str = ""


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and what they may: `roles` by project. `token` is the id of theirs; `run` is set when a run acts.

    With an `endpoint` they have no roles, and may ask the endpoint of this name alone.
    """

    user: str
    is_admin: bool = False
    roles: dict[str, Role] = {}
    token: str = ""
    run: str = ""
    endpoint: str = ""

    def role_in(self, project: str) -> Role | None:
        return "admin" if self.is_admin else self.roles.get(project)

    def may(self, role: Role, project: str) -> bool:
        own = self.role_in(project)
        return own is not None and at_least(own, role)


class Deed(msgspec.Struct, frozen=True):
    """One line of the audit log: who did what, when, to what."""

    at: datetime
    by: str
    project: str
    action: str
    subject: str
    detail: str = ""


class DeedQuery(msgspec.Struct, frozen=True):
    """An empty `project` asks for all of them."""

    project: str = ""
    by: str = ""
    action: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


class DeedPage(msgspec.Struct, frozen=True):
    items: tuple[Deed, ...]
    next_cursor: str = ""


class UserUsage(msgspec.Struct, frozen=True):
    """What the runs that a user caused have used."""

    user: str
    runs: int
    cpu_seconds: float
    gpu_seconds: float
    memory_byte_seconds: float


class Usage(msgspec.Struct, frozen=True):
    """`now` is what runs take at this moment; `storage` the bytes of data that were not given up, each tree once."""

    project: str
    quota: Quota
    now: Quota
    storage: int
    data: int
    runs: dict[str, int]
    users: tuple[UserUsage, ...] = ()


def at_least(own: Role, wanted: Role) -> bool:
    return ROLES.index(own) >= ROLES.index(wanted)


def check_role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise InvalidInput(f"there is no role {text!r}", hint=f"Choose from {', '.join(ROLES)}.")


def check_project(text: str) -> str:
    if not _PROJECT.match(text):
        raise InvalidInput(
            f"{text!r} is no name of a project", hint="Up to 63 small letters, digits and hyphens, as in lab-2."
        )
    return text


def check_user(text: str) -> str:
    if not _USER.match(text):
        raise InvalidInput(
            f"{text!r} is no name of a user", hint="Up to 128 letters, digits and any of -_.@, as in mika@lab."
        )
    return text
