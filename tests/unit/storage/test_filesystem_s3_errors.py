"""What the answers of S3 servers mean."""

from __future__ import annotations

import aiohttp
import botocore.exceptions as boto
import pytest
from botocore.parsers import ResponseParserError

from raykqi.errors import InvalidInput, ObjectMissing, RaykqiError, StorageDenied, StorageError, StorageUnavailable
from raykqi.storage.filesystem_s3_errors import (
    AlreadyThere,
    NotSupported,
    Place,
    RangeEmpty,
    UploadForgotten,
    explain,
)

PLACE = Place("http://storage:9000", "lab")


def answer(code: str, status: int, message: str = "") -> boto.ClientError:
    return boto.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject"
    )


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (answer("NoSuchKey", 404), ObjectMissing),
        (answer("404", 404), ObjectMissing),
        (answer("NoSuchUpload", 404), UploadForgotten),
        (answer("NoSuchBucket", 404), StorageError),
        (answer("PreconditionFailed", 412), AlreadyThere),
        (answer("ConditionalRequestConflict", 409), AlreadyThere),
        (answer("InvalidRange", 416), RangeEmpty),
        (answer("NotImplemented", 501), NotSupported),
        (answer("AccessDenied", 403), StorageDenied),
        (answer("403", 403), StorageDenied),
        (answer("InvalidAccessKeyId", 403), StorageDenied),
        (answer("SignatureDoesNotMatch", 403), StorageDenied),
        (answer("ExpiredToken", 400), StorageDenied),
        (answer("RequestTimeTooSkewed", 403), StorageDenied),
        (answer("InternalError", 500), StorageUnavailable),
        (answer("SlowDown", 503), StorageUnavailable),
        (answer("502", 502), StorageUnavailable),
        (answer("504", 504), StorageUnavailable),
        (answer("429", 429), StorageUnavailable),
        (answer("RequestTimeout", 400), StorageUnavailable),
        (answer("InvalidArgument", 400), StorageError),
        (answer("PermanentRedirect", 301), StorageError),
        (boto.NoCredentialsError(), StorageDenied),
        (boto.EndpointConnectionError(endpoint_url="http://storage:9000"), StorageUnavailable),
        (boto.ReadTimeoutError(endpoint_url="http://storage:9000"), StorageUnavailable),
        (boto.SSLError(endpoint_url="https://storage:9000", error="expired"), StorageError),
        (ResponseParserError("not XML"), StorageUnavailable),
        (aiohttp.ClientPayloadError("not completed"), StorageUnavailable),
        (TimeoutError(), StorageUnavailable),
        (ConnectionResetError(104, "reset"), StorageUnavailable),
        (ValueError("Invalid endpoint"), InvalidInput),
        (RuntimeError("what else"), StorageError),
    ],
    ids=repr,
)
def test_an_error_has_one_meaning(error: Exception, meaning: type[RaykqiError]) -> None:
    found = explain(error, PLACE, "get_object", "a/写真")

    assert type(found) is meaning


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            answer("SlowDown", 503, "Please reduce your request rate."),
            "get_object s3://lab/a at http://storage:9000 got 503 (SlowDown: Please reduce your request rate.)",
            "Check that http://storage:9000 is up and reachable, then repeat; "
            "RAYKQI_STORAGE_TIMEOUT sets the patience.",
        ),
        (
            answer("RequestTimeTooSkewed", 403, "The difference is too large."),
            "get_object s3://lab/a at http://storage:9000 was refused "
            "(RequestTimeTooSkewed: The difference is too large.)",
            "Set this machine's clock.",
        ),
        (
            answer("NoSuchBucket", 404),
            "there is no bucket 'lab' at http://storage:9000",
            "Make it first (aws s3 mb s3://lab), or correct the URL or RAYKQI_S3_ENDPOINT.",
        ),
    ],
)
def test_a_message_says_what_went_where(error: Exception, message: str, hint: str) -> None:
    found = explain(error, PLACE, "get_object", "a")

    assert (found.message, found.hint) == (message, hint)
