"""Who may ask an endpoint, and what is remembered of that."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from raykqi.domain.access import Caller
from tests.integration.serving.fronts import SPEC, TOKEN, Fronted, eventually, spec

BODY = {"inputs": {"x": [[0.5, -1.0, 2.0, 0.25]]}}
CALLERS = {
    TOKEN: Caller("rui", roles={"default": "viewer"}),
    "rk_elsewhere": Caller("ken", roles={"other": "admin"}),
    "rk_own": Caller("bot", endpoint="digits"),
    "rk_foreign": Caller("bot", endpoint="letters"),
    "rk_run": Caller("run-1", roles={"default": "member"}, run="1"),
    "rk_admin": Caller("mika", is_admin=True),
}


@pytest.fixture
def asked(digits: Fronted) -> Iterator[Fronted]:
    digits.controller.callers = dict(CALLERS)
    change(digits, spec=SPEC)
    digits.controller.admitted.clear()
    yield digits
    digits.controller.leave(away=False)


def change(front: Fronted, **changes: object) -> None:
    """All that was remembered of rights is over when it has come."""
    access = front.controller.wanted.access + 1
    front.controller.change(access=access, **changes)
    eventually(lambda: front.replica._version == front.controller.wanted.version)
    front.until_ready(3)


def ask(front: Fronted, token: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.post(f"{front.url}/predict", json=BODY, headers=headers, trust_env=False)


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("", 401),
        ("rk_wrong", 401),
        (TOKEN, 200),
        ("rk_elsewhere", 404),
        ("rk_own", 200),
        ("rk_foreign", 403),
        ("rk_run", 200),
        ("rk_admin", 200),
    ],
)
def test_viewers_of_the_project_may_ask_and_tokens_of_the_endpoint(asked: Fronted, token: str, status: int) -> None:
    answers = [ask(asked, token) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, status]
    if status != 200:
        assert answers[0].headers["content-type"] == "application/problem+json"
        assert answers[0].json()["error"]
    if status == 401:
        assert answers[0].headers["www-authenticate"] == 'Bearer realm="raykqi"'
    assert asked.controller.admitted == ([token] if token else [])


def test_the_card_needs_a_token_as_well(asked: Fronted) -> None:
    for path in ("/metadata", "/v2/models/digits", "/jobs/1"):
        assert httpx.get(asked.url + path, trust_env=False).status_code == 401


def test_a_public_endpoint_answers_anybody(asked: Fronted) -> None:
    change(asked, spec=spec(is_public=True))

    assert ask(asked).status_code == 200
    assert httpx.get(f"{asked.url}/metadata", trust_env=False).status_code == 200
    assert asked.controller.admitted == []
    left = httpx.post(f"{asked.url}/jobs", json={}, trust_env=False)
    assert left.status_code == 401, "what nobody answers for is stored"


def test_rights_that_change_are_known_at_once(asked: Fronted) -> None:
    assert ask(asked, TOKEN).status_code == 200

    del asked.controller.callers[TOKEN]
    change(asked)

    assert ask(asked, TOKEN).status_code == 401


def test_who_was_known_may_ask_on_while_the_controller_is_away(asked: Fronted) -> None:
    now = 1_000.0
    asked.replica.access._clock = lambda: now
    assert ask(asked, TOKEN).status_code == 200

    asked.controller.leave(away=True)
    now += 60.0

    assert ask(asked, TOKEN).status_code == 200
    stranger = ask(asked, "rk_run")
    assert (stranger.status_code, stranger.headers["retry-after"]) == (503, "1")
    asked.controller.leave(away=False)
    assert ask(asked, "rk_run").status_code == 200
