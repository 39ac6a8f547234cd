"""An error as it travels between processes: which class of ours, its words, and nothing that would run there."""

from __future__ import annotations

import msgspec

from raykqi import errors
from raykqi.errors import AmbiguousId, RaykqiError

__all__ = ["Failure", "error_of", "failure_of"]


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    message: str
    hint: str = ""
    candidates: tuple[str, ...] = ()


def failure_of(error: BaseException) -> Failure:
    """What is not an error of ours goes without its words: nobody has looked what they tell."""
    if not isinstance(error, RaykqiError):
        name = type(error).__name__
        return Failure("RaykqiError", f"the controller failed: {name}", "Its log says more; this is a defect.")
    kind = next(base.__name__ for base in type(error).__mro__ if base.__module__ == errors.__name__)
    return Failure(kind, error.message, error.hint, getattr(error, "candidates", ()))


def error_of(failure: Failure) -> RaykqiError:
    """The error again. One of a later version, which is not known here, is the root of all."""
    kind = getattr(errors, failure.kind, RaykqiError)
    if not isinstance(kind, type) or not issubclass(kind, RaykqiError):
        kind = RaykqiError
    if kind is AmbiguousId:
        return AmbiguousId(failure.message, candidates=failure.candidates, hint=failure.hint)
    return kind(failure.message, hint=failure.hint)
