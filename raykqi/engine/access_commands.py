"""What one may ask the controller to do with projects, members, users and tokens. Secrets come as hashes.

In a change, None means that it stays as it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from raykqi.domain.access import Quota, Role

__all__ = ["AccessCommand", "AddUser", "ChangeProject", "ChangeUser", "IssueToken", "MakeProject", "RemoveMember"]
__all__ += ["LOOKS_AROUND", "RemoveProject", "RemoveUser", "RevokeToken", "SetMember"]


class MakeProject(msgspec.Struct, frozen=True):
    by: str
    project: str
    title: str = ""
    quota: Quota = Quota()


class ChangeProject(msgspec.Struct, frozen=True):
    by: str
    project: str
    title: str | None = None
    quota: Quota | None = None


class RemoveProject(msgspec.Struct, frozen=True):
    by: str
    project: str


class SetMember(msgspec.Struct, frozen=True):
    by: str
    project: str
    user: str
    role: Role


class RemoveMember(msgspec.Struct, frozen=True):
    by: str
    project: str
    user: str


class AddUser(msgspec.Struct, frozen=True):
    by: str
    user: str
    title: str = ""
    is_admin: bool = False
    password: str = ""


class ChangeUser(msgspec.Struct, frozen=True):
    """A new password ends all sign-ins of the user but the one with the token `keep`."""

    by: str
    user: str
    title: str | None = None
    is_admin: bool | None = None
    is_disabled: bool | None = None
    password: str | None = None
    keep: str = ""


class RemoveUser(msgspec.Struct, frozen=True):
    by: str
    user: str


class IssueToken(msgspec.Struct, frozen=True):
    """With the name of an `endpoint` it may ask that one, which is in `project`, and do nothing else."""

    by: str
    user: str
    name: str
    digest: str
    expires: datetime
    project: str = ""
    role: Role | Literal[""] = ""
    endpoint: str = ""


class RevokeToken(msgspec.Struct, frozen=True):
    """Only if it is one of `user`, when that is given."""

    by: str
    token: str
    user: str = ""


AccessCommand = (
    MakeProject
    | ChangeProject
    | RemoveProject
    | SetMember
    | RemoveMember
    | AddUser
    | ChangeUser
    | RemoveUser
    | IssueToken
    | RevokeToken
)
# Their decisions look at more than what they name.
LOOKS_AROUND = (
    MakeProject, ChangeProject, RemoveProject, SetMember, RemoveMember, AddUser, ChangeUser, RemoveUser,
)  # fmt: skip
