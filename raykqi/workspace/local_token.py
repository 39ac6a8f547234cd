"""A token for whoever brings a server up on their own machine: they reach the store anyway, so they may do all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from raykqi.domain.access import check_user
from raykqi.errors import InvalidInput, RaykqiError, UnknownId
from raykqi.workspace.workspace import Workspace

__all__ = ["local_token"]

log = logging.getLogger(__name__)

NAME = "raykqi up"
LASTS = timedelta(days=365)  # it ends with the server
SOMEBODY = "local"  # whose own name no user may have


@contextmanager
def local_token(workspace: Workspace) -> Iterator[str]:
    """Its text. The user is made an administrator of the workspace, unless there is one of that name already."""
    user = _user(workspace)
    for earlier in workspace.tokens(user):
        if earlier.name == NAME and earlier.revoked is None:  # of one that was killed
            workspace.revoke_token(earlier, user=user)
    token, text = workspace.issue_token(NAME, user=user, expires_in=LASTS)
    try:
        yield text
    finally:
        try:
            workspace.revoke_token(token, user=user)
        except (RaykqiError, OSError) as error:
            log.warning("the token %s could not be revoked: %s", token.id, error)


def _user(workspace: Workspace) -> str:
    try:
        name = check_user(workspace._settings.user)
    except InvalidInput:
        name = SOMEBODY
    try:
        return workspace.user(name).name
    except UnknownId:
        return workspace.add_user(name, is_admin=True).name
