"""The events of projects, members, users and tokens, and of requests that were answered.

Of a password and of a token an event holds a hash, never the secret; `told` leaves out even that. In a
change, None means that it stays as it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from raykqi.domain.access import Quota, Role

__all__ = ["AccessEvent", "MemberRemoved", "MemberSet", "ProjectChanged", "ProjectMade", "ProjectRemoved"]
__all__ += ["RequestAnswered", "TokenIssued", "TokenRevoked", "UserAdded", "UserChanged", "UserRemoved", "told"]

Any = TypeVar("Any")


class ProjectMade(msgspec.Struct, frozen=True, gc=False, tag="project.made", tag_field="action"):
    at: datetime
    by: str
    project: str
    title: str = ""
    quota: Quota = Quota()


class ProjectChanged(msgspec.Struct, frozen=True, gc=False, tag="project.changed", tag_field="action"):
    at: datetime
    by: str
    project: str
    title: str | None = None
    quota: Quota | None = None


class ProjectRemoved(msgspec.Struct, frozen=True, gc=False, tag="project.removed", tag_field="action"):
    """With its members; tokens that were only for it are gone."""

    at: datetime
    by: str
    project: str


class MemberSet(msgspec.Struct, frozen=True, gc=False, tag="member.set", tag_field="action"):
    """From now on the user has this role in the project, whatever it was."""

    at: datetime
    by: str
    project: str
    user: str
    role: Role


class MemberRemoved(msgspec.Struct, frozen=True, gc=False, tag="member.removed", tag_field="action"):
    at: datetime
    by: str
    project: str
    user: str


class UserAdded(msgspec.Struct, frozen=True, gc=False, tag="user.added", tag_field="action"):
    """`password` is a hash, or "" for a user who comes by tokens or another sign-in."""

    at: datetime
    by: str
    user: str
    title: str = ""
    is_admin: bool = False
    password: str = ""


class UserChanged(msgspec.Struct, frozen=True, gc=False, tag="user.changed", tag_field="action"):
    at: datetime
    by: str
    user: str
    title: str | None = None
    is_admin: bool | None = None
    is_disabled: bool | None = None
    password: str | None = None


class UserRemoved(msgspec.Struct, frozen=True, gc=False, tag="user.removed", tag_field="action"):
    """With all memberships and tokens; what the user did stays."""

    at: datetime
    by: str
    user: str


class TokenIssued(msgspec.Struct, frozen=True, gc=False, tag="token.issued", tag_field="action"):
    """`digest` is the hash of the secret. An empty `project` or `role` narrows nothing.

    One of an `endpoint` is for asking that.
    """

    at: datetime
    by: str
    token: str
    user: str
    name: str
    digest: str
    expires: datetime
    project: str = ""
    role: Role | Literal[""] = ""
    endpoint: str = ""


class TokenRevoked(msgspec.Struct, frozen=True, gc=False, tag="token.revoked", tag_field="action"):
    at: datetime
    by: str
    token: str
    user: str = ""
    project: str = ""


class RequestAnswered(msgspec.Struct, frozen=True, gc=False, tag="request.answered", tag_field="action"):
    """What a request with this key came to, in the same entry; it counts for a day.

    `fingerprint` tells the request from another one with the same key; `subjects` are the ids it made. What
    it came to are the `count` events before this one, in the journal's entry of that number.
    """

    at: datetime
    by: str
    key: str
    fingerprint: str
    subjects: tuple[str, ...]
    project: str = ""
    entry: int = 0
    count: int = 0


AccessEvent = (
    ProjectMade
    | ProjectChanged
    | ProjectRemoved
    | MemberSet
    | MemberRemoved
    | UserAdded
    | UserChanged
    | UserRemoved
    | TokenIssued
    | TokenRevoked
    | RequestAnswered
)


def told(event: Any) -> Any:
    """The event as others may hear of it: without hashes of secrets."""
    if isinstance(event, TokenIssued):
        return msgspec.structs.replace(event, digest="")
    if isinstance(event, UserAdded | UserChanged) and event.password:
        return msgspec.structs.replace(event, password="")
    return event
