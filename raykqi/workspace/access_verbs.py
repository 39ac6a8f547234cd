"""What one does with projects, members, users and tokens, and who comes with which right.

Whether somebody may do it is not asked here: who opens the workspace itself may do everything.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING

from raykqi.catalog import access_facts, access_queries
from raykqi.domain.access import (
    SIGN_IN,
    DeedPage,
    DeedQuery,
    Membership,
    Project,
    Quota,
    Role,
    Token,
    User,
    check_project,
    check_role,
    check_user,
)
from raykqi.domain.events import TokenIssued, TokenRevoked
from raykqi.domain.text import check_name, check_text
from raykqi.domain.token_text import digest_of, new_secret, token_text
from raykqi.engine.access_commands import (
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
from raykqi.errors import Conflict, Forbidden, InvalidInput, Unauthenticated
from raykqi.workspace.inside import Inside

if TYPE_CHECKING:
    from raykqi.domain.access import Caller
    from raykqi.workspace.callers import Callers

__all__ = ["AccessVerbs"]

TOKEN_DAYS = 90.0
SIGN_IN_DAYS = 1.0


class AccessVerbs(Inside):
    # Projects

    def projects(self) -> list[Project]:
        """All projects by name."""
        return self._read(lambda: access_queries.list_projects(self._keeper.index))

    def project(self, name: str = "") -> Project:
        """One project; without a name the one that this workspace acts in."""
        return self._read(lambda: access_queries.get_project(self._keeper.index, name or self._project))

    def has_project(self, name: str) -> bool:
        """Whether there is one of that name, as far as is known here: asked for with every request."""
        return bool(access_facts.existing_projects(self._keeper.index, [name]) & {name})

    def create_project(self, name: str, *, title: str = "", quota: Quota | None = None) -> Project:
        command = MakeProject(self._by, check_project(name), check_text(title, "title"), quota or Quota())
        self._controller.submit(command)
        return self.project(name)

    def change_project(self, name: str = "", *, title: str | None = None, quota: Quota | None = None) -> Project:
        """What is None stays as it is; a quota takes the place of the whole quota before."""
        named = name or self._project
        text = None if title is None else check_text(title, "title")
        self._controller.submit(ChangeProject(self._by, named, text, quota))
        return self.project(named)

    def remove_project(self, name: str) -> None:
        """One that holds no data, no active plans and no runs under way."""
        self._controller.submit(RemoveProject(self._by, name))

    def members(self, project: str = "") -> list[Membership]:
        """Who has which role in the project, by name."""
        return self._read(lambda: access_queries.list_members(self._keeper.index, project or self._project))

    def set_member(self, user: str, role: Role, *, project: str = "") -> Membership:
        """Give the user this role in the project, whatever it was."""
        named = project or self._project
        self._controller.submit(SetMember(self._by, named, user, check_role(role)))
        return Membership(user, role, named)

    def remove_member(self, user: str, *, project: str = "") -> None:
        self._controller.submit(RemoveMember(self._by, project or self._project, user))

    # Users

    def users(self) -> list[User]:
        """All users by name."""
        return self._read(lambda: access_queries.list_users(self._keeper.index))

    def user(self, name: str) -> User:
        return self._read(lambda: access_queries.get_user(self._keeper.index, name))

    def add_user(self, name: str, *, password: str = "", title: str = "", is_admin: bool = False) -> User:
        """Without a password the user comes by tokens, or by another sign-in."""
        hashed = _hashed(password, check_user(name)) if password else ""
        self._controller.submit(AddUser(self._by, name, check_text(title, "title"), is_admin, hashed))
        return self.user(name)

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
        text = None if title is None else check_text(title, "title")
        hashed = _hashed(password, name) if password else password
        self._controller.submit(ChangeUser(self._by, name, text, is_admin, is_disabled, hashed, keep))
        return self.user(name)

    def change_password(self, old: str, new: str) -> None:
        """The own one; other sign-ins end."""
        if not self.is_password(self._by, old):
            raise Forbidden("the old password is wrong", hint="Whoever has none, or forgot it, asks an administrator.")
        self.change_user(self._by, password=new)

    def remove_user(self, name: str) -> None:
        """With memberships and tokens; what the user did stays under that name."""
        self._controller.submit(RemoveUser(self._by, name))

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
        """A token for the user (else for the one of this workspace), and the text to come with: shown this once.

        `project` and `role` make it narrower than what the user may; one of an `endpoint` may ask that and nothing
        else. It lasts 90 days, unless said otherwise.
        """
        lasts = timedelta(days=TOKEN_DAYS) if expires_in is None else expires_in
        called = check_name(name, "name of a token")
        if called == SIGN_IN:
            raise InvalidInput(f"tokens called {SIGN_IN} are given for passwords", hint="Choose another name.")
        if endpoint:
            project = project or self._project
        return self._issue(called, user or self._by, lasts, project=project, role=role, endpoint=endpoint)

    def tokens(self, user: str = "") -> list[Token]:
        """The tokens of a user, or of all, that have not expired; newest first. Their secrets nobody knows."""
        return self._read(lambda: access_queries.list_tokens(self._keeper.index, user, since=datetime.now(UTC)))

    def revoke_token(self, token: str | Token, *, user: str = "") -> str:
        """From now on nobody can come with it. With `user`, only if it is theirs. Its id."""
        prefix = token.id if isinstance(token, Token) else token
        whole = self._read(lambda: access_queries.resolve_token(self._keeper.index, prefix, user))
        events = self._controller.submit(RevokeToken(self._by, whole, user))
        return next((event.token for event in events if isinstance(event, TokenRevoked)), whole)

    def login(self, user: str, password: str, *, expires_in: timedelta | None = None) -> tuple[Token, str]:
        """A token for a password, and the text to come with; for a day, unless said otherwise."""
        if not self.is_password(user, password):
            raise Unauthenticated("user or password is wrong", hint="Type both again, or ask an administrator.")
        return self.sign_in(user, expires_in=expires_in)

    def is_password(self, user: str, password: str) -> bool:
        """Whether it is the user's; for somebody unknown or disabled it takes as long to say no."""
        from raykqi.workspace.passwords import is_password

        hash_ = self._read(lambda: access_queries.password_of(self._keeper.index, user))
        return is_password(password, hash_)

    def sign_in(self, user: str, *, expires_in: timedelta | None = None) -> tuple[Token, str]:
        """The same for a user who has shown otherwise who they are."""
        lasts = timedelta(days=SIGN_IN_DAYS) if expires_in is None else expires_in
        return self._issue(SIGN_IN, user, lasts, by=user)

    def caller(self, token: str) -> Caller:
        """Who comes with this token, and what they may now; raises `Unauthenticated`."""
        try:
            return self._read(lambda: self._callers.caller(token))
        except Unauthenticated:
            self._controller.catch_up()  # it may have been given out a moment ago, elsewhere
            return self._read(lambda: self._callers.caller(token))

    def me(self) -> Caller:
        """Who asks here, and what they may: who opens the workspace itself may do everything."""
        from raykqi.domain.access import Caller

        return Caller(self._by, is_admin=True)

    # Who did what

    def audit(self, query: DeedQuery | None = None, *, limit: int = 50, cursor: str = "") -> DeedPage:
        """Who did what when, newest first; `next_cursor` asks for the next page, and is empty at the end."""
        from raykqi.catalog.audit import find_deeds

        wanted = query or DeedQuery(project=self._project)
        return self._read(lambda: find_deeds(self._keeper.index, wanted, limit=limit, cursor=cursor))

    # Inside

    @property
    def _by(self) -> str:
        return self._settings.user

    @cached_property
    def _callers(self) -> Callers:
        from raykqi.storage.access_key import read_access_key
        from raykqi.workspace.callers import Callers

        return Callers(self._keeper, cache(lambda: read_access_key(self._store)))

    def _issue(
        self,
        name: str,
        user: str,
        lasts: timedelta,
        *,
        by: str = "",
        project: str = "",
        role: Role | None = None,
        endpoint: str = "",
    ) -> tuple[Token, str]:
        secret = new_secret()
        digest = digest_of(secret)
        expires = _later(lasts)
        command = IssueToken(by or self._by, user, name, digest, expires, project, role or "", endpoint)
        events = self._controller.submit(command)
        event = next(event for event in events if isinstance(event, TokenIssued))
        if event.digest != digest:
            raise Conflict(
                f"this request was answered before, with token {event.token}", hint="Its text is lost: ask for another."
            )
        token = Token(
            event.token,
            event.user,
            event.name,
            event.at,
            event.expires,
            project=event.project,
            role=event.role,
            endpoint=event.endpoint,
        )
        return token, token_text(event.token, secret)


def _hashed(password: str, user: str) -> str:
    from raykqi.workspace.passwords import check_password, hash_password

    return hash_password(check_password(password, user))


def _later(lasts: timedelta) -> datetime:
    try:
        return datetime.now(UTC) + lasts
    except OverflowError:
        raise InvalidInput(f"a token cannot last {lasts.days} days", hint="Give fewer days.") from None
