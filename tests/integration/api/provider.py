"""A small provider of identities on loopback: the authorization code flow of OpenID Connect with PKCE, over real HTTP.

It lets everybody in as `person`, and can be told to lie.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["CLIENT", "SECRET", "Provider", "provider"]

CLIENT, SECRET = "raykqi:lab", "s3cret/+"
Claims = dict[str, Any]


class Provider:
    def __init__(self) -> None:
        self.be_honest()
        self.new_keys()
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def be_honest(self) -> None:
        self.person: Claims = {"sub": "1", "preferred_username": "hana", "name": "花子"}
        self.change: Callable[[Claims], object] = dict
        self.sign: Callable[[Claims], str] = self.signed
        self.description: Mapping[str, object] = {}
        self.refuses = False

    def new_keys(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(4)

    def signed(self, claims: Claims) -> str:
        return jwt.encode(claims, self.key, "RS256", {"kid": self.kid})

    def jwks(self) -> Claims:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def discovery(self) -> Claims:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            **self.description,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes next."""
        if self.refuses:
            return f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}"
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self._codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.url, "session_state": "of no concern"}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def redeem(self, form: dict[str, str], authorization: str) -> Claims | None:
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        asked = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if (
            asked is None
            or (unquote(user), unquote(password)) != (CLIENT, SECRET)
            or challenge.decode() != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return None
        now = int(time.time())
        claims: Claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= self.person
        self.change(claims)
        return {"id_token": self.sign(claims), "access_token": "x", "token_type": "Bearer"}


@contextmanager
def provider() -> Iterator[Provider]:
    made = Provider()
    thread = threading.Thread(target=made.server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


def _handler(of: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            of.asked.append(parts.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", of.authorize(dict(parse_qsl(parts.query))))
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif parts.path == "/jwks":
                self._answer(200, of.jwks())
            elif parts.path == "/.well-known/openid-configuration":
                self._answer(200, of.discovery())
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            of.asked.append(self.path)
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            tokens = of.redeem(form, self.headers.get("Authorization", "Basic "))
            self._answer(400 if tokens is None else 200, tokens or {"error": "invalid_grant"})

        def _answer(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """The test says what matters."""

    return Handler
