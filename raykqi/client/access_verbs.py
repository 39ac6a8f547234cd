"""Projects, members, users and tokens over HTTP. What the caller may do of it, the server decides."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from raykqi.client.asking import API, Asking, moment_text
from raykqi.client.transport import Params, place
from raykqi.domain.access import (
    Caller,
    DeedPage,
    DeedQuery,
    Membership,
    Project,
    Quota,
    Role,
    Token,
    Usage,
    User,
    check_project,
    check_role,
    check_user,
)
from raykqi.domain.tags import instant_of
from raykqi.domain.text import check_name, check_text

__all__ = ["AccessVerbs"]


class Issued(msgspec.Struct, frozen=True):
    """`text` is what one comes with."""

    token: Token
    text: str

    def __repr__(self) -> str:
        return f"<token {self.token.id}>"


class Revoked(msgspec.Struct, frozen=True):
    id: str


class AccessVerbs(Asking):
    # Projects

    def projects(self) -> list[Project]:
        """All projects by name, of those that the caller may see."""
        return self._transport.get(f"{API}/projects", list[Project])

    def project(self, name: str = "") -> Project:
        """One project; without a name the one that is acted in."""
        return self._transport.get(self._project_path(name), Project)

    def create_project(self, name: str, *, title: str = "", quota: Quota | None = None) -> Project:
        body = {"name": check_project(name), "title": check_text(title, "title"), "quota": quota or Quota()}
        return self._transport.ask("POST", f"{API}/projects", Project, body=body)

    def change_project(self, name: str = "", *, title: str | None = None, quota: Quota | None = None) -> Project:
        """What is None stays as it is; a quota takes the place of the whole quota before."""
        text = None if title is None else check_text(title, "title")
        body = _given(title=text, quota=quota)
        return self._transport.ask("PATCH", self._project_path(name), Project, body=body)

    def remove_project(self, name: str) -> None:
        """One that holds no data, no active plans and no runs under way."""
        self._transport.ask("DELETE", self._project_path(check_project(name)), type(None))

    def members(self, project: str = "") -> list[Membership]:
        """Who has which role in the project, by name."""
        return self._transport.get(f"{self._project_path(project)}/members", list[Membership])

    def set_member(self, user: str, role: Role, *, project: str = "") -> Membership:
        """Give the user this role in the project, whatever it was."""
        path = f"{self._project_path(project)}/members/{place(check_user(user))}"
        return self._transport.ask("PUT", path, Membership, body={"role": check_role(role)})

    def remove_member(self, user: str, *, project: str = "") -> None:
        path = f"{self._project_path(project)}/members/{place(check_user(user))}"
        self._transport.ask("DELETE", path, type(None))

    # Users

    def users(self) -> list[User]:
        """All users by name."""
        return self._transport.get(f"{API}/users", list[User])

    def user(self, name: str) -> User:
        return self._transport.get(_user_path(name), User)

    def add_user(self, name: str, *, password: str = "", title: str = "", is_admin: bool = False) -> User:
        """Without a password the user comes by tokens, or by another sign-in."""
        body = {"name": check_user(name), "password": password, "title": title, "is_admin": is_admin}
        return self._transport.ask("POST", f"{API}/users", User, body=body, repeats=False)

    def change_user(
        self,
        name: str,
        *,
        title: str | None = None,
        is_admin: bool | None = None,
        is_disabled: bool | None = None,
        password: str | None = None,
        keep: str = "",
    ) -> User:
        """What is None stays as it is, and "" takes a password away.

        A new password ends the user's sign-ins, but for the one with the token `keep`.
        """
        body = _given(title=title, is_admin=is_admin, is_disabled=is_disabled, password=password)
        if keep:
            body["keep"] = keep
        return self._transport.ask("PATCH", _user_path(name), User, body=body)

    def change_password(self, old: str, new: str) -> None:
        """The own one; other sign-ins end."""
        body = {"old": old, "new": new}
        self._transport.ask("PUT", f"{API}/me/password", type(None), body=body, repeats=False)

    def remove_user(self, name: str) -> None:
        """With memberships and tokens; what the user did stays under that name."""
        self._transport.ask("DELETE", _user_path(name), type(None))

    # Tokens

    def issue_token(
        self,
        name: str,
        *,
        user: str = "",
        project: str = "",
        role: Role | None = None,
        endpoint: str = "",
        expires_in: timedelta | None = None,
    ) -> tuple[Token, str]:
        """A token for the user (else for the caller), and the text to come with: shown this once.

        `project` and `role` make it narrower than what the user may; one of an `endpoint` may ask that and nothing
        else. It lasts 90 days, unless said otherwise.
        """
        body = _given(
            name=check_name(name, "name of a token"),
            user=user or None,
            project=project or (self._project if endpoint else None),
            role=role,
            endpoint=endpoint or None,
            expires_in=expires_in and expires_in.total_seconds(),
        )
        # Its text is in this one answer: a second one could not tell it again.
        issued = self._transport.ask("POST", f"{API}/tokens", Issued, body=body, repeats=False)
        return issued.token, issued.text

    def tokens(self, user: str = "") -> list[Token]:
        """The tokens of a user, or of all that the caller may see, that have not expired; newest first."""
        return self._transport.get(f"{API}/tokens", list[Token], [("user", user or None)])

    def revoke_token(self, token: str | Token, *, user: str = "") -> str:
        """From now on nobody can come with it. With `user`, only if it is theirs. Its id."""
        id_ = token.id if isinstance(token, Token) else check_name(token, "id of a token")
        params: Params = [("user", user or None)]
        return self._transport.ask("DELETE", f"{API}/tokens/{place(id_)}", Revoked, params=params).id

    def login(self, user: str, password: str, *, expires_in: timedelta | None = None) -> tuple[Token, str]:
        """A token for a password, and the text to come with; for a day, unless said otherwise."""
        body = _given(user=user, password=password, expires_in=expires_in and expires_in.total_seconds())
        issued = self._transport.ask("POST", f"{API}/login", Issued, body=body, repeats=False)
        return issued.token, issued.text

    def caller(self, token: str) -> Caller:
        """Who comes with this token, and what they may now; raises `Unauthenticated`."""
        headers = {"Authorization": f"Bearer {token}"}
        return self._transport.ask("GET", f"{API}/me", Caller, headers=headers)

    def me(self) -> Caller:
        """Who asks here, and what they may."""
        return self._transport.get(f"{API}/me", Caller)

    # Who did what

    def audit(self, query: DeedQuery | None = None, *, limit: int = 50, cursor: str = "") -> DeedPage:
        """Who did what when, newest first; `next_cursor` asks for the next page, and is empty at the end."""
        wanted = query or DeedQuery(project=self._project)
        params: Params = [
            ("by", wanted.by or None),
            ("action", wanted.action or None),
            ("subject", wanted.subject or None),
            ("since", moment_text(wanted.since)),
            ("until", moment_text(wanted.until)),
            ("limit", limit),
            ("cursor", cursor or None),
        ]
        path = f"{self._project_path(wanted.project)}/audit" if wanted.project else f"{API}/audit"
        return self._transport.get(path, DeedPage, params)

    def usage(
        self, project: str = "", *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> Usage:
        """What a project uses now, this one unless another is named; and what the runs took that ended meanwhile."""
        params: Params = [("since", moment_text(instant_of(since))), ("until", moment_text(instant_of(until)))]
        return self._transport.get(f"{self._project_path(project)}/usage", Usage, params)

    def _project_path(self, name: str) -> str:
        return f"{API}/projects/{place(check_project(name or self._project))}"


def _user_path(name: str) -> str:
    return f"{API}/users/{place(check_user(name))}"


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
