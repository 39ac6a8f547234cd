"""Users, tokens, projects and members over HTTP: who may do what, and what counts from then on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served

API = "/api/v1"
PASSWORD = "eight horses, one battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """mika administrates, ken is a member and rui a viewer of default; aoi is admin and nao manager of lab."""
    with served(tmp_path_factory.mktemp("api"), ApiOptions()) as server:
        ws = server.workspace
        ws.create_project("lab")
        for user, role in (("aoi", "admin"), ("nao", "manager")):
            ws.add_user(user, password=PASSWORD)
            ws.set_member(user, role, project="lab")  # type: ignore[arg-type]
        yield server


def client(server: Served, user: str = "", **token: Any) -> httpx.Client:
    """Acts as that user, as nobody without one."""
    headers = {}
    if user:
        headers["Authorization"] = f"Bearer {server.workspace.issue_token('test', user=user, **token)[1]}"
    return httpx.Client(base_url=server.url + API, headers=headers, timeout=30, trust_env=False)


@pytest.fixture
def mika(server: Served) -> Iterator[httpx.Client]:
    with client(server, "mika") as made:
        yield made


@pytest.fixture
def aoi(server: Served) -> Iterator[httpx.Client]:
    with client(server, "aoi") as made:
        yield made


@pytest.fixture
def nao(server: Served) -> Iterator[httpx.Client]:
    with client(server, "nao") as made:
        yield made


def statuses(answers: dict[str, httpx.Response]) -> dict[str, int]:
    return {name: answer.status_code for name, answer in answers.items()}


def test_a_password_gives_a_token_that_ends_when_one_signs_out(server: Served) -> None:
    with client(server) as nobody:
        issued = nobody.post("/login", json={"user": "aoi", "password": PASSWORD}).json()
        own = {"Authorization": f"Bearer {issued['text']}"}

        assert nobody.get("/me", headers=own).json() == {
            "user": "aoi", "is_admin": False, "roles": {"lab": "admin"}, "token": issued["token"]["id"], "run": "",
            "endpoint": "",
        }  # fmt: skip
        assert nobody.post("/logout", headers=own).status_code == 204
        assert nobody.get("/me", headers=own).status_code == 401


def test_a_browser_gets_a_cookie_instead(server: Served) -> None:
    with client(server) as browser:
        answer = browser.post("/login", json={"user": "aoi", "password": PASSWORD, "cookie": True})

        assert answer.json()["text"] == ""
        assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
        assert browser.get("/me").json()["user"] == "aoi"
        assert browser.post("/logout", headers={"Origin": "https://elsewhere.example"}).status_code == 403
        assert browser.post("/logout", headers={"Origin": server.url}).status_code == 204
        assert browser.get("/me").status_code == 401


@pytest.mark.parametrize(
    "body",
    [{"user": "aoi", "password": "wrong"}, {"user": "nobody", "password": PASSWORD}, {"user": "mika", "password": ""}],
)
def test_a_wrong_password_says_only_that(server: Served, body: dict[str, str]) -> None:
    with client(server) as nobody:
        answer = nobody.post("/login", json=body)

    assert (answer.status_code, answer.json()["detail"]) == (401, "user or password is wrong")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_user_whose_password_is_being_guessed_is_out_of_turns(server: Served) -> None:
    server.workspace.add_user("guessed", password=PASSWORD)
    with client(server) as nobody:
        for _ in range(10):
            assert nobody.post("/login", json={"user": "guessed", "password": "wrong"}).status_code == 401
        answer = nobody.post("/login", json={"user": "guessed", "password": PASSWORD})

        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert nobody.post("/login", json={"user": "aoi", "password": PASSWORD}).status_code == 200


def test_the_own_password_is_changed_by_who_knows_it(server: Served) -> None:
    server.workspace.add_user("sora", password=PASSWORD)
    with client(server) as nobody:
        one, other = (
            nobody.post("/login", json={"user": "sora", "password": PASSWORD}).json()["text"] for _ in range(2)
        )
        own = {"Authorization": f"Bearer {one}"}

        def change(old: str, new: str) -> int:
            return nobody.put("/me/password", headers=own, json={"old": old, "new": new}).status_code

        assert change("wrong", "nine horses, two") == 403
        assert change(PASSWORD, "short") == 400
        assert change(PASSWORD, "") == 400
        assert change(PASSWORD, "nine horses, two") == 204
        assert nobody.get("/me", headers=own).status_code == 200
        assert nobody.get("/me", headers={"Authorization": f"Bearer {other}"}).status_code == 401
        assert nobody.post("/login", json={"user": "sora", "password": PASSWORD}).status_code == 401
        assert nobody.post("/login", json={"user": "sora", "password": "nine horses, two"}).status_code == 200


def test_one_makes_and_ends_own_tokens_alone(server: Served, aoi: httpx.Client, nao: httpx.Client) -> None:
    made = aoi.post("/tokens", json={"name": "ci", "project": "lab", "role": "viewer", "expires_in": 3600})

    assert made.status_code == 201
    token = made.json()["token"]
    assert (token["user"], token["project"], token["role"]) == ("aoi", "lab", "viewer")
    with client(server) as own:
        own.headers["Authorization"] = f"Bearer {made.json()['text']}"
        assert own.get("/me").json()["roles"] == {"lab": "viewer"}
        assert token["id"] in [each["id"] for each in aoi.get("/tokens").json()]
        assert statuses(
            {
                "others": nao.delete(f"/tokens/{token['id']}"),
                "for others": aoi.post("/tokens", json={"name": "x", "user": "nao"}),
                "of others": aoi.get("/tokens", params={"user": "nao"}),
                "in others' projects": aoi.post("/tokens", json={"name": "x", "project": "default"}),
                "where there is none": aoi.post("/tokens", json={"name": "x", "project": "nowhere"}),
                "for ever": aoi.post("/tokens", json={"name": "x", "expires_in": 3651 * 86400}),
                "never": aoi.post("/tokens", json={"name": "x", "expires_in": 0}),
            }
        ) == {
            "others": 404, "for others": 403, "of others": 403, "in others' projects": 404, "where there is none": 404,
            "for ever": 400, "never": 400,
        }  # fmt: skip
        assert aoi.delete(f"/tokens/{token['id']}").json() == {"id": token["id"]}
        assert own.get("/me").status_code == 401


def test_a_limited_token_does_not_lead_to_more(server: Served) -> None:
    other, _ = server.workspace.issue_token("other", user="aoi")
    for limits in ({"role": "admin"}, {"project": "lab"}):
        with client(server, "aoi", **limits) as own:
            assert own.delete(f"/tokens/{other.id}").status_code == 403
            assert own.post("/tokens", json={"name": "more"}).status_code == 403
            assert own.put("/me/password", json={"old": PASSWORD, "new": "nine horses, two"}).status_code == 403
            token = own.get("/me").json()["token"]
            assert own.delete(f"/tokens/{token}").status_code == 200
            assert own.get("/me").status_code == 401
    with client(server, "mika", role="admin") as limited:
        assert limited.get("/users").status_code == 403
        assert limited.get("/projects/lab").status_code == 200


def test_an_administrator_looks_after_users(server: Served, mika: httpx.Client) -> None:
    made = mika.post("/users", json={"name": "umi", "title": "海", "password": PASSWORD})
    assert (made.status_code, made.json()["has_password"]) == (201, True)
    with client(server, "umi") as umi:
        assert umi.get("/projects").json() == []
        etag = mika.get("/users/umi").headers["etag"]
        changed = mika.patch("/users/umi", json={"is_disabled": True}, headers={"If-Match": etag})
        assert changed.json()["is_disabled"] is True
        assert umi.get("/projects").status_code == 401
    assert mika.patch("/users/umi", json={"title": "U"}, headers={"If-Match": etag}).status_code == 412
    assert statuses(
        {
            "again": mika.post("/users", json={"name": "umi"}),
            "with more": mika.post("/users", json={"name": "x", "roles": {}}),
            "oneself": mika.patch("/users/mika", json={"is_admin": False}),
            "gone": mika.delete("/users/umi"),
            "twice": mika.delete("/users/umi"),
        }
    ) == {"again": 409, "with more": 400, "oneself": 409, "gone": 204, "twice": 404}


def test_an_administrator_makes_and_removes_projects(mika: httpx.Client) -> None:
    body = {"name": "web", "title": "Web", "quota": {"gpu": 2000}}
    again = [mika.post("/projects", json=body, headers={"Idempotency-Key": "k-1"}) for _ in range(2)]

    assert [answer.status_code for answer in again] == [201, 201]
    assert again[0].json() == again[1].json()
    assert statuses(
        {
            "another": mika.post("/projects", json={"name": "web"}),
            "badly named": mika.post("/projects", json={"name": "Web 2"}),
            "changed": mika.patch("/projects/web", json={"quota": {"gpu": -1}}),
            "gone": mika.delete("/projects/web"),
            "there": mika.get("/projects/web"),
            "members": mika.get("/projects/web/members"),
            "data": mika.get("/projects/web/data"),
            "default": mika.delete("/projects/default"),
        }
    ) == {
        "another": 409, "badly named": 400, "changed": 400, "gone": 204, "there": 404, "members": 404, "data": 404,
        "default": 409,
    }  # fmt: skip


def test_an_admin_titles_the_project_and_leaves_its_quota(aoi: httpx.Client, nao: httpx.Client) -> None:
    etag = aoi.get("/projects/lab").headers["etag"]
    changed = aoi.patch("/projects/lab", json={"title": "実験"}, headers={"If-Match": etag})

    assert changed.json()["title"] == "実験"
    assert aoi.patch("/projects/lab", json={"quota": {"gpu": 1}}).status_code == 403
    assert nao.patch("/projects/lab", json={"title": "x"}).status_code == 403
    assert [project["name"] for project in aoi.get("/projects").json()] == ["lab"]


def test_a_manager_looks_after_members_but_not_after_admins(aoi: httpx.Client, nao: httpx.Client) -> None:
    def members() -> dict[str, str]:
        return {each["user"]: each["role"] for each in nao.get("/projects/lab/members").json()}

    assert nao.put("/projects/lab/members/ken", json={"role": "member"}).status_code == 200
    assert members() == {"aoi": "admin", "nao": "manager", "ken": "member"}
    assert statuses(
        {
            "make an admin": nao.put("/projects/lab/members/ken", json={"role": "admin"}),
            "be one": nao.put("/projects/lab/members/nao", json={"role": "admin"}),
            "lower one": nao.put("/projects/lab/members/aoi", json={"role": "viewer"}),
            "remove one": nao.delete("/projects/lab/members/aoi"),
            "nobody": nao.put("/projects/lab/members/nobody", json={"role": "viewer"}),
            "no role": nao.put("/projects/lab/members/ken", json={"role": "owner"}),
            "not in it": nao.put("/projects/default/members/nao", json={"role": "viewer"}),
            "as an admin": aoi.put("/projects/lab/members/ken", json={"role": "admin"}),
            "out": aoi.delete("/projects/lab/members/ken"),
            "out again": aoi.delete("/projects/lab/members/ken"),
        }
    ) == {
        "make an admin": 403, "be one": 403, "lower one": 403, "remove one": 403, "nobody": 404, "no role": 400,
        "not in it": 404, "as an admin": 200, "out": 204, "out again": 404,
    }  # fmt: skip


def test_a_member_of_two_projects_switches_and_stops_where_taken_out(server: Served, aoi: httpx.Client) -> None:
    with client(server, "ken") as ken:
        assert ken.get("/projects/lab/data").status_code == 404
        aoi.put("/projects/lab/members/ken", json={"role": "viewer"})
        assert ken.get("/projects/lab/data").status_code == 200
        assert ken.get("/projects/default/data").status_code == 200
        aoi.delete("/projects/lab/members/ken")
        assert ken.get("/projects/lab/data").status_code == 404
        assert ken.get("/projects/default/data").status_code == 200


def test_who_did_what_is_for_who_is_there(server: Served, mika: httpx.Client, aoi: httpx.Client) -> None:
    aoi.put("/projects/lab/members/rui", json={"role": "viewer"})
    aoi.delete("/projects/lab/members/rui")

    newest = aoi.get("/projects/lab/audit", params={"limit": 2}).json()
    assert [(deed["by"], deed["action"], deed["subject"]) for deed in newest["items"]] == [
        ("aoi", "member.removed", "rui"),
        ("aoi", "member.set", "rui"),
    ]
    older = aoi.get("/projects/lab/audit", params={"limit": 2, "cursor": newest["next_cursor"]}).json()
    assert older["items"][0] not in newest["items"]
    assert {deed["project"] for deed in aoi.get("/projects/lab/audit").json()["items"]} == {"lab"}
    assert aoi.get("/projects/default/audit").status_code == 404
    assert aoi.get("/audit").status_code == 403
    added = mika.get("/audit", params={"action": "user.added", "subject": "aoi"}).json()["items"]
    assert [deed["subject"] for deed in added] == ["aoi"]
    assert mika.get("/audit", params={"since": "yesterday-ish"}).status_code == 400


def test_what_a_project_uses_is_told(aoi: httpx.Client) -> None:
    assert aoi.get("/projects/lab/usage").json()["project"] == "lab"


def test_a_secret_is_in_no_problem(server: Served, mika: httpx.Client) -> None:
    with client(server) as nobody:
        answers = [
            nobody.post("/login", json={"user": "aoi", "password": "geheim-geheim", "more": 1}),
            nobody.post("/login", json={"user": ["aoi"], "password": "geheim-geheim"}),
            mika.post("/users", json={"name": "a b", "password": "geheim-geheim"}),
            mika.patch("/users/aoi", json={"password": "geheim"}),
            nobody.get("/me", headers={"Authorization": "Bearer geheim-geheim"}),
        ]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 401]
    assert [answer for answer in answers if "geheim" in answer.text] == []
