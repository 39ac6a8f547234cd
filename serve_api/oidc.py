"""Signing in by a provider of identities: OpenID Connect's authorization code flow, with PKCE, state and nonce.

What was begun is remembered in a cookie of the browser that began it, so that any replica can end it.
Nothing that the provider says counts before its signature, issuer, audience, times and nonce were checked.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
import msgspec

from raykqi.errors import InvalidInput, ServerUnavailable, Unauthenticated
from serve_api.options import OidcOptions
from serve_api.routing import PREFIX

__all__ = ["Begun", "Identity", "OidcSignIn"]

TIMEOUT = 10.0
KEPT = 3600.0  # seconds for which what the provider publishes counts as known
SOONEST = 10.0  # seconds until its keys are asked for again, as a new one may be there
MOST_BYTES = 1 << 20
LEEWAY = 30  # seconds by which clocks may differ
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
NEEDED = ["iss", "sub", "aud", "exp", "iat", "nonce"]


class Begun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the browser keeps between going to the provider and coming back."""

    state: str
    nonce: str
    verifier: str
    as_token: bool = False

    def text(self) -> str:
        return msgspec.json.encode(self).hex()

    @classmethod
    def of(cls, text: str) -> Begun | None:
        try:
            return msgspec.json.decode(bytes.fromhex(text), type=cls)
        except ValueError:
            return None


class Identity(NamedTuple):
    user: str
    title: str


