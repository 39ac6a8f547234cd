"""Signing in by a provider of identities: away to it, and back with what it says."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import Literal
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import HTMLResponse, RedirectResponse, Response

from raykqi.domain.access import check_user
from raykqi.errors import Forbidden, InvalidInput, NotFound, UnknownId
from raykqi.workspace import Workspace
from serve_api.answering import encode
from serve_api.asking import Asked
from serve_api.callers import cookie_of
from serve_api.oidc import Begun, Identity, OidcSignIn
from serve_api.routes.identity import Issued, session_cookie
from serve_api.routing import PREFIX, Routes

__all__ = ["routes"]

COOKIE = "raykqi-oidc"
MINUTES = 10
PAGE = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={to}"><a href="{to}">raykqi</a>'
routes = Routes("identity")


class Wanted(msgspec.Struct, frozen=True):
    """A cookie for this browser, or a token to copy."""

    answer: Literal["cookie", "token"] = "cookie"


@routes.get("/login/oidc", needs="public", media=("text/html",), status=303)
def begin_oidc(asked: Asked, query: Wanted) -> Response:
    """To the provider of identities, if there is one"""
    url, begun = _provider(asked).begin(as_token=query.answer == "token")
    answer = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
    _keep(answer, asked, begun.text(), MINUTES * 60)
    return answer


@routes.get("/login/oidc/callback", needs="public", media=("text/html", "application/json"), any_query=True)
def end_oidc(asked: Asked) -> Response:
    """Back from the provider: a cookie, or a token to copy"""
    provider = _provider(asked)
    pairs = parse_qsl(asked.scope["query_string"].decode("latin-1"), max_num_fields=50)
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InvalidInput("a parameter is there twice", hint="Begin again: GET /api/v1/login/oidc.")
    begun = Begun.of(cookie_of(asked.headers, COOKIE))
    user = _user(asked, provider.end(begun, given))
    seconds = asked.api.options.session_hours * 3600
    token, text = asked.api.workspace.sign_in(user, expires_in=timedelta(seconds=seconds))
    answer: Response
    if begun and begun.as_token:
        answer = Response(encode(Issued(token, text)), media_type="application/json")
    else:
        # A redirect would still count as a visit from the provider's page, for which browsers send no strict cookie.
        answer = HTMLResponse(PAGE.format(to=escape("/")))
        answer.headers.append("Set-Cookie", session_cookie(asked, text, seconds))
    answer.headers["Cache-Control"] = "no-store"
    _keep(answer, asked, "", 0)
    return answer


def _provider(asked: Asked) -> OidcSignIn:
    if asked.api.oidc is None:
        raise NotFound("no provider of identities is set up here", hint="Sign in with a password or a token.")
    return asked.api.oidc


def _user(asked: Asked, identity: Identity) -> str:
    """The user who is meant: one who is there, or is let in for being known to the provider."""
    workspace: Workspace = asked.api.workspace
    name = check_user(identity.user)
    try:
        found = workspace.user(name)
    except UnknownId:
        options = asked.api.options.oidc
        if options is None or not options.make_users:
            raise Forbidden(f"{name} is no user here", hint="Ask an administrator to be let in.") from None
        found = workspace.acting(user=name, project="default").add_user(name, title=identity.title[:200])
    if found.is_disabled:
        raise Forbidden(f"{name} may not sign in any more", hint="Ask an administrator.")
    return found.name


def _keep(answer: Response, asked: Asked, text: str, seconds: int) -> None:
    """The browser brings this cookie when the provider sends it back, and nowhere else."""
    secure = "; Secure" if asked.api.options.is_secure else ""
    path = f"{PREFIX}/login/oidc"
    cookie = f"{COOKIE}={text}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}"
    answer.headers.append("Set-Cookie", cookie)
