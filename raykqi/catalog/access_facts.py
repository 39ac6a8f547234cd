"""What decisions need to know about projects, users and tokens, read in a few statements for a batch of commands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from raykqi.catalog.index import Index, utc
from raykqi.domain.access import DEFAULT_PROJECT, SIGN_IN, Role

__all__ = ["AccessFacts", "Contents", "TokenFacts", "UserFacts", "existing_projects", "load_access_facts"]
__all__ += ["removed_projects"]


@dataclass
class UserFacts:
    name: str
    is_admin: bool
    is_disabled: bool


@dataclass
class TokenFacts:
    id: str
    user: str
    name: str
    expires: datetime
    is_revoked: bool
    project: str = ""


@dataclass(frozen=True)
class Contents:
    """What is in a project: data that was not removed, active plans, runs that have not ended, endpoints.

    `was_removed` says whether there was a project of this name before.
    """

    data: int = 0
    plans: int = 0
    runs: int = 0
    was_removed: bool = False
    endpoints: int = 0


@dataclass
class AccessFacts:
    """Users by their names in small letters. Decisions move these facts on as they are made."""

    projects: set[str] = field(default_factory=lambda: {DEFAULT_PROJECT})
    contents: dict[str, Contents] = field(default_factory=dict)
    users: dict[str, UserFacts] = field(default_factory=dict)
    members: dict[tuple[str, str], Role] = field(default_factory=dict)  # by project and user
    tokens: dict[str, TokenFacts] = field(default_factory=dict)
    admins: set[str] = field(default_factory=set)  # of the workspace, who can sign in
    endpoints: set[tuple[str, str]] = field(default_factory=set)  # project and name


_PROJECTS = "SELECT name FROM project WHERE removed IS NULL AND name IN (SELECT unnest(?::VARCHAR[]))"
_REMOVED = "SELECT name FROM project WHERE removed IS NOT NULL AND name IN (SELECT unnest(?::VARCHAR[]))"
_CONTENTS = """
    SELECT (SELECT count(*) FROM data WHERE project = $1 AND status <> 'removed'),
           (SELECT count(*) FROM plan WHERE project = $1 AND active),
           (SELECT count(*) FROM run WHERE project = $1 AND status NOT IN ('done', 'failed', 'invalidated')),
           EXISTS (FROM project WHERE name = $1 AND removed IS NOT NULL),
           (SELECT count(*) FROM endpoint WHERE project = $1 AND removed IS NULL)
"""
_USERS = """
    SELECT name, is_admin, is_disabled FROM user_account WHERE lower(name) IN (SELECT unnest(?::VARCHAR[]))
"""
_MEMBERS = "SELECT project, account, role FROM member WHERE project IN (SELECT unnest(?::VARCHAR[]))"
_TOKENS = f"""
    SELECT id, account, name, expires, revoked IS NOT NULL, project FROM token
    WHERE id IN (SELECT unnest(?::VARCHAR[]))
       OR (name = '{SIGN_IN}' AND lower(account) IN (SELECT unnest(?::VARCHAR[])))
"""
_ENDPOINTS = "SELECT project, name FROM endpoint WHERE removed IS NULL AND name IN (SELECT unnest(?::VARCHAR[]))"
_ADMINS = "SELECT name FROM user_account WHERE is_admin AND NOT is_disabled"


def load_access_facts(
    index: Index,
    *,
    projects: Collection[str],
    contents: Collection[str] = (),
    users: Collection[str] = (),
    tokens: Collection[str] = (),
    endpoints: Collection[str] = (),
    sign_ins: Collection[str] = (),
) -> AccessFacts:
    """Facts on what is named; of the users in `sign_ins` the tokens by which they are signed in."""
    facts = AccessFacts(existing_projects(index, projects))
    for project in contents:
        facts.contents[project] = Contents(*index.rows(_CONTENTS, [project])[0])
    if users:
        small = [user.lower() for user in users]
        facts.users = {name.lower(): UserFacts(name, *rest) for name, *rest in index.rows(_USERS, [small])}
        facts.admins = {name for (name,) in index.rows(_ADMINS)}
    if projects and users:
        facts.members = {(project, user): role for project, user, role in index.rows(_MEMBERS, [list(projects)])}
    if endpoints:
        facts.endpoints = {(project, name) for project, name in index.rows(_ENDPOINTS, [list(endpoints)])}
    if tokens or sign_ins:
        rows = index.rows(_TOKENS, [list(tokens), [user.lower() for user in sign_ins]])
        facts.tokens = {
            id_: TokenFacts(id_, user, name, utc(expires), revoked, project)
            for id_, user, name, expires, revoked, project in rows
        }
    return facts


def existing_projects(index: Index, names: Collection[str]) -> set[str]:
    """Those of the names that are projects."""
    others = [name for name in names if name != DEFAULT_PROJECT]
    found = {name for (name,) in index.rows(_PROJECTS, [others])} if others else set()
    return found | {DEFAULT_PROJECT}


def removed_projects(index: Index, names: Collection[str]) -> frozenset[str]:
    """Those of the names that were projects and are none any more."""
    others = [name for name in names if name != DEFAULT_PROJECT]
    return frozenset(name for (name,) in index.rows(_REMOVED, [others])) if others else frozenset()
