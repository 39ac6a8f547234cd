"""Every error raykqi raises, with its HTTP status, exit code and a hint.

    RaykqiError                      500  1
    ├── InvalidInput                 400  2   a value the caller gave is malformed
    │   ├── InvalidTag               400  2
    │   ├── InvalidQuery             400  2
    │   ├── UnsafePath               400  2   a path that would leave its tree or target
    │   ├── WrongInputs              400  2   what a model was asked does not fit its inputs
    │   ├── UnknownMedia             415  2   a body of a kind that is not understood
    │   ├── TooSlow                  408  2   a body that stopped coming
    │   └── TooLarge                 413  2   a body, file or archive beyond the limit
    ├── NotFound                     404  3   an id, path or workspace that is not there
    │   ├── UnknownId                404  3
    │   ├── DataGone                 410  3   data that was purged or removed
    │   ├── AmbiguousId              409  3   a short id with several candidates
    │   └── WorkspaceMissing         404  3
    ├── Conflict                     409  4   the state of the workspace forbids it
    │   ├── InUse                    409  4
    │   ├── TargetNotEmpty           409  4
    │   ├── WorkspaceExists          409  4
    │   ├── SourceChanged            409  4   a file changed or vanished while it was pushed
    │   ├── PlanExists               409  4   the same definition was applied before
    │   ├── PlanCycle                409  4   the outputs of a plan would come back to its inputs
    │   ├── StaleAttempt             409  4   a result of an attempt that was given up
    │   ├── UploadStale              409  4   a collection ran since the upload began; upload again
    │   ├── UploadGap                409  4   bytes that do not follow those that came before
    │   ├── PreconditionFailed       412  4   it was changed by somebody else since it was read
    │   └── QuotaExceeded            409  4   the project would hold more than it may
    ├── AccessError                  403  8
    │   ├── Unauthenticated          401  8   no token, or one that is not valid (any more)
    │   ├── Forbidden                403  8   the role in the project does not allow it
    │   └── TooManyRequests          429  8   tried too often; wait
    ├── OwnershipError               409  5
    │   ├── WorkspaceOwned           409  5   another controller holds the workspace
    │   └── Fenced                   409  5   this controller lost the workspace to a later one
    ├── WorkspaceTooNew              409  5   written by a later format than this program reads
    ├── StorageError                 502  6
    │   ├── StorageUnavailable       503  6   did not answer, after retries
    │   ├── StorageDenied            403  6   credentials or file permissions
    │   ├── StorageFull              507  6
    │   ├── ObjectMissing            404  6
    │   └── ObjectExists             409  6   exclusive creation found something there
    ├── ServerError                  502  9
    │   ├── ServerUnavailable        503  9   the server, or its controller, does not answer now; try again
    │   └── VersionMismatch          409  9   client and server do not speak the same version
    ├── ModelError                   500  10
    │   ├── ModelFailed              500  10  a model that cannot be loaded, or failed at a request
    │   └── ModelGone                503  10  the process of a model ended before it answered
    └── Damaged                      500  7   bytes that are not what their name says
        └── JournalBehind            500  7   the journal ends before entries that were seen in it

A message names the thing and the value; `hint` says what to do next.
"""

from __future__ import annotations

__all__ = [
    "AccessError",
    "AmbiguousId",
    "Conflict",
    "Damaged",
    "DataGone",
    "Fenced",
    "Forbidden",
    "InUse",
    "InvalidInput",
    "InvalidQuery",
    "InvalidTag",
    "JournalBehind",
    "ModelError",
    "ModelFailed",
    "ModelGone",
    "NotFound",
    "ObjectExists",
    "ObjectMissing",
    "OwnershipError",
    "PlanCycle",
    "PlanExists",
    "PreconditionFailed",
    "QuotaExceeded",
    "RaykqiError",
    "ServerError",
    "ServerUnavailable",
    "SourceChanged",
    "StaleAttempt",
    "StorageDenied",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "TargetNotEmpty",
    "TooLarge",
    "TooManyRequests",
    "TooSlow",
    "Unauthenticated",
    "UnknownId",
    "UnknownMedia",
    "UnsafePath",
    "UploadGap",
    "UploadStale",
    "VersionMismatch",
    "WorkspaceExists",
    "WorkspaceMissing",
    "WorkspaceOwned",
    "WorkspaceTooNew",
    "WrongInputs",
]


class RaykqiError(Exception):
    """Root of the tree."""

    status = 500
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InvalidInput(RaykqiError):
    status = 400
    exit_code = 2


class InvalidTag(InvalidInput):
    pass


class InvalidQuery(InvalidInput):
    pass


class UnsafePath(InvalidInput):
    pass


class WrongInputs(InvalidInput):
    pass


class UnknownMedia(InvalidInput):
    status = 415


class TooSlow(InvalidInput):
    status = 408


class TooLarge(InvalidInput):
    status = 413


class NotFound(RaykqiError):
    status = 404
    exit_code = 3


class UnknownId(NotFound):
    pass


class DataGone(NotFound):
    status = 410


class AmbiguousId(NotFound):
    status = 409

    def __init__(self, message: str, *, candidates: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.candidates = candidates


class WorkspaceMissing(NotFound):
    pass


class Conflict(RaykqiError):
    status = 409
    exit_code = 4


class InUse(Conflict):
    pass


class TargetNotEmpty(Conflict):
    pass


class WorkspaceExists(Conflict):
    pass


class SourceChanged(Conflict):
    pass


class PlanExists(Conflict):
    pass


class PlanCycle(Conflict):
    pass


class StaleAttempt(Conflict):
    pass


class UploadStale(Conflict):
    pass


class UploadGap(Conflict):
    """`expected` is the offset from which to go on."""

    def __init__(self, message: str, *, expected: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expected = expected


class PreconditionFailed(Conflict):
    status = 412


class QuotaExceeded(Conflict):
    pass


class AccessError(RaykqiError):
    status = 403
    exit_code = 8


class Unauthenticated(AccessError):
    status = 401


class Forbidden(AccessError):
    pass


class TooManyRequests(AccessError):
    """`retry_after` seconds it is of use to try again."""

    status = 429

    def __init__(self, message: str, *, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class OwnershipError(RaykqiError):
    status = 409
    exit_code = 5


class WorkspaceOwned(OwnershipError):
    pass


class Fenced(OwnershipError):
    pass


class WorkspaceTooNew(RaykqiError):
    status = 409
    exit_code = 5


class StorageError(RaykqiError):
    status = 502
    exit_code = 6


class StorageUnavailable(StorageError):
    status = 503


class StorageDenied(StorageError):
    status = 403


class StorageFull(StorageError):
    status = 507


class ObjectMissing(StorageError):
    status = 404


class ObjectExists(StorageError):
    status = 409


class ServerError(RaykqiError):
    status = 502
    exit_code = 9


class ServerUnavailable(ServerError):
    status = 503


class VersionMismatch(ServerError):
    status = 409


class ModelError(RaykqiError):
    exit_code = 10


class ModelFailed(ModelError):
    pass


class ModelGone(ModelError):
    status = 503


class Damaged(RaykqiError):
    exit_code = 7


class JournalBehind(Damaged):
    pass
