"""`raykqi serve promote`, `rollback`, `pause`, `resume`, `follow`, `rm` and `token`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import Reason, command
from cli.completion import complete_data
from cli.output import harmless
from cli.serve_text import EndpointName, endpoint_record, next_step, state_of
from cli.session import Session
from cli.token import Lasts, User, show_new_token
from cli.values import parse_duration

if TYPE_CHECKING:
    from raykqi.domain.endpoint import Endpoint

__all__ = ["register"]

Why = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why: its history keeps it.")]


def register(app: typer.Typer) -> None:
    command(app, "promote", examples="raykqi serve promote digits\nraykqi serve promote digits 7")(promote)
    command(
        app,
        "rollback",
        examples="""
        raykqi serve rollback digits
        raykqi serve rollback digits 01939c1c-7d1e --reason 'wrong on sevens'
        """,
    )(rollback)
    command(app, "pause", examples="raykqi serve pause digits --reason 'bad training data'")(pause)
    command(app, "resume", examples="raykqi serve resume digits")(resume)
    command(app, "follow", examples="raykqi serve follow digits")(follow)
    command(app, "rm", examples="raykqi serve rm digits --reason 'replaced by digits-2'")(remove)
    command(
        app,
        "token",
        examples="""
        raykqi serve token digits
        raykqi serve token digits --name shop --for 365d
        """,
    )(token)


def promote(
    session: Session,
    name: EndpointName,
    revision: Annotated[
        int, typer.Argument(metavar="REVISION", help="Else the one on its way, or the newest.", show_default=False)
    ] = 0,
) -> None:
    """Approve a revision that waits, make a canary live, or bring one back."""
    with session.open() as workspace:
        changed = workspace.promote(name, revision)
    _show(session, changed)


def rollback(
    session: Session,
    name: EndpointName,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Which it served before; else the one before.", autocompletion=complete_data
        ),
    ] = "",
    reason: Why = "",
) -> None:
    """Serve an earlier model again, and follow its tags no more until `raykqi serve follow`."""
    with session.open() as workspace:
        changed = workspace.rollback(name, data or None, reason)
    _show(session, changed)


def pause(session: Session, name: EndpointName, reason: Why = "") -> None:
    """Take it off: requests are told 503 and why. It stays as it is, and its models are kept."""
    with session.open() as workspace:
        changed = workspace.pause(name, reason)
    _show(session, changed)


def resume(session: Session, name: EndpointName) -> None:
    """Let it answer again."""
    with session.open() as workspace:
        changed = workspace.resume(name)
    _show(session, changed)


def follow(session: Session, name: EndpointName) -> None:
    """Follow its tags again, after a rollback: the newest match is taken up at once."""
    with session.open() as workspace:
        changed = workspace.follow_tags(name)
    _show(session, changed)


def remove(session: Session, name: EndpointName, reason: Reason = "") -> None:
    """Take it away, with its tokens. What it served stays in the lineage; its models are data and stay."""
    with session.open() as workspace:
        workspace.remove_endpoint(name, reason)
    if session.json:
        session.out.json({"name": name, "removed": True})
    else:
        session.out.line(f"{name} is removed.")


def token(
    session: Session,
    name: EndpointName,
    called: Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is for.")] = "",
    lasts: Lasts = "90d",
    user: User = "",
) -> None:
    """Make a token that may ask it and do nothing else, and print it: this once, since nobody keeps it."""
    length = parse_duration(lasts, "--for")
    with session.open() as workspace:
        made, text = workspace.issue_token(called or f"asks {name}", user=user, endpoint=name, expires_in=length)
    show_new_token(session, made, text)


def _show(session: Session, endpoint: Endpoint) -> None:
    if session.json:
        session.out.json(endpoint_record(endpoint))
        return
    serving = endpoint.coming or endpoint.live
    shown = f"  revision {serving.number}, data {serving.data}, is {serving.status}" if serving else ""
    session.out.line(harmless(f"{endpoint.name}  {state_of(endpoint)}{shown}"))
    session.out.note(f"Next: {next_step(endpoint)}")
