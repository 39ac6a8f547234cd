"""How events about projects, members, users, tokens and answered requests change the index."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from zlib import crc32

import msgspec

from raykqi.catalog.deeds import note_deed
from raykqi.catalog.folding import Fold, fold
from raykqi.domain.events import (
    MemberRemoved,
    MemberSet,
    ProjectChanged,
    ProjectMade,
    ProjectRemoved,
    RequestAnswered,
    TokenIssued,
    TokenRevoked,
    UserAdded,
    UserChanged,
    UserRemoved,
)

__all__ = []

ANSWER_COUNTS = timedelta(days=1)
TOKEN_IS_SHOWN = timedelta(days=30)  # after it has expired
ONE_IN = 64  # of these events looks for old rows


@fold.register
def _(event: ProjectMade, state: Fold) -> None:
    quota = msgspec.json.encode(event.quota).decode()
    state.round.access.add("project made", event.project, event.title, quota, event.at, event.by)
    note_deed(event, state, event.project, event.project, event.title)


@fold.register
def _(event: ProjectChanged, state: Fold) -> None:
    quota = None if event.quota is None else msgspec.json.encode(event.quota).decode()
    state.round.access.add("project changed", event.project, event.title, quota)
    changed = {"title": event.title, "quota": event.quota}
    note_deed(event, state, event.project, event.project, _listed(changed))


@fold.register
def _(event: ProjectRemoved, state: Fold) -> None:
    state.round.access.add("project removed", event.project, event.at)
    note_deed(event, state, event.project, event.project)


@fold.register
def _(event: MemberSet, state: Fold) -> None:
    state.round.access.add("member set", _place(event), event.project, event.user, event.role)
    note_deed(event, state, event.project, event.user, event.role)


@fold.register
def _(event: MemberRemoved, state: Fold) -> None:
    state.round.access.add("member removed", _place(event), event.project, event.user, "")
    note_deed(event, state, event.project, event.user)


@fold.register
def _(event: UserAdded, state: Fold) -> None:
    state.round.access.add("user added", event.user, event.title, event.is_admin, event.password, event.at)
    note_deed(event, state, "", event.user, "administrator" if event.is_admin else "")


@fold.register
def _(event: UserChanged, state: Fold) -> None:
    state.round.access.add("user changed", event.user, event.title, event.is_admin, event.is_disabled, event.password)
    changed = {
        "title": event.title,
        "administrator" if event.is_admin else "no administrator": event.is_admin,
        "disabled" if event.is_disabled else "enabled": event.is_disabled,
        "password": event.password,
    }
    note_deed(event, state, "", event.user, _listed(changed))


@fold.register
def _(event: UserRemoved, state: Fold) -> None:
    state.round.access.add("user removed", event.user)
    note_deed(event, state, "", event.user)


@fold.register
def _(event: TokenIssued, state: Fold) -> None:
    into = state.round.access
    into.add(
        "token issued",
        event.token, event.user, event.name, event.digest, event.at, event.expires, event.project, event.role,
        event.endpoint,
    )  # fmt: skip
    if _is_one_in_many(event.token):
        into.add("tokens forgotten", event.at - TOKEN_IS_SHOWN)
    note_deed(event, state, event.project, event.token, f"{event.user}: {event.name}")


@fold.register
def _(event: TokenRevoked, state: Fold) -> None:
    state.round.access.add("token revoked", event.token, event.at)
    note_deed(event, state, event.project, event.token, event.user)


@fold.register
def _(event: RequestAnswered, state: Fold) -> None:
    into, subjects = state.round.access, msgspec.json.encode(event.subjects).decode()
    place = f"{event.by} {event.key}"
    about = (event.at, event.by, event.key, event.fingerprint, subjects, event.project, event.entry)
    into.add("request answered", place, *about)
    if _is_one_in_many(event.key):
        into.add("answers forgotten", event.at - ANSWER_COUNTS)


def _place(event: MemberSet | MemberRemoved) -> str:
    return f"{event.project} {event.user}"


def _listed(changed: Mapping[str, object]) -> str:
    return ", ".join(name for name, value in changed.items() if value is not None)


def _is_one_in_many(name: str) -> bool:
    """The same for the same event, however often and wherever it is folded."""
    return crc32(name.encode()) % ONE_IN == 0
