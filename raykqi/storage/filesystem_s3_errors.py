"""What the errors of an S3 server, of botocore and of the network mean, and what to do about them.

Only faults that may pass become `StorageUnavailable`; everything else is final.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import aiohttp
import botocore.exceptions as boto
from botocore.parsers import ResponseParserError

from raykqi.errors import InvalidInput, ObjectMissing, RaykqiError, StorageDenied, StorageError, StorageUnavailable

__all__ = ["AlreadyThere", "NotSupported", "Place", "RangeEmpty", "UploadForgotten", "explain", "explain_code"]

_PASSING_STATUS = {408, 429, 500, 502, 503, 504}
_PASSING_CODES = {
    "BadDigest",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "XAmzContentSHA256Mismatch",
}
_CREDENTIAL_CODES = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_CREDENTIAL_ERRORS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.SSOError,
)
_PASSING_ERRORS = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.ResponseStreamingError,
    aiohttp.ClientError,
    asyncio.TimeoutError,
    OSError,
)
_CREDENTIALS_HINT = (
    "Give valid credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with a profile in "
    "~/.aws; for a server other than AWS also RAYKQI_S3_ENDPOINT."
)


class Place(NamedTuple):
    """Where a request went, for messages."""

    endpoint: str
    bucket: str

    def of(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}" if key else f"s3://{self.bucket}"


class AlreadyThere(StorageError):
    """A conditional write was refused: something is there, or is being written at this moment."""


class NotSupported(StorageError):
    """The server does not know what was asked of it."""


class RangeEmpty(StorageError):
    """The wanted range begins at or behind the end of the object."""


class UploadForgotten(StorageUnavailable):
    """The server does not know a multipart upload any more, for instance since it was restarted."""


def explain(error: BaseException, place: Place, action: str, key: str) -> RaykqiError:
    """The error to raise for what went wrong while `action` (the S3 operation's name) ran on `key`."""
    what = f"{action} {place.of(key)} at {place.endpoint}"
    if isinstance(error, boto.ClientError):
        return _explain_answer(error, place, action, key)
    if isinstance(error, _CREDENTIAL_ERRORS):
        return StorageDenied(f"no usable credentials for {what}: {error}", hint=_CREDENTIALS_HINT)
    if isinstance(error, boto.SSLError):
        return StorageError(
            f"{what}: {error}", hint="Check the server's certificate, or AWS_CA_BUNDLE for your own CA."
        )
    if isinstance(error, ResponseParserError):
        return StorageUnavailable(f"{what} got an answer that is not S3's: {error}", hint="Check RAYKQI_S3_ENDPOINT.")
    if isinstance(error, _PASSING_ERRORS):
        return StorageUnavailable(f"{what} failed: {_in_words(error)}", hint=_reach(place))
    if isinstance(error, ValueError):
        return InvalidInput(f"{what}: {error}", hint="Check the bucket's name and RAYKQI_S3_ENDPOINT.")
    return StorageError(f"{what} failed: {_in_words(error)}", hint="Check the URL and the endpoint.")


def _explain_answer(error: boto.ClientError, place: Place, action: str, key: str) -> RaykqiError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = str(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return explain_code(code, text, status, place, action, key)


def explain_code(code: str, text: str, status: int, place: Place, action: str, key: str) -> RaykqiError:
    """The error to raise for what the server said, in an answer or about one key of many (`status` 0)."""
    what = f"{action} {place.of(key)} at {place.endpoint}"
    said = f"{code}: {text}" if text else code
    got = f"{status} ({said})" if status else said
    if code == "NoSuchBucket":
        return StorageError(f"there is no bucket {place.bucket!r} at {place.endpoint}", hint=_make_bucket(place))
    if code == "NoSuchUpload":
        return UploadForgotten(f"{what}: the server forgot this upload", hint="Repeat the transfer.")
    if code in ("NoSuchKey", "404", "NotFound") or status == 404:
        return ObjectMissing(f"{place.of(key)} is not there")
    if code in _PASSING_CODES or status in _PASSING_STATUS:
        return StorageUnavailable(f"{what} got {got}", hint=_reach(place))
    if status == 412 or code in ("PreconditionFailed", "ConditionalRequestConflict") or status == 409:
        return AlreadyThere(f"{what} was refused: {said}")
    if status == 416 or code == "InvalidRange":
        return RangeEmpty(f"{what}: {said}")
    if code in _CREDENTIAL_CODES:
        return StorageDenied(f"{what} was refused ({said})", hint=_CREDENTIALS_HINT)
    if code == "RequestTimeTooSkewed":
        return StorageDenied(f"{what} was refused ({said})", hint="Set this machine's clock.")
    if status == 501 or code == "NotImplemented":
        return NotSupported(f"{what} is not supported there ({said})", hint="Use another S3 server.")
    if status in (401, 403) or code in ("AccessDenied", "403"):
        return StorageDenied(f"{what} was refused ({said})", hint=_rights(place))
    return StorageError(f"{what} got {got}", hint="Check bucket, region and endpoint.")


def _rights(place: Place) -> str:
    return (
        f"The credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on {place.bucket!r}; "
        "without s3:ListBucket a server answers 403 even for what is not there."
    )


def _make_bucket(place: Place) -> str:
    return f"Make it first (aws s3 mb s3://{place.bucket}), or correct the URL or RAYKQI_S3_ENDPOINT."


def _reach(place: Place) -> str:
    return f"Check that {place.endpoint} is up and reachable, then repeat; RAYKQI_STORAGE_TIMEOUT sets the patience."


def _in_words(error: BaseException) -> str:
    return str(error) or type(error).__name__
