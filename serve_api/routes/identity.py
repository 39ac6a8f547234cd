"""Who one is: signing in and out, own tokens and password, users."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from raykqi.domain.access import Caller, Role, Token, User, check_role
from raykqi.errors import Forbidden, InvalidInput, UnknownId
from serve_api.asking import Asked
from serve_api.callers import cookie_name, token_cookie
from serve_api.routing import Routes

__all__ = ["Issued", "NewToken", "Seconds", "issue", "routes", "session_cookie"]

ID = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3650 * 86_400)]
routes = Routes("identity")


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With `cookie` the answer sets one, for browsers, and holds no text."""

    user: str
    password: str
    expires_in: Seconds | None = None
    cookie: bool = False

    def __repr__(self) -> str:
        return f"SignIn({self.user!r})"


class Issued(msgspec.Struct, frozen=True):
    """`text` is what one comes with: `Authorization: Bearer TEXT`. It is shown this once."""

    token: Token
    text: str

    def __repr__(self) -> str:
        return f"Issued({self.token.id})"


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    old: str
    new: str

    def __repr__(self) -> str:
        return "PasswordChange()"


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`project` and `role` make it narrower than what its user may; for 90 days unless `expires_in` says otherwise.

    One of an `endpoint` of the project may ask that, and do nothing else.
    """

    name: str
    user: str = ""
    project: str = ""
    role: Role | Literal[""] = ""
    endpoint: str = ""
    expires_in: Seconds | None = None


class TokensListed(msgspec.Struct, frozen=True):
    """Of another user, or of all, for administrators."""

    user: str = ""


class Revoked(msgspec.Struct, frozen=True):
    id: str


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    password: str = ""
    title: str = ""
    is_admin: bool = False

    def __repr__(self) -> str:
        return f"NewUser({self.name!r})"


class UserEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is; an empty password takes it away.

    A new password ends the user's sign-ins, but for the one with the token `keep`.
    """

    title: str | None = None
    is_admin: bool | None = None
    is_disabled: bool | None = None
    password: str | None = None
    keep: str = ""

    def __repr__(self) -> str:
        return "UserEdit()"


@routes.post("/login", needs="public", example=SignIn("hanako", "correct horse battery"))
def sign_in(asked: Asked, body: SignIn) -> Issued:
    """A token for a name and a password"""
    options, limits = asked.api.options, asked.api.sign_ins
    limits.take(body.user, asked.peer)
    seconds = body.expires_in or options.session_hours * 3600
    token, text = asked.api.workspace.login(body.user, body.password, expires_in=timedelta(seconds=seconds))
    limits.give_back(body.user, asked.peer)
    if not body.cookie:
        return Issued(token, text)
    asked.answer_headers["Set-Cookie"] = session_cookie(asked, text, seconds)
    return Issued(token, "")


@routes.post("/logout", needs="signed_in", status=204)
def sign_out(asked: Asked) -> None:
    """Revoke the token of this request"""
    if asked.caller.token:
        asked.workspace.revoke_token(asked.caller.token)
    asked.answer_headers["Set-Cookie"] = session_cookie(asked, "", 0)


@routes.get("/me", needs="signed_in", shows=Caller("hanako", roles={"default": "member"}, token=ID))
async def show_caller(asked: Asked) -> Caller:
    """Who asks, and what they may"""
    return asked.caller


@routes.put("/me/password", needs="signed_in", status=204, example=PasswordChange("correct horse", "eight horses, one"))
def change_password(asked: Asked, body: PasswordChange) -> None:
    """Change the own password. Other sign-ins end"""
    _refuse_narrow(asked, "change a password")
    user = asked.caller.user
    asked.api.sign_ins.take(user, asked.peer)
    if not asked.workspace.is_password(user, body.old):
        raise Forbidden("the old password is wrong", hint="Whoever has none, or forgot it, asks an administrator.")
    asked.api.sign_ins.give_back(user, asked.peer)
    if not body.new:
        raise InvalidInput("the new password is empty", hint="An administrator can take a password away.")
    asked.workspace.change_user(user, password=body.new, keep=asked.caller.token)


