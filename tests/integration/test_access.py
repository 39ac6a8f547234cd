"""Users, members and tokens of a real workspace: who comes with what, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import pytest

from raykqi.domain.access import Caller, Membership, Project, Quota, User
from raykqi.domain.etag import etag_of
from raykqi.errors import Conflict, InUse, InvalidInput, PreconditionFailed, RaykqiError, Unauthenticated, UnknownId
from raykqi.workspace import Workspace
from tests.integration.lab import Lab, Opened, check

PLAN = """
command: [/bin/sh, -c, "true"]
inputs: [{path: /in/data, tags: ["type:photos"]}]
outputs: [{path: /out, tags: ["type:model"]}]
"""
PASSWORD = "eight horses, one battery"


@pytest.fixture
def opened(lab: Lab) -> Opened:
    opened = lab.open(user="root")
    ws = opened.ws
    ws.add_user("hana", password=PASSWORD, is_admin=True)
    ws.add_user("taro", title="太郎")
    ws.create_project("lab", title="実験", quota=Quota(gpu=2000))
    ws.set_member("taro", "member", project="lab")
    return opened


def ways_to_end() -> list[tuple[str, Callable[[Workspace], object]]]:
    return [
        ("revoked", lambda ws: ws.revoke_token(ws.tokens("taro")[0])),
        ("disabled", lambda ws: ws.change_user("taro", is_disabled=True)),
        ("removed", lambda ws: ws.remove_user("taro")),
    ]


def test_projects_members_and_users_are_as_they_were_made(opened: Opened) -> None:
    ws = opened.ws

    assert [project.name for project in ws.projects()] == ["default", "lab"]
    lab = ws.project("lab")
    assert lab == Project("lab", "実験", Quota(gpu=2000), lab.created, "root")
    assert ws.members("lab") == [Membership("taro", "member", "lab")]
    hana, taro = ws.users()
    assert hana == User("hana", "", is_admin=True, has_password=True, created=hana.created)
    assert taro == User("taro", "太郎", created=taro.created)
    check(opened)


def test_a_token_brings_what_its_user_may_now(opened: Opened) -> None:
    ws = opened.ws
    token, text = ws.issue_token("ci", user="taro")

    assert ws.caller(text) == Caller("taro", roles={"lab": "member"}, token=token.id)
    ws.set_member("taro", "viewer", project="lab")
    assert ws.caller(text).roles == {"lab": "viewer"}
    ws.remove_member("taro", project="lab")
    assert ws.caller(text).roles == {}
    ws.change_user("taro", is_admin=True)
    assert ws.caller(text).is_admin


@pytest.mark.parametrize(("how", "end"), ways_to_end())
def test_a_token_ends_at_once(opened: Opened, how: str, end: Callable[[Workspace], object]) -> None:
    ws = opened.ws
    _, text = ws.issue_token("ci", user="taro")
    assert ws.caller(text).user == "taro"

    end(ws)

    with pytest.raises(Unauthenticated):
        ws.caller(text)


@pytest.mark.parametrize(("how", "end"), ways_to_end())
def test_a_token_ends_in_other_processes_too(
    opened: Opened, lab: Lab, how: str, end: Callable[[Workspace], object]
) -> None:
    other = lab.open().ws
    _, text = opened.ws.issue_token("ci", user="taro")
    assert other.caller(text).user == "taro"

    end(opened.ws)

    with pytest.raises(Unauthenticated):
        other.caller(text)


def test_a_token_of_a_user_who_was_removed_does_not_come_back_with_the_name(opened: Opened) -> None:
    ws = opened.ws
    _, text = ws.issue_token("ci", user="taro")
    ws.remove_user("taro")
    ws.add_user("taro", is_admin=True)

    with pytest.raises(Unauthenticated):
        ws.caller(text)


def test_a_token_ends_in_time(opened: Opened) -> None:
    ws = opened.ws
    token, text = ws.issue_token("short", user="taro", expires_in=timedelta(milliseconds=300))
    assert ws.caller(text).user == "taro"

    while datetime.now(UTC) <= token.expires:
        process_time()

    with pytest.raises(Unauthenticated):
        ws.caller(text)
    assert ws.tokens("taro") == []


def test_a_narrow_token_gives_less_than_its_user_may(opened: Opened) -> None:
    ws = opened.ws
    ws.create_project("web")
    ws.set_member("taro", "admin", project="web")

    def roles(user: str, **narrow: str) -> dict[str, str]:
        caller = ws.caller(ws.issue_token("narrow", user=user, **narrow)[1])  # type: ignore[arg-type]
        assert not caller.is_admin
        return dict(caller.roles)

    assert roles("taro", project="web") == {"web": "admin"}
    assert roles("taro", role="viewer") == {"lab": "viewer", "web": "viewer"}
    assert roles("taro", role="admin") == {"lab": "member", "web": "admin"}
    assert roles("taro", project="lab", role="viewer") == {"lab": "viewer"}
    assert roles("hana", project="lab") == {"lab": "admin"}
    assert roles("hana", role="viewer") == {"default": "viewer", "lab": "viewer", "web": "viewer"}


@pytest.mark.parametrize("text", ["", "rkq_", "Bearer x", "rkqrun_", "rkq_" + "0" * 32 + "_" + "a" * 43, "日本語\0"])
def test_whoever_comes_with_something_else_is_nobody(opened: Opened, text: str) -> None:
    with pytest.raises(Unauthenticated, match="the token is not valid"):
        opened.ws.caller(text)


def test_the_right_id_with_a_wrong_secret_is_nobody(opened: Opened) -> None:
    _, text = opened.ws.issue_token("ci", user="taro")
    opened.ws.caller(text)  # it is known from now on

    with pytest.raises(Unauthenticated):
        opened.ws.caller(text[:-1] + ("A" if text[-1] != "A" else "B"))


def test_a_password_gives_a_token_and_a_new_one_ends_it(opened: Opened) -> None:
    ws = opened.ws
    token, text = ws.login("hana", PASSWORD)
    kept, kept_text = ws.login("hana", PASSWORD)
    assert ws.caller(text) == Caller("hana", is_admin=True, token=token.id)

    ws.change_user("hana", password="nine horses, one battery", keep=kept.id)

    with pytest.raises(Unauthenticated):
        ws.caller(text)
    assert ws.caller(kept_text).user == "hana"
    with pytest.raises(Unauthenticated, match="user or password is wrong"):
        ws.login("hana", PASSWORD)
    assert ws.login("hana", "nine horses, one battery")


def test_whoever_does_not_sign_in_hears_the_same(opened: Opened) -> None:
    for user in ("hana", "taro", "nobody", "", "日本", "a" * 3000):
        for password in ("wrong password", "", "x" * 100_000, "\udc80" * 12):
            with pytest.raises(Unauthenticated) as refused:
                opened.ws.login(user, password)

            assert refused.value.message == "user or password is wrong"


def test_someone_unknown_or_disabled_takes_as_long_as_a_wrong_password(opened: Opened) -> None:
    ws = opened.ws
    ws.add_user("kei", password=PASSWORD)
    ws.change_user("kei", is_disabled=True)

    def took(user: str, password: str) -> float:
        began = process_time()
        with pytest.raises(Unauthenticated):
            ws.login(user, password)
        return process_time() - began

    took("hana", "wrong password")
    wrong = min(took("hana", "wrong password") for _ in range(3))
    for user, password in (("nobody", "wrong password"), ("taro", "wrong password"), ("kei", PASSWORD)):
        assert min(took(user, password) for _ in range(3)) > wrong / 2


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "taro-taro\0-taro", "x" * 1025, " " * 12, "\udc80" * 12])
def test_a_password_that_is_none_is_refused_without_being_said(opened: Opened, password: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        opened.ws.change_user("taro", password=password)

    assert password not in str(refused.value)
    assert opened.ws.user("taro").has_password is False


def test_secrets_are_nowhere(opened: Opened, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ws = opened.ws
    token, text = ws.issue_token("ci", user="taro")
    _, signed_in = ws.login("hana", PASSWORD)
    with pytest.raises(Unauthenticated) as refused:
        ws.caller(text + "x")
    ws.snapshot()
    lab.close()

    secrets = [text.rpartition("_")[2], signed_in.rpartition("_")[2], PASSWORD]
    said = f"{caplog.text} {refused.value} {token!r}"
    stored = [file for file in Path(lab.url).rglob("*") if file.is_file()]
    assert len(stored) > 5
    for secret in secrets:
        assert secret not in said
        assert [file for file in stored if secret.encode() in file.read_bytes()] == []


def test_a_project_that_holds_something_stays_and_says_what(opened: Opened, lab: Lab) -> None:
    ws = opened.ws
    inside = ws.acting(user="taro", project="lab")
    data = inside.push(lab.files("photos", {"a": b"a"}), ["type:photos"])

    with pytest.raises(InUse, match="project lab cannot be removed: it holds 1 data"):
        ws.remove_project("lab")
    inside.remove(data, "no use")
    ws.remove_project("lab")

    with pytest.raises(UnknownId):
        ws.project("lab")
    with pytest.raises(Conflict, match="its lineage stays"):
        ws.create_project("lab")
    with pytest.raises(UnknownId, match="there is no project lab"):
        inside.push(lab.files("photos", {"a": b"a"}), ["type:photos"])
    with pytest.raises(UnknownId, match="there is no project lab"):
        inside.apply(PLAN)
    check(opened)


def test_what_was_changed_since_it_was_read_is_not_changed(opened: Opened) -> None:
    ws = opened.ws
    lab, taro = ws.project("lab"), ws.user("taro")
    ws.change_project("lab", title="new")
    ws.change_user("taro", title="new")

    with pytest.raises(PreconditionFailed):
        ws.once(expect=etag_of(lab)).change_project("lab", title="newer")
    with pytest.raises(PreconditionFailed):
        ws.once(expect=etag_of(taro)).change_user("taro", title="newer")
    ws.once(expect=etag_of(ws.project("lab"))).change_project("lab", title="newest")
    assert ws.project("lab").title == "newest"


def test_a_project_is_made_once_for_its_key(opened: Opened) -> None:
    one, again = (opened.ws.once(key="k-1", fingerprint="f") for _ in range(2))

    assert one.create_project("web") == again.create_project("web")


def test_a_token_is_shown_once_however_often_it_is_asked_for(opened: Opened) -> None:
    one, again = (opened.ws.once(key="k-2", fingerprint="f") for _ in range(2))
    one.issue_token("ci", user="taro")

    with pytest.raises(Conflict, match="Its text is lost"):
        again.issue_token("ci", user="taro")


def test_all_of_it_is_there_after_the_index_is_lost(opened: Opened, lab: Lab) -> None:
    _, text = opened.ws.issue_token("ci", user="taro")
    opened.ws.snapshot()
    before = (opened.ws.users(), opened.ws.projects(), opened.ws.tokens(), opened.ws.audit().items)
    lab.close()
    lab.index_file.unlink()

    again = lab.open()

    assert (again.ws.users(), again.ws.projects(), again.ws.tokens(), again.ws.audit().items) == before
    assert again.ws.caller(text).user == "taro"
    assert again.ws.login("hana", PASSWORD)
    check(again)


@pytest.mark.parametrize("name", ["", "x\ny", "sign-in"])
def test_a_token_needs_a_name_of_its_own(opened: Opened, name: str) -> None:
    with pytest.raises(RaykqiError):
        opened.ws.issue_token(name, user="taro")


def test_a_token_that_never_ends_is_refused(opened: Opened) -> None:
    for days in (0, -1, 3651, 999_999_999):
        with pytest.raises(InvalidInput):
            opened.ws.issue_token("ci", user="taro", expires_in=timedelta(days=days))
