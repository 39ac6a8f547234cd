"""Every error has an answer, and what is wrong inside of the server stays there."""

from __future__ import annotations

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from raykqi import errors
from raykqi.catalog.index import IndexDamaged
from raykqi.errors import AmbiguousId, RaykqiError, UnknownId
from serve_api.problems import problem_of

EVERY = [kind for name in errors.__all__ if issubclass(kind := getattr(errors, name), RaykqiError)]
INSIDE = (errors.StorageError, errors.OwnershipError, errors.Damaged, errors.WorkspaceTooNew)
SECRET = "s3://bucket/lab?X-Amz-Signature=f00 /srv/secret/path"


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_has_its_status_and_its_own_type(kind: type[RaykqiError]) -> None:
    problem = problem_of(kind("what happened", hint="what to do"), instance="/api/v1", request_id="r1")

    assert (problem.status, problem.type) == (kind.status, f"urn:raykqi:error:{kind.__name__}")
    assert (problem.instance, problem.request_id) == ("/api/v1", "r1")
    assert problem.title
    assert problem.detail


@pytest.mark.parametrize("kind", [kind for kind in EVERY if issubclass(kind, INSIDE)], ids=lambda kind: kind.__name__)
def test_what_is_wrong_inside_is_told_in_general_words(kind: type[RaykqiError]) -> None:
    problem = problem_of(kind(SECRET, hint=SECRET))

    assert "secret" not in problem.detail + problem.hint
    assert "X-Amz" not in problem.detail + problem.hint


@pytest.mark.parametrize("error", [ValueError(SECRET), OSError(SECRET), KeyError("password"), Exception(SECRET)])
def test_an_error_that_nobody_thought_of_says_nothing(error: Exception) -> None:
    problem = problem_of(error)

    assert (problem.status, problem.type) == (500, "urn:raykqi:error:RaykqiError")
    assert problem.detail == "something went wrong inside of the server"
    assert "secret" not in problem.hint


def test_what_the_caller_did_is_told_as_it_is() -> None:
    problem = problem_of(UnknownId("there is no data 0123", hint="`raykqi data find` lists what there is."))

    assert problem.detail == "there is no data 0123"
    assert problem.hint == "`raykqi data find` lists what there is."
    assert problem.title == "Unknown id"


def test_an_ambiguous_id_tells_its_candidates() -> None:
    assert problem_of(AmbiguousId("several", candidates=("a", "b"))).candidates == ("a", "b")


def test_an_error_without_a_public_name_goes_by_that_of_its_kind() -> None:
    assert problem_of(IndexDamaged("x")).type == "urn:raykqi:error:Damaged"


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (HTTPException(404), 404, "urn:raykqi:error:NotFound"),
        (HTTPException(405, "GET is not for this path"), 405, "urn:raykqi:error:MethodNotAllowed"),
        (RequestValidationError([{"msg": "field required"}]), 400, "urn:raykqi:error:InvalidInput"),
        (TimeoutError(), 503, "urn:raykqi:error:ServerUnavailable"),
    ],
)
def test_errors_of_the_framework_are_told_alike(error: Exception, status: int, type_: str) -> None:
    problem = problem_of(error)

    assert (problem.status, problem.type) == (status, type_)
