"""Questions about projects, members, users and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from raykqi.catalog.index import Index, utc
from raykqi.domain.access import DEFAULT_PROJECT, Membership, Project, Quota, Role, Token, User
from raykqi.errors import UnknownId

__all__ = ["KnownToken", "Standing", "find_token", "get_project", "get_user", "list_members", "list_projects"]
__all__ += ["list_tokens", "list_users", "password_of", "resolve_token", "run_state", "standing_of"]

_PROJECT = "SELECT name, title, quota, created, creator FROM project WHERE removed IS NULL"
_MEMBERS = "SELECT account, role, project FROM member WHERE project = ? ORDER BY account"
_USER = "SELECT name, title, is_admin, is_disabled, password <> '', created FROM user_account"
_TOKEN = "SELECT id, account, name, created, expires, project, role, revoked, endpoint FROM token"
_KNOWN = """
    SELECT t.*, u.is_admin, u.is_disabled FROM (
        SELECT id, account, name, created, expires, project, role, revoked, endpoint, digest FROM token WHERE id = ?
    ) t JOIN user_account u ON u.name = t.account
"""
_ROLES = "SELECT project, role FROM member WHERE account = ?"
_STANDING = "SELECT is_admin, is_disabled FROM user_account WHERE name = ?"
_RUN = "SELECT project, attempt, status FROM run WHERE id = ?::UUID"


class Standing(NamedTuple):
    """What a user may, as far as it is not for a token to say."""

    is_admin: bool
    is_disabled: bool
    roles: dict[str, Role]


class KnownToken(NamedTuple):
    token: Token
    digest: str
    standing: Standing


def list_projects(index: Index) -> list[Project]:
    """All of them by name, the default one among them."""
    found = [_project(row) for row in index.rows(_PROJECT)]
    if all(project.name != DEFAULT_PROJECT for project in found):
        found.append(Project(DEFAULT_PROJECT))
    return sorted(found, key=lambda project: project.name)


def get_project(index: Index, name: str) -> Project:
    if rows := index.rows(f"{_PROJECT} AND name = ?", [name]):
        return _project(rows[0])
    if name == DEFAULT_PROJECT:
        return Project(DEFAULT_PROJECT)
    raise UnknownId(f"there is no project {name}", hint="`raykqi project list` lists what there is.")


def list_members(index: Index, project: str) -> list[Membership]:
    get_project(index, project)
    return [Membership(*row) for row in index.rows(_MEMBERS, [project])]


def list_users(index: Index) -> list[User]:
    return [_user(row) for row in index.rows(f"{_USER} ORDER BY lower(name)")]


def get_user(index: Index, name: str) -> User:
    if rows := index.rows(f"{_USER} WHERE name = ?", [name]):
        return _user(rows[0])
    raise UnknownId(f"there is no user {name}", hint="`raykqi user list` lists who there is.")


def password_of(index: Index, user: str) -> str:
    """The hash of the password of a user who may sign in with one, else nothing."""
    sql = "SELECT password FROM user_account WHERE name = ? AND NOT is_disabled"
    return next((password for (password,) in index.rows(sql, [user])), "")


def list_tokens(index: Index, user: str, *, since: datetime) -> list[Token]:
    """Those of one user, or of all without a name, that had not expired at `since`; newest first."""
    sql = f"{_TOKEN} WHERE expires > ? AND (account = ? OR ? = '') ORDER BY created DESC, id DESC"
    return [_token(row) for row in index.rows(sql, [since.replace(tzinfo=None), user, user])]


def resolve_token(index: Index, prefix: str, user: str = "") -> str:
    """The whole id of the one token that begins so, of this user if one is named."""
    sql = "SELECT id FROM token WHERE starts_with(id, ?) AND (account = ? OR ? = '') LIMIT 2"
    found = [id_ for (id_,) in index.rows(sql, [prefix, user, user])] if prefix else []
    if len(found) != 1:
        problem = f"{prefix!r} begins several tokens" if found else f"there is no token {prefix}"
        raise UnknownId(problem, hint="`raykqi token list` lists yours.")
    return str(found[0])


def find_token(index: Index, id_: str) -> KnownToken | None:
    """The token with the hash of its secret and what its user may."""
    rows = index.rows(_KNOWN, [id_])
    if not rows:
        return None
    (*token, digest, is_admin, is_disabled) = rows[0]
    known = _token(tuple(token))
    return KnownToken(known, digest, Standing(is_admin, is_disabled, _roles(index, known.user)))


def standing_of(index: Index, user: str) -> Standing | None:
    rows = index.rows(_STANDING, [user])
    return Standing(rows[0][0], rows[0][1], _roles(index, user)) if rows else None


def run_state(index: Index, run: str) -> tuple[str, int, str] | None:
    """The project, attempt and status of a run."""
    rows = index.rows(_RUN, [run])
    return rows[0] if rows else None


def _roles(index: Index, user: str) -> dict[str, Role]:
    return dict(index.rows(_ROLES, [user]))


def _project(row: tuple[Any, ...]) -> Project:
    name, title, quota, created, creator = row
    return Project(name, title, msgspec.json.decode(quota, type=Quota), created and utc(created), creator)


def _user(row: tuple[Any, ...]) -> User:
    name, title, is_admin, is_disabled, has_password, created = row
    return User(name, title, is_admin, is_disabled, has_password, utc(created))


def _token(row: tuple[Any, ...]) -> Token:
    id_, user, name, created, expires, project, role, revoked, endpoint = row
    return Token(id_, user, name, utc(created), utc(expires), project, role, revoked and utc(revoked), endpoint)
