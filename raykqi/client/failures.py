"""What went wrong between client and server, as the errors that an embedded workspace would raise."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import httpx
import msgspec

from raykqi import errors
from raykqi.errors import AmbiguousId, RaykqiError, ServerError, ServerUnavailable, Unauthenticated, VersionMismatch

__all__ = ["VERSION_HEADER", "Problem", "failure_of", "in_between", "not_a_server", "unreachable"]

VERSION_HEADER = "Raykqi-Version"
PREFIX = "urn:raykqi:error:"
GATEWAY = (502, 503, 504)
NO_ROUTE = "Not Found"  # what is said of a path that no route is for


class Problem(msgspec.Struct, frozen=True):
    """An `application/problem+json`."""

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    hint: str = ""
    request_id: str = ""
    candidates: tuple[str, ...] = ()


def failure_of(response: httpx.Response, url: str, own_version: str) -> RaykqiError:
    """The error that an answer of 400 or more tells of. Its body must have been read."""
    version = response.headers.get(VERSION_HEADER, "")
    problem = _problem(response)
    if version and (response.status_code == 405 or (problem and problem.detail == NO_ROUTE)):
        return VersionMismatch(
            f"the server at {url} has version {version} and does not know what was asked of it",
            hint=f"This client has version {own_version}: use the same on both sides.",
        )
    if problem is None:
        if response.status_code in GATEWAY:
            return in_between(url, response.status_code)
        if not version:
            return not_a_server(url, f"{response.status_code} {response.reason_phrase}")
        return ServerError(f"the server at {url} answered {response.status_code}", hint="Look into its log.")
    return _error_of(problem, response)


def in_between(url: str, status: int) -> ServerUnavailable:
    """A proxy answers in its place, such as when the process that had the request has died."""
    return ServerUnavailable(
        f"the server at {url} is not ready: something before it answers {status}",
        hint="Try again in a moment; `raykqi doctor` on its machine tells more.",
    )


def not_a_server(url: str, what: str) -> ServerError:
    return ServerError(
        f"what answers at {url} is no raykqi server: {what}", hint="Check the address and the port; is a proxy between?"
    )


def unreachable(error: Exception, url: str) -> RaykqiError:
    """A connection that could not be made, or that broke."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ServerError(
                f"the certificate of {url} is not trusted: {cause.verify_message}",
                hint="Name the authority that signed it by SSL_CERT_FILE, and check the host in the address.",
            )
        if isinstance(cause, ssl.SSLError):
            return ServerError(
                f"{url} does not speak TLS as it should: {cause.reason or cause}",
                hint=f"Without TLS its address is http://{url.partition('://')[2]}.",
            )
        if isinstance(cause, socket.gaierror):
            return ServerUnavailable(f"there is no host of the name in {url}", hint="Check the address for a typo.")
    if isinstance(error, httpx.TimeoutException):
        return ServerUnavailable(
            f"the server at {url} does not answer", hint="It may be busy or cut off; RAYKQI_TIMEOUT allows more time."
        )
    reason = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), str(error))
    return ServerUnavailable(
        f"the server at {url} cannot be reached: {reason}",
        hint="Is it up, and is the address right? `raykqi up` starts one; `raykqi profile list` shows known ones.",
    )


def _problem(response: httpx.Response) -> Problem | None:
    if "problem+json" not in response.headers.get("Content-Type", ""):
        return None
    try:
        return msgspec.json.decode(response.content, type=Problem, strict=False)
    except ValueError:
        return None


def _error_of(problem: Problem, response: httpx.Response) -> RaykqiError:
    name = problem.type.removeprefix(PREFIX) if problem.type.startswith(PREFIX) else ""
    known: Any = getattr(errors, name, None) if name in errors.__all__ else None
    message, hint = problem.detail or problem.title or str(response.status_code), problem.hint
    if known is AmbiguousId:
        return AmbiguousId(message, candidates=problem.candidates, hint=hint)
    if known is None:
        known = _by_status(response.status_code)
    if known is Unauthenticated and "login" not in hint:
        hint = f"{hint} `raykqi login {response.request.url.copy_with(raw_path=b'/')}` gets a token.".strip()
    if response.status_code >= 500 and problem.request_id:
        hint = f"{hint} In the server's log it is request {problem.request_id}.".strip()
    error: RaykqiError = known(message, hint=hint)
    return error


def _by_status(status: int) -> type[RaykqiError]:
    return {
        400: errors.InvalidInput,
        401: errors.Unauthenticated,
        403: errors.Forbidden,
        404: errors.NotFound,
        409: errors.Conflict,
        410: errors.DataGone,
        412: errors.PreconditionFailed,
        413: errors.TooLarge,
        422: errors.InvalidInput,
        429: errors.TooManyRequests,
        503: errors.ServerUnavailable,
    }.get(status, errors.ServerError if status >= 500 else RaykqiError)


def _causes(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
