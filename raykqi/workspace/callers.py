"""Who comes with a token, and what they may: asked for every request, so that what was taken away counts at once.

Everything that changes who may do what is a deed, so the number of deeds tells whether an answer still holds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from raykqi.catalog.access_queries import KnownToken, find_token, list_projects, run_state
from raykqi.catalog.index import Index
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.domain.access import RUN_USER, Caller, Role, at_least
from raykqi.domain.run import LIVE
from raykqi.domain.run_token import PREFIX, read_run_token
from raykqi.domain.token_text import is_secret_of, read_token
from raykqi.errors import Unauthenticated

__all__ = ["Callers"]

KEPT = 1_000


class _Known(NamedTuple):
    digest: str
    expires: datetime
    caller: Caller


class Callers:
    """Remembers the answers to the last tokens for as long as nobody's rights change."""

    def __init__(self, keeper: IndexKeeper, key: Callable[[], bytes]) -> None:
        self._keeper = keeper
        self._key = key
        self._at = (-1, -1)
        self._known: dict[str, _Known] = {}

    def caller(self, text: str) -> Caller:
        now = datetime.now(UTC)
        if text.startswith(PREFIX):
            return self._run(text, now)
        read = read_token(text)
        if read is None:
            raise _refused()
        id_, secret = read
        index = self._keeper.index
        at = (index.generation, self._keeper.position.deeds)
        if at != self._at:
            self._known, self._at = {}, at
        answers = self._known
        known = answers.get(id_) or _look_up(index, id_)
        if known is None or not is_secret_of(secret, known.digest) or known.expires <= now:
            raise _refused()
        if len(answers) >= KEPT:
            answers.clear()
        answers[id_] = known
        return known.caller

    def _run(self, text: str, now: datetime) -> Caller:
        token = read_run_token(text, self._key(), now)
        if token is None:
            raise _refused()
        state = run_state(self._keeper.index, token.run)
        if state is None or state[:2] != (token.project, token.attempt) or state[2] not in LIVE:
            raise _refused()
        return Caller(f"{RUN_USER}{token.run}", roles={token.project: "member"}, run=token.run)


def _look_up(index: Index, id_: str) -> _Known | None:
    found = find_token(index, id_)
    if found is None or found.token.revoked or found.standing.is_disabled:
        return None
    if found.token.endpoint and not found.standing.is_admin and found.token.project not in found.standing.roles:
        return None  # whose user may not ask that endpoint any more
    return _Known(found.digest, found.token.expires, _caller(found, index))


def _caller(found: KnownToken, index: Index) -> Caller:
    """What the user may, less what the token leaves out."""
    token, standing = found.token, found.standing
    if token.endpoint:
        return Caller(token.user, token=token.id, endpoint=token.endpoint)
    if not token.project and not token.role:
        return Caller(token.user, standing.is_admin, standing.roles, token.id)
    roles: dict[str, Role] = dict(standing.roles)
    if standing.is_admin:
        roles = {project.name: "admin" for project in list_projects(index)}
    if token.project:
        roles = {name: role for name, role in roles.items() if name == token.project}
    if most := token.role:
        roles = {name: most if at_least(role, most) else role for name, role in roles.items()}
    return Caller(token.user, roles=roles, token=token.id)


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "the token is not valid: it is wrong, has expired or was revoked", hint="Sign in again: `raykqi login URL`."
    )