@routes.get("/tokens", needs="signed_in")
def list_tokens(asked: Asked, query: TokensListed) -> list[Token]:
    """The own tokens that have not expired; for administrators those of all, or of one user"""
    caller = asked.caller
    if caller.is_admin:
        return asked.workspace.tokens(query.user)
    if query.user not in ("", caller.user):
        raise Forbidden("the tokens of others are for administrators", hint="Leave out the user.")
    return asked.workspace.tokens(caller.user)


# Tokens and users are made without an Idempotency-Key: a second answer could not show the text of a token again, and
# what tells two requests apart would be a quick hash of a password, in the journal.
@routes.post("/tokens", needs="signed_in", status=201, example=NewToken("ci", project="default", role="viewer"))
def issue_token(asked: Asked, body: NewToken) -> Issued:
    """A token for oneself; for others too, as an administrator"""
    return issue(asked, body)


def issue(asked: Asked, body: NewToken) -> Issued:
    """What is shared by all ways to ask for a token."""
    caller = asked.caller
    _refuse_narrow(asked, "make others")
    if body.user not in ("", caller.user) and not caller.is_admin:
        raise Forbidden("only administrators make tokens for others", hint="Leave out the user.")
    if body.project and caller.role_in(body.project) is None:
        raise UnknownId(f"there is no project {body.project!r}", hint="Name one that you are in.")
    lasts = None if body.expires_in is None else timedelta(seconds=body.expires_in)
    token, text = asked.workspace.issue_token(
        body.name,
        user=body.user or caller.user,
        project=body.project,
        role=check_role(body.role) if body.role else None,
        endpoint=body.endpoint,
        expires_in=lasts,
    )
    return Issued(token, text)


@routes.delete("/tokens/{token}", needs="signed_in", shows=Revoked(ID))
def revoke_token(asked: Asked, token: str, query: TokensListed) -> Revoked:
    """End a token: an own one; those of others, as an administrator"""
    caller = asked.caller
    if token != caller.token:
        _refuse_narrow(asked, "end others")
    return Revoked(asked.workspace.revoke_token(token, user=query.user if caller.is_admin else caller.user))


@routes.get("/users", needs="workspace")
def list_users(asked: Asked) -> list[User]:
    """All users by name"""
    return asked.workspace.users()


@routes.post("/users", needs="workspace", status=201, example=NewUser("taro", title="山田 太郎"))
def add_user(asked: Asked, body: NewUser) -> User:
    """Let somebody in. Without a password they come by tokens, or by another sign-in"""
    return asked.workspace.add_user(body.name, password=body.password, title=body.title, is_admin=body.is_admin)


@routes.get("/users/{user}", needs="workspace", tagged=True)
def show_user(asked: Asked, user: str) -> User:
    """One user"""
    return asked.workspace.user(user)


@routes.patch("/users/{user}", needs="workspace", conditional=True, example=UserEdit(is_disabled=True))
def change_user(asked: Asked, user: str, body: UserEdit) -> User:
    """Change title, rights or password of a user; nobody disabled can sign in or use a token"""
    return asked.workspace.change_user(
        user,
        title=body.title,
        is_admin=body.is_admin,
        is_disabled=body.is_disabled,
        password=body.password,
        keep=body.keep,
    )


@routes.delete("/users/{user}", needs="workspace", conditional=True, once=True, status=204)
def remove_user(asked: Asked, user: str) -> None:
    """Remove a user with memberships and tokens; what they did stays under that name"""
    asked.workspace.remove_user(user)


def session_cookie(asked: Asked, text: str, seconds: float) -> str:
    is_secure = asked.api.options.is_secure
    name = cookie_name(asked.headers.get("host", ""), is_secure=is_secure)
    return token_cookie(name, text, seconds=int(seconds), is_secure=is_secure)


def _refuse_narrow(asked: Asked, what: str) -> None:
    """A token that may little must not lead to more."""
    caller = asked.caller
    own = next((token for token in asked.workspace.tokens(caller.user) if token.id == caller.token), None)
    if caller.run or own is None:
        raise Forbidden(f"runs cannot {what}", hint="Do it as yourself.")
    if own.project or own.role or own.endpoint:
        raise Forbidden(f"a token that is limited cannot {what}", hint="Sign in, then do it.")
