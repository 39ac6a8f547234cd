"""Signing in by a provider of identities, over real HTTP: who it says one is, and everything that must not count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from raykqi.errors import InvalidInput, ServerUnavailable, Unauthenticated
from serve_api.oidc import OidcSignIn
from serve_api.options import ApiOptions, OidcOptions
from tests.integration.api.provider import CLIENT, SECRET, Provider, provider
from tests.integration.api.served import Served, served

LOGIN = "/api/v1/login/oidc"
COOKIE = "raykqi-oidc"
PUBLIC = "http://127.0.0.1:9"  # where no test listens


@dataclass
class Door:
    server: Served
    provider: Provider
    browser: httpx.Client

    def begin(self, **query: str) -> str:
        """The URL at the provider."""
        answer = self.browser.get(LOGIN, params=query)
        assert answer.status_code == 303
        return answer.headers["location"]

    def back(self, location: str) -> str:
        """What the provider makes the browser ask of this server."""
        answer = httpx.get(location, trust_env=False)
        assert answer.status_code == 302
        public, slash, rest = answer.headers["location"].partition("/api/")
        assert public == PUBLIC
        return slash + rest

    def sign_in(self, **query: str) -> httpx.Response:
        return self.browser.get(self.back(self.begin(**query)))

    @property
    def sign_ins(self) -> int:
        return len(self.server.workspace.tokens())


@pytest.fixture(scope="module")
def identities() -> Iterator[Provider]:
    with provider() as made:
        yield made


@pytest.fixture(scope="module")
def servers(identities: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, bool], Served]]:
    """A server that takes that claim as the name, and lets others in or not."""
    with ExitStack() as opened:
        made: dict[tuple[str, bool], Served] = {}

        def server(claim: str, make_users: bool) -> Served:
            if (claim, make_users) not in made:
                oidc = OidcOptions(identities.url, CLIENT, SECRET, claim=claim, make_users=make_users)
                options = ApiOptions(oidc=oidc, public_url=PUBLIC)
                made[claim, make_users] = opened.enter_context(served(tmp_path_factory.mktemp("api"), options))
                made[claim, make_users].workspace.add_user("hana")
            return made[claim, make_users]

        yield server


@pytest.fixture(params=[("preferred_username", False)])
def door(
    servers: Callable[[str, bool], Served], identities: Provider, request: pytest.FixtureRequest
) -> Iterator[Door]:
    identities.be_honest()
    server = servers(*request.param)
    server.workspace.change_user("hana", is_disabled=False)
    with httpx.Client(base_url=server.url, trust_env=False) as browser:
        yield Door(server, identities, browser)


def test_whoever_the_provider_knows_signs_in_with_a_cookie(door: Door) -> None:
    answer = door.sign_in()

    assert answer.status_code == 200
    (session,) = [each for each in answer.headers.get_list("set-cookie") if not each.startswith(COOKIE)]
    assert "HttpOnly; SameSite=Strict" in session
    assert COOKIE not in door.browser.cookies
    assert door.browser.get("/api/v1/me").json()["user"] == "hana"


def test_a_token_can_be_had_instead(door: Door) -> None:
    answer = door.sign_in(answer="token")

    text = answer.json()["text"]
    assert [each for each in answer.headers.get_list("set-cookie") if not each.startswith(COOKIE)] == []
    assert answer.headers["cache-control"] == "no-store"
    assert door.server.workspace.caller(text).user == "hana"


def test_what_is_asked_of_the_provider_is_new_each_time(door: Door) -> None:
    one, other = (parse_qs(urlsplit(door.begin()).query) for _ in range(2))

    assert one["redirect_uri"] == [f"{PUBLIC}{LOGIN}/callback"]
    for name in ("state", "nonce", "code_challenge"):
        assert one[name] != other[name]
        assert len(one[name][0]) == 43


def test_a_user_who_is_not_there_stays_out(door: Door) -> None:
    door.provider.person["preferred_username"] = "taro"

    answer = door.sign_in()

    assert (answer.status_code, answer.json()["detail"]) == (403, "taro is no user here")
    assert "taro" not in [user.name for user in door.server.workspace.users()]


@pytest.mark.parametrize("door", [("preferred_username", True)], indirect=True)
def test_a_user_who_is_not_there_is_let_in_where_that_is_wanted(door: Door) -> None:
    door.provider.person |= {"preferred_username": "taro", "name": "山田 太郎"}

    assert door.sign_in().status_code == 200
    assert door.browser.get("/api/v1/me").json() == {
        "user": "taro", "is_admin": False, "roles": {}, "token": door.server.workspace.tokens("taro")[0].id, "run": "",
        "endpoint": "",
    }  # fmt: skip
    assert door.server.workspace.user("taro").title == "山田 太郎"


@pytest.mark.parametrize("door", [("preferred_username", True)], indirect=True)
@pytest.mark.parametrize("name", ["raykqi", "run-1", "a b", "", "../x", 7, None, ["hana"]])
def test_a_name_that_nobody_can_have_stays_out(door: Door, name: object) -> None:
    door.provider.person["preferred_username"] = name

    assert door.sign_in().status_code in (400, 401)


def test_a_disabled_user_stays_out(door: Door) -> None:
    door.server.workspace.change_user("hana", is_disabled=True)

    assert door.sign_in().status_code == 403


@pytest.mark.parametrize("door", [("email", False)], indirect=True)
def test_an_address_that_was_not_verified_names_nobody(door: Door) -> None:
    door.server.workspace.add_user("hana@lab.example")
    for verified, status in ((None, 401), (False, 401), ("true", 401), (True, 200)):
        door.provider.person = {"sub": "1", "email": "hana@lab.example", "email_verified": verified}
        assert door.sign_in().status_code == status, verified


def other_key(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256")


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another issuer": lambda claims: claims.update(iss="http://127.0.0.1:1"),
    "another audience": lambda claims: claims.update(aud="somebody-else"),
    "several audiences without a party": lambda claims: claims.update(aud=[CLIENT, "somebody-else"]),
    "another party": lambda claims: claims.update(azp="somebody-else"),
    "another nonce": lambda claims: claims.update(nonce="x" * 43),
    "no nonce": lambda claims: claims.pop("nonce"),
    "a nonce that is no text": lambda claims: claims.update(nonce=7),
    "expired": lambda claims: claims.update(exp=int(time.time()) - 60),
    "no end": lambda claims: claims.pop("exp"),
    "from tomorrow": lambda claims: claims.update(iat=int(time.time()) + 86_400),
    "not yet valid": lambda claims: claims.update(nbf=int(time.time()) + 86_400),
    "no subject": lambda claims: claims.pop("sub"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_is_not_for_this_sign_in_does_not_count(door: Door, lie: str) -> None:
    door.provider.change = LIES[lie]
    before = door.sign_ins

    answer = door.sign_in()

    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("the sign-in failed: ")
    assert "set-cookie" not in answer.headers
    assert door.sign_ins == before


@pytest.mark.parametrize(
    "sign",
    [
        lambda claims: jwt.encode(claims, "", "none"),
        lambda claims: jwt.encode(claims, SECRET * 8, "HS256"),
        other_key,
        lambda _: "not.a.token",
        lambda _: "",
    ],
    ids=["none", "symmetric", "another key", "nonsense", "nothing"],
)
def test_an_answer_that_the_provider_has_not_signed_does_not_count(door: Door, sign: Callable[[Any], str]) -> None:
    door.provider.sign = sign
    before = door.sign_ins

    assert door.sign_in().status_code == 401
    assert door.sign_ins == before


def test_a_signature_by_the_right_key_under_another_name_does_not_count(door: Door) -> None:
    door.provider.sign = lambda claims: jwt.encode(claims, door.provider.key, "RS256", {"kid": "another"})

    assert door.sign_in().status_code == 401


def test_keys_that_have_changed_are_found_and_not_asked_for_all_the_time() -> None:
    now = [0.0]
    with provider() as own:
        sign_in = OidcSignIn(OidcOptions(own.url, CLIENT, SECRET), PUBLIC, clock=lambda: now[0])

        def user() -> str:
            url, begun = sign_in.begin(as_token=False)
            back = httpx.get(url, trust_env=False).headers["location"]
            given = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
            return sign_in.end(begun, given).user

        assert user() == "hana"
        own.new_keys()
        own.asked.clear()
        with pytest.raises(Unauthenticated, match="a key that it does not publish"):
            user()
        assert "/jwks" not in own.asked
        now[0] = 11.0
        assert user() == "hana"


def test_whoever_did_not_begin_here_cannot_end_here(door: Door) -> None:
    back = door.back(door.begin())
    with httpx.Client(base_url=door.server.url, trust_env=False) as other:
        assert other.get(back).status_code == 401
        other.get(LOGIN)
        assert other.get(back).status_code == 401
    before = len([path for path in door.provider.asked if path == "/token"])
    assert door.browser.get(back.replace("state=", "state=x")).status_code == 401
    assert len([path for path in door.provider.asked if path == "/token"]) == before

    assert door.browser.get(back).status_code == 200


def test_a_code_counts_once(door: Door) -> None:
    back = door.back(door.begin())
    cookie = door.browser.cookies[COOKIE]
    assert door.browser.get(back).status_code == 200

    again = door.browser.get(back, headers={"Cookie": f"{COOKIE}={cookie}"})

    assert again.status_code == 401


def test_a_provider_that_says_no_is_believed(door: Door) -> None:
    door.provider.refuses = True

    answer = door.sign_in()

    assert (answer.status_code, answer.json()["detail"]) == (401, "the sign-in failed: the provider did not let you in")


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"jwks_uri": 7},
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_asked(door: Door, description: dict[str, object]) -> None:
    door.provider.description = description
    sign_in = OidcSignIn(OidcOptions(door.provider.url, CLIENT, SECRET), PUBLIC)

    with pytest.raises(ServerUnavailable, match="the provider of identities"):
        sign_in.begin(as_token=False)


def test_a_provider_that_is_away_is_told_of() -> None:
    away = OidcSignIn(OidcOptions("http://127.0.0.1:1", CLIENT), "http://127.0.0.1")
    with pytest.raises(ServerUnavailable, match="the provider of identities does not answer"):
        away.begin(as_token=False)


@pytest.mark.parametrize(
    ("issuer", "public"),
    [("http://accounts.example", "https://lab"), ("https://accounts.example", "http://lab"), ("", "")],
)
def test_identities_go_over_tls_alone(issuer: str, public: str) -> None:
    with pytest.raises(InvalidInput, match="is no https URL"):
        OidcSignIn(OidcOptions(issuer, CLIENT), public)


@pytest.mark.parametrize(
    "query", ["state=a&state=b", "code=x", "", "error=x&error_description=%3Cscript%3E", "code=%00"]
)
@pytest.mark.parametrize("cookie", ["", "00", "zz", "7b7d"])
def test_nonsense_comes_to_nothing(door: Door, query: str, cookie: str) -> None:
    answer = door.browser.get(f"{LOGIN}/callback?{query}", headers={"Cookie": f"{COOKIE}={cookie}"} if cookie else {})

    assert answer.status_code in (400, 401)
    assert "<script>" not in answer.text


def test_without_a_provider_there_is_none(tmp_path: Path) -> None:
    with served(tmp_path, ApiOptions()) as server:
        assert httpx.get(f"{server.url}{LOGIN}", trust_env=False).status_code == 404
        assert httpx.get(f"{server.url}{LOGIN}/callback?code=x", trust_env=False).status_code == 404
