"""The one map from everything that can go wrong to `application/problem+json` (RFC 9457).

What the caller can do something about is told as it is. What is wrong inside of the server is told
in general words: paths, addresses and texts of other programs stay in the server's log.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from raykqi import errors
from raykqi.errors import RaykqiError

__all__ = ["MEDIA_TYPE", "PREFIX", "ProblemDetails", "problem_of", "title_of"]

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:raykqi:error:"
ASK = "Ask whoever looks after the server; the request id leads to the cause in its log."
_INSIDE: dict[type[RaykqiError], str] = {
    errors.StorageUnavailable: "the storage does not answer",
    errors.StorageDenied: "the storage does not let the server do that",
    errors.StorageFull: "the storage is full",
    errors.ObjectMissing: "an object is not in the storage",
    errors.ObjectExists: "an object is in the storage already",
    errors.StorageError: "the storage failed",
    errors.OwnershipError: "the workspace has another controller",
    errors.WorkspaceOwned: "another controller holds the workspace",
    errors.Fenced: "the controller lost the workspace to a later one",
    errors.JournalBehind: "the journal of the workspace is damaged",
    errors.Damaged: "something that is stored is damaged",
    errors.WorkspaceTooNew: "the workspace is of a later format than the server reads",
}
_AGAIN = "Try again in a moment."
_HINTS: dict[type[RaykqiError], str] = {errors.StorageUnavailable: _AGAIN, errors.Fenced: _AGAIN}
_BY_STATUS: dict[int, type[RaykqiError]] = {
    400: errors.InvalidInput,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    413: errors.TooLarge,
    415: errors.UnknownMedia,
    429: errors.TooManyRequests,
    503: errors.ServerUnavailable,
}
_PUBLIC = frozenset(errors.__all__)


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """`hint` says what to do next; `candidates` are the ids that an ambiguous one could mean."""

    type: str
    title: str
    status: int
    detail: str = ""
    hint: str = ""
    instance: str = ""
    request_id: str = ""
    candidates: tuple[str, ...] = ()


def problem_of(error: BaseException, *, instance: str = "", request_id: str = "") -> ProblemDetails:
    """What is answered; never fails, whatever the error is."""
    if isinstance(error, RaykqiError):
        return _known(error, instance, request_id)
    if isinstance(error, RequestValidationError):
        return _known(errors.InvalidInput("; ".join(str(each["msg"]) for each in error.errors())), instance, request_id)
    if isinstance(error, HTTPException):
        return _of_status(error, instance, request_id)
    if isinstance(error, TimeoutError):
        return _known(errors.ServerUnavailable("it took too long", hint=_AGAIN), instance, request_id)
    return _known(RaykqiError("something went wrong inside of the server", hint=ASK), instance, request_id)


def title_of(kind: type[RaykqiError]) -> str:
    """`UnknownId` → `Unknown id`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).strip()
    return words[0].upper() + words[1:]


def _known(error: RaykqiError, instance: str, request_id: str) -> ProblemDetails:
    kind = next(kind for kind in type(error).__mro__ if kind.__name__ in _PUBLIC)
    detail, hint = error.message, error.hint
    inside = next((each for each in kind.__mro__ if each in _INSIDE), None)
    if inside:
        detail, hint = _INSIDE[inside], _HINTS.get(inside, ASK)
    elif kind is RaykqiError and type(error) is not RaykqiError:
        detail, hint = "something went wrong inside of the server", ASK
    return ProblemDetails(
        type=PREFIX + kind.__name__,
        title=title_of(kind),
        status=error.status,
        detail=detail,
        hint=hint,
        instance=instance,
        request_id=request_id,
        candidates=error.candidates if isinstance(error, errors.AmbiguousId) else (),
    )


def _of_status(error: HTTPException, instance: str, request_id: str) -> ProblemDetails:
    status = error.status_code
    if status in _BY_STATUS:
        kind = _BY_STATUS[status]
        name, title = kind.__name__, title_of(kind)
    else:
        title = HTTPStatus(status).phrase
        name = "".join(word.capitalize() for word in title.split())
    return ProblemDetails(PREFIX + name, title, status, str(error.detail), instance=instance, request_id=request_id)