class _Provider(msgspec.Struct, frozen=True):
    """What its discovery document says, as far as it matters here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Answer(msgspec.Struct, frozen=True):
    id_token: str


class OidcSignIn:
    """Of one provider, for a server that browsers reach at `public_url`. Blocks, so it is called in threads."""

    def __init__(self, options: OidcOptions, public_url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        redirect = f"{public_url.rstrip('/')}{PREFIX}/login/oidc/callback"
        for url in (options.issuer, redirect):
            _require_safe(url)
        self._options = options
        self._clock = clock
        self._redirect = redirect
        self._lock = threading.Lock()
        self._provider: tuple[float, _Provider] | None = None
        self._keys: tuple[float, dict[str, jwt.PyJWK]] | None = None

    def begin(self, *, as_token: bool) -> tuple[str, Begun]:
        """Where the browser has to go, and what it has to keep."""
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), as_token)
        challenge = urlsafe_b64encode(sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._options.client_id,
            "redirect_uri": self._redirect,
            "scope": " ".join(self._options.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._described().authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", begun

    def end(self, begun: Begun | None, given: dict[str, str]) -> Identity:
        """Who has come back from the provider with these parameters."""
        if begun is None or not hmac.compare_digest(begun.state.encode(), given.get("state", "").encode()):
            raise _refused("it was not begun in this browser, or too long ago")
        provider = self._described()
        if "iss" in given and given["iss"] != provider.issuer:
            raise _refused("another provider has answered")
        if not given.get("code") or "error" in given:
            raise _refused("the provider did not let you in")
        claims = self._claims(self._redeem(provider, given["code"], begun.verifier), provider)
        if not hmac.compare_digest(str(claims["nonce"]).encode(), begun.nonce.encode()):
            raise _refused("the answer belongs to another sign-in")
        return self._identity(claims)

    def _redeem(self, provider: _Provider, code: str, verifier: str) -> str:
        options = self._options
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": verifier,
        }
        auth: httpx.BasicAuth | None = None
        if options.client_secret and "client_secret_basic" in provider.token_endpoint_auth_methods_supported:
            auth = httpx.BasicAuth(quote(options.client_id, safe=""), quote(options.client_secret, safe=""))
        else:
            form["client_id"] = options.client_id
            if options.client_secret:
                form["client_secret"] = options.client_secret
        body = _ask("POST", provider.token_endpoint, data=form, auth=auth)
        try:
            return msgspec.json.decode(body, type=_Answer).id_token
        except ValueError:
            raise _refused("the provider answered without saying who you are") from None

    def _claims(self, token: str, provider: _Provider) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise _refused("the provider's answer is not signed as it must be")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(provider, str(header.get("kid", "")), str(header["alg"])),
                algorithms=[str(header["alg"])],
                audience=self._options.client_id,
                issuer=provider.issuer,
                leeway=LEEWAY,
                options={"require": NEEDED},
            )
        except jwt.PyJWTError as error:
            raise _refused("the provider's answer is not valid") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", "" if several else self._options.client_id) != self._options.client_id:
            raise _refused("the provider's answer is for somebody else")
        return claims

    def _identity(self, claims: dict[str, Any]) -> Identity:
        name = claims.get(self._options.claim)
        if not isinstance(name, str) or not name:
            raise _refused(f"the provider does not say your {self._options.claim}")
        if self._options.claim == "email" and claims.get("email_verified") is not True:
            raise _refused("the provider has not verified your e-mail address")
        title = claims.get("name")
        return Identity(name, title if isinstance(title, str) else "")

    def _key(self, provider: _Provider, id_: str, algorithm: str) -> jwt.PyJWK:
        for may_be_old in (True, False):
            keys = self._published(provider, may_be_old=may_be_old)
            fitting = [keys[id_]] if id_ in keys else list(keys.values()) if not id_ and len(keys) == 1 else []
            if fitting and fitting[0].algorithm_name == algorithm:
                return fitting[0]
        raise _refused("the provider's answer is signed with a key that it does not publish")

    def _described(self) -> _Provider:
        with self._lock:
            known = self._provider
        if known and self._clock() - known[0] < KEPT:
            return known[1]
        body = _ask("GET", f"{self._options.issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            provider = msgspec.json.decode(body, type=_Provider)
            for url in (provider.authorization_endpoint, provider.token_endpoint, provider.jwks_uri):
                _require_safe(url)
        except (ValueError, InvalidInput) as error:
            raise _away("describes itself in a way that cannot be used") from error
        if provider.issuer != self._options.issuer:
            raise _away("says that it is another one")
        with self._lock:
            self._provider = (self._clock(), provider)
        return provider

    def _published(self, provider: _Provider, *, may_be_old: bool) -> dict[str, jwt.PyJWK]:
        with self._lock:
            known = self._keys
        if known and self._clock() - known[0] < (KEPT if may_be_old else SOONEST):
            return known[1]
        try:
            published = msgspec.json.decode(_ask("GET", provider.jwks_uri), type=dict[str, Any])["keys"]
            keys = {key.get("kid", ""): made for key in published if (made := _public_key(key))}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _away("publishes no keys that can be used") from error
        with self._lock:
            self._keys = (self._clock(), keys)
        return keys


def _public_key(described: dict[str, Any]) -> jwt.PyJWK | None:
    """None for keys that sign no answers, such as symmetric ones."""
    if described.get("use", "sig") != "sig" or described.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        return jwt.PyJWK.from_dict(described)
    except jwt.PyJWTError:
        return None


def _ask(method: str, url: str, *, data: dict[str, str] | None = None, auth: httpx.BasicAuth | None = None) -> bytes:
    try:
        with (
            httpx.Client(timeout=TIMEOUT, headers={"Accept": "application/json"}) as client,
            client.stream(method, url, data=data, auth=auth or httpx.USE_CLIENT_DEFAULT) as answer,
        ):
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MOST_BYTES:
                    raise _away("answers with more than it should")
            if 400 <= answer.status_code < 500 and method == "POST":
                raise _refused("the provider did not let you in")
            if answer.status_code != 200:
                raise _away(f"answers with {answer.status_code}")
            return bytes(body)
    except httpx.HTTPError as error:
        raise _away("does not answer") from error


def _require_safe(url: str) -> None:
    """Secrets and identities go there: over TLS, or within this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or not (
        parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost"))
    ):
        raise InvalidInput(f"{url!r} is no https URL", hint="Providers of identities are asked over https alone.")


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"the sign-in failed: {why}", hint="Begin again: GET /api/v1/login/oidc.")


def _away(what: str) -> ServerUnavailable:
    return ServerUnavailable(f"the provider of identities {what}", hint="Try again in a moment, or sign in otherwise.")
