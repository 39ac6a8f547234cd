"""`raykqi login`, `logout` and `whoami`: as whom one talks with a server."""

from __future__ import annotations

import getpass
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import command
from cli.output import harmless
from cli.session import Session
from cli.values import parse_duration
from raykqi.errors import InvalidInput, RaykqiError, Unauthenticated

if TYPE_CHECKING:
    from raykqi.client.profiles import Profile
    from raykqi.domain.access import Caller

__all__ = ["ask_secret", "register"]

LASTS = "30d"


def register(app: typer.Typer) -> None:
    command(
        app,
        "login",
        examples="""
        raykqi login https://raykqi.example.org
        raykqi login https://raykqi.example.org --user hanako --project vision --profile lab
        raykqi login https://raykqi.example.org --token - < token.txt
        """,
    )(login)
    command(app, "logout", examples="raykqi logout\nraykqi logout --profile lab")(logout)
    command(app, "whoami", examples="raykqi whoami\nraykqi whoami --json")(whoami)


def login(
    session: Session,
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help="Of the server; else RAYKQI_URL or the profile's.", show_default=False),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", metavar="NAME", help="Else you are asked.", show_default=False)
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TEXT", help="Instead of a password; `-` reads it from stdin."),
    ] = None,
    oidc: Annotated[
        bool, typer.Option("--oidc", help="By the provider of identities of the server, in a browser.")
    ] = False,
    lasts: Annotated[str, typer.Option("--for", metavar="TIME", help="How long a sign-in by password holds.")] = LASTS,
) -> None:
    """Sign in to a server, and remember it as a profile. The password is asked for, never shown."""
    import raykqi
    from raykqi.client.profiles import Profile, check_profile, read_profiles, write_profiles
    from raykqi.client.target import address_of
    from raykqi.settings import ServerSettings

    settings = ServerSettings.from_env()
    known = read_profiles(settings.profiles)
    named = check_profile(session.profile) if session.profile else ""
    before = known.profiles.get(named or known.current)
    meant = url or session.workspace or settings.url or (before.url if before else "")
    if not meant:
        raise InvalidInput("no server was named", hint="Give its address: raykqi login https://raykqi.example.org.")
    address, brought = address_of(meant)
    text = ask_secret("token") if token == "-" else token or brought
    if oidc:
        text = _by_browser(session, address)
    if not text:
        text = _by_password(address, user or (before.user if before and before.url == address else ""), lasts)
    with raykqi.connect(address, token=text, project=session.project) as workspace:
        caller = workspace.me()
        project = session.project or _only_project(caller) or (before.project if before else "")
    name = named or _name_for(address, known.profiles)
    write_profiles(settings.profiles, known.keeping(name, Profile(address, text, caller.user, project)))
    if session.json:
        session.out.json({"profile": name, "url": address} | _record(caller))
    else:
        session.out.line(harmless(f"{caller.user} at {address}, as profile {name}"))
        session.out.lines(harmless(line) for line in _rights(caller))


def logout(session: Session) -> None:
    """Give the token of a profile back: the server takes it no more, and it is forgotten here."""
    import raykqi
    from raykqi.client.profiles import Profile, read_profiles, write_profiles
    from raykqi.settings import ServerSettings

    settings = ServerSettings.from_env()
    known = read_profiles(settings.profiles)
    name = session.profile or known.current
    profile = known.named(name)
    was_revoked = may_hold = False
    if profile.token:
        # A token that holds no more, or a server that is gone, is no reason to keep it.
        try:
            with raykqi.connect(profile.url, token=profile.token) as workspace:
                workspace.revoke_token(workspace.me().token)
                was_revoked = True
        except RaykqiError as error:
            may_hold = not was_revoked and not isinstance(error, Unauthenticated)
    kept = Profile(profile.url, "", profile.user, profile.project)
    write_profiles(settings.profiles, known.keeping(name, kept).using(known.current or name))
    if session.json:
        session.out.json({"profile": name, "url": profile.url, "revoked": was_revoked})
    else:
        session.out.line(f"{name}: signed out of {profile.url}")
    if may_hold:
        session.out.complain("The server could not be told: the token holds there until it expires or is revoked.")


def whoami(session: Session) -> None:
    """As whom one acts, where, and with which rights."""
    with session.open() as workspace:
        caller, url, project = workspace.me(), workspace.url, workspace.project_name
    if session.json:
        session.out.json({"url": url, "project": project} | _record(caller))
        return
    session.out.line(harmless(f"{caller.user} at {url}, in project {project}"))
    session.out.lines(harmless(line) for line in _rights(caller))


def ask_secret(what: str, *, twice: bool = False) -> str:
    """Typed without being shown; a line of stdin where nobody types."""
    if not sys.stdin.isatty():
        secret = sys.stdin.readline().rstrip("\r\n")
    else:
        secret = getpass.getpass(f"{what}: ")
        if twice and getpass.getpass(f"{what} again: ") != secret:
            raise InvalidInput(f"the two {what}s differ", hint="Type the same one twice.")
    if not secret:
        raise InvalidInput(f"no {what} was given", hint="Type it when asked, or give it as a line on stdin.")
    return secret


def _by_password(address: str, user: str, lasts: str) -> str:
    import raykqi

    seconds = parse_duration(lasts, "--for")
    name = user or _ask_user()
    password = ask_secret("password")
    with raykqi.connect(address, token="") as workspace:
        return workspace.login(name, password, expires_in=seconds)[1]


def _by_browser(session: Session, address: str) -> str:
    """The browser signs in and shows a token; it is pasted here."""
    import webbrowser

    page = f"{address}/api/v1/login/oidc?answer=token"
    session.out.complain(f"Sign in at {page} and paste the text of the token that it shows.")
    if sys.stdin.isatty():
        webbrowser.open(page)
    pasted = ask_secret("token")
    found = re.search(r"rkq_[A-Za-z0-9_-]+", pasted)
    return found[0] if found else pasted


def _ask_user() -> str:
    if not sys.stdin.isatty():
        raise InvalidInput("no user was named", hint="Give --user NAME.")
    print("user: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _name_for(address: str, known: dict[str, Profile]) -> str:
    """The profile of that server if there is one, else the name of its host."""
    for name, profile in known.items():
        if profile.url == address:
            return name
    return re.sub(r"[^A-Za-z0-9.-]+", "-", address.partition("://")[2]).strip("-.") or "server"


def _only_project(caller: Caller) -> str:
    return next(iter(caller.roles)) if len(caller.roles) == 1 and not caller.is_admin else ""


def _rights(caller: Caller) -> list[str]:
    if caller.is_admin:
        return ["administrator of the workspace: may do everything, in every project"]
    if not caller.roles:
        return ["member of no project yet: an administrator or manager adds you"]
    width = max(map(len, caller.roles))
    return [f"  {name.ljust(width)}  {role}" for name, role in sorted(caller.roles.items())]


def _record(caller: Caller) -> dict[str, object]:
    return {"user": caller.user, "is_admin": caller.is_admin, "roles": dict(caller.roles), "token": caller.token}
