"""What tells one state of a thing from another: who changes it may demand that it is still as they have read it."""

from __future__ import annotations

from functools import singledispatch
from hashlib import blake2b

import msgspec

from raykqi.domain.data import Data
from raykqi.domain.endpoint import Endpoint
from raykqi.domain.plan import Plan

__all__ = ["etag_of"]


def etag_of(value: object) -> str:
    """The same for values that are equal in what one can change. Without the quotes that HTTP has around it."""
    return blake2b(msgspec.json.encode(_essence(value), order="deterministic"), digest_size=16).hexdigest()


@singledispatch
def _essence(value: object) -> object:
    return value


@_essence.register
def _(value: Data) -> object:
    return msgspec.structs.replace(value, tags=tuple(sorted(value.tags)))


@_essence.register
def _(value: Plan) -> object:
    """How its runs do is no change of the plan."""
    return value.id, value.settings


@_essence.register
def _(value: Endpoint) -> object:
    """How its revisions come along is no change that anybody has made."""
    revisions = [(each.number, each.data) for each in value.revisions]
    return value.id, value.spec, value.is_paused, value.is_pinned, revisions
