"""Decisions about projects, members, users and tokens: what is known, what is asked, and what comes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from raykqi.catalog.access_facts import AccessFacts, Contents, TokenFacts, UserFacts
from raykqi.catalog.facts import Facts
from raykqi.domain.access import Quota
from raykqi.domain.events import Event, MemberSet, TokenIssued, TokenRevoked, UserAdded, UserChanged
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.engine import decide_access  # noqa: F401  it registers its decisions
from raykqi.engine.access_commands import (
    AccessCommand,
    AddUser,
    ChangeProject,
    ChangeUser,
    IssueToken,
    MakeProject,
    RemoveMember,
    RemoveProject,
    RemoveUser,
    RevokeToken,
    SetMember,
)
from raykqi.engine.decide import decide
from raykqi.errors import Conflict, InUse, InvalidInput, RaykqiError, UnknownId

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def known() -> Facts:
    """hana administrates; taro is a viewer of lab, kei is disabled."""
    access = AccessFacts(
        projects={"default", "lab"},
        users={
            "hana": UserFacts("hana", is_admin=True, is_disabled=False),
            "taro": UserFacts("taro", is_admin=False, is_disabled=False),
            "kei": UserFacts("kei", is_admin=False, is_disabled=True),
        },
        members={("lab", "taro"): "viewer"},
        tokens={
            "t-1": TokenFacts("t-1", "taro", "sign-in", NOW + DAY, is_revoked=False),
            "t-2": TokenFacts("t-2", "taro", "sign-in", NOW + DAY, is_revoked=False),
            "t-3": TokenFacts("t-3", "taro", "ci", NOW + DAY, is_revoked=False),
            "t-4": TokenFacts("t-4", "taro", "sign-in", NOW - DAY, is_revoked=False),
        },
        admins={"hana"},
    )
    return Facts({}, generation=0, condemned=frozenset(), access=access)


def decided(command: AccessCommand, facts: Facts | None = None) -> list[Event]:
    return decide(command, facts or known(), NOW, IdMaker(SystemClock()))


def token(**changes: object) -> IssueToken:
    plain = IssueToken("hana", "taro", "ci", "ab" * 32, NOW + DAY)
    return IssueToken(**{name: getattr(plain, name) for name in plain.__struct_fields__} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "error", "said"),
    [
        (MakeProject("hana", "lab"), Conflict, "there is a project lab already"),
        (MakeProject("hana", "default"), Conflict, "there is a project default already"),
        (MakeProject("hana", "Lab 2"), InvalidInput, "'Lab 2' is no name of a project"),
        (MakeProject("hana", "new", quota=Quota(gpu=-1)), InvalidInput, "a quota of -1 gpu is not possible"),
        (ChangeProject("hana", "lab", quota=Quota(storage=1 << 63)), InvalidInput, "is not possible"),
        (ChangeProject("hana", "nowhere", "T"), UnknownId, "there is no project nowhere"),
        (RemoveProject("hana", "nowhere"), UnknownId, "there is no project nowhere"),
        (RemoveProject("hana", "default"), Conflict, "the default project is always there"),
        (SetMember("hana", "nowhere", "taro", "admin"), UnknownId, "there is no project nowhere"),
        (SetMember("hana", "lab", "nobody", "admin"), UnknownId, "there is no user nobody"),
        (SetMember("hana", "lab", "Taro", "admin"), UnknownId, "there is no user Taro"),
        (SetMember("hana", "lab", "taro", "owner"), InvalidInput, "there is no role 'owner'"),  # type: ignore[arg-type]
        (RemoveMember("hana", "lab", "hana"), UnknownId, "hana is no member of project lab"),
        (AddUser("hana", "taro"), Conflict, "there is a user taro already"),
        (AddUser("hana", "TARO"), Conflict, "there is a user taro already"),
        (AddUser("hana", "raykqi"), InvalidInput, "the system acts under that name"),
        (AddUser("hana", "Run-1"), InvalidInput, "the system acts under that name"),
        (AddUser("hana", "a b"), InvalidInput, "'a b' is no name of a user"),
        (ChangeUser("hana", "nobody", title="N"), UnknownId, "there is no user nobody"),
        (ChangeUser("hana", "hana", is_admin=False), Conflict, "hana is the last administrator"),
        (ChangeUser("hana", "hana", is_disabled=True), Conflict, "hana is the last administrator"),
        (RemoveUser("hana", "hana"), Conflict, "hana is the last administrator"),
        (RemoveUser("hana", "nobody"), UnknownId, "there is no user nobody"),
        (token(user="nobody"), UnknownId, "there is no user nobody"),
        (token(user="kei"), Conflict, "user kei is disabled"),
        (token(name=" "), InvalidInput, "name of a token"),
        (token(expires=NOW), InvalidInput, "is of no use"),
        (token(expires=NOW + timedelta(days=3651)), InvalidInput, "3650 days at the most"),
        (token(project="nowhere"), UnknownId, "there is no project nowhere"),
        (token(role="owner"), InvalidInput, "there is no role 'owner'"),
        (RevokeToken("hana", "t-9"), UnknownId, "there is no token t-9"),
        (RevokeToken("hana", "t-1", user="hana"), UnknownId, "there is no token t-1"),
    ],
)
def test_what_cannot_be_is_refused_and_says_why(command: AccessCommand, error: type[RaykqiError], said: str) -> None:
    with pytest.raises(error) as refused:
        decided(command)

    assert said in str(refused.value)
    assert refused.value.hint


def test_a_project_that_holds_something_stays() -> None:
    facts = known()
    facts.access.contents["lab"] = Contents(data=3, plans=1, runs=2)

    with pytest.raises(InUse, match="3 data, 1 active plans, 2 runs that have not ended"):
        decided(RemoveProject("hana", "lab"), facts)


def test_the_name_of_a_project_that_was_removed_is_not_given_again() -> None:
    facts = known()
    facts.access.contents["web"] = Contents(was_removed=True)

    with pytest.raises(Conflict, match="its lineage stays under that name"):
        decided(MakeProject("hana", "web"), facts)


def test_what_is_so_already_changes_nothing() -> None:
    assert decided(SetMember("hana", "lab", "taro", "viewer")) == []
    assert decided(ChangeUser("hana", "hana", is_admin=True, is_disabled=False)) == []
    assert decided(ChangeProject("hana", "lab")) == []


def test_a_role_and_a_user_come() -> None:
    assert decided(SetMember("hana", "lab", "taro", "admin")) == [MemberSet(NOW, "hana", "lab", "taro", "admin")]
    assert decided(AddUser("hana", "mika@lab.example", "ミカ")) == [UserAdded(NOW, "hana", "mika@lab.example", "ミカ")]


def test_an_administrator_may_go_when_there_is_another() -> None:
    facts = known()
    facts.access.admins.add("taro")

    assert len(decided(RemoveUser("hana", "hana"), facts)) == 1


def test_a_new_password_ends_the_sign_ins_but_this_one() -> None:
    events = decided(ChangeUser("taro", "taro", password="$argon2id$…", keep="t-2"))

    assert events == [
        UserChanged(NOW, "taro", "taro", password="$argon2id$…"),
        TokenRevoked(NOW, "taro", "t-1", "taro"),
    ]


def test_a_token_is_revoked_once() -> None:
    facts = known()

    assert decided(RevokeToken("taro", "t-1", user="taro"), facts) == [TokenRevoked(NOW, "taro", "t-1", "taro")]
    assert decided(RevokeToken("taro", "t-1"), facts) == []


def test_a_token_is_as_it_was_asked_for() -> None:
    (event,) = decided(token(project="lab", role="viewer", expires=NOW + timedelta(days=3650)))

    assert isinstance(event, TokenIssued)
    assert (event.user, event.name, event.digest, event.project, event.role) == (
        "taro",
        "ci",
        "ab" * 32,
        "lab",
        "viewer",
    )


def test_a_token_of_an_endpoint_is_for_one_of_its_project_and_has_no_role() -> None:
    facts = known()
    facts.access.endpoints.add(("lab", "digits"))

    (event,) = decided(token(project="lab", endpoint="digits"), facts)

    assert isinstance(event, TokenIssued)
    assert (event.project, event.role, event.endpoint) == ("lab", "", "digits")
    for project, endpoint in (("default", "digits"), ("lab", "letters"), ("", "digits")):
        with pytest.raises(UnknownId, match=f"there is no endpoint '{endpoint}'"):
            decided(token(project=project, endpoint=endpoint), facts)
    with pytest.raises(InvalidInput, match="has no role"):
        decided(token(project="lab", endpoint="digits", role="viewer"), facts)
