"""`raykqi up`: the HTTP API, and whatever runs plans, for as long as it is wanted."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import command
from cli.live import LiveLine
from cli.machine import (
    Address,
    Cpus,
    Gpus,
    HooksFile,
    Label,
    LimitCpus,
    LimitGpus,
    LimitMemory,
    Memory,
    Resource,
    limit_of,
    machine_of,
)
from cli.run_news import RunNews
from cli.server_record import server_record
from cli.session import Session
from cli.values import show_count
from raykqi.errors import InvalidInput, WorkspaceMissing

if TYPE_CHECKING:
    from raykqi.domain.resources import Resources
    from raykqi.workspace import Workspace
    from raykqi.workspace.hosting import ApiPlace, Hosting
    from raykqi.workspace.serving import Serving

__all__ = ["register"]

STOP, CHANGED, NOTHING = "stop", "changed", ""
PAUSE = 1.0  # seconds between two looks at what has changed
EACH = 5.0  # seconds between two looks whether what runs plans is still well
USUAL_PORT = 8000


def register(app: typer.Typer) -> None:
    command(
        app,
        "up",
        examples="""
        raykqi up
        raykqi up --gpus 2 --label zone=lab --limit-cpus 6
        raykqi up --host 0.0.0.0 --tls-cert lab.pem --tls-key lab.key
        raykqi up --address auto --detach
        raykqi up --address auto --stop
        """,
    )(up)


def up(
    session: Session,
    address: Address = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = "",
    resource: Resource = None,
    label: Label = None,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Where the API listens.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", "-p", metavar="N", help="Of the API: 8000 if it is free; 0 takes any.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="For https.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="For https.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in without https, as behind a proxy that encrypts.")
    ] = False,
    replicas: Annotated[int, typer.Option("--replicas", metavar="N", min=1, help="Processes that answer for it.")] = 1,
    no_api: Annotated[bool, typer.Option("--no-api", help="Only run plans.")] = False,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Without the dashboard of Ray.")] = False,
    limit_cpus: LimitCpus = None,
    limit_gpus: LimitGpus = None,
    limit_memory: LimitMemory = "",
    hooks: HooksFile = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave what runs plans on the cluster at --address, and return.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End what --detach began at --address.")] = False,
) -> None:
    """Serve the HTTP API and run plans, here or on a cluster, until Ctrl-C. Makes the workspace if there is none."""
    limit = limit_of(limit_cpus, limit_gpus, limit_memory)
    machine = machine_of(cpus, gpus, memory, resource, label, hooks)
    if detach or stop:
        _at_a_distance(session, address, limit, machine["hooks"], stop=stop)
        return
    place = None if no_api else _place(host, port, tls_cert, tls_key, insecure, replicas)
    options = machine | {"address": address, "dashboard": not no_dashboard, "limit": limit}
    with _opened_or_made(session) as workspace, LiveLine() as line, ExitStack() as undo:
        news = RunNews(session, workspace, line)
        changes: queue.SimpleQueue[str] = queue.SimpleQueue()
        _say_what_begins(session, line, address)
        served: Serving | Hosting
        if place is None:
            served = undo.enter_context(workspace.serving(**options))
            facts: dict[str, Any] = {}
        else:
            facts = _hosted(undo, workspace, place, options)
            served = facts.pop("served")
        undo.enter_context(_until_signalled(lambda: changes.put(STOP)))
        line.clear()
        _announce(session, workspace, served, facts, wanted=port)
        with workspace.watching(lambda: changes.put(CHANGED)):
            _follow(changes, news.look, served.check)
        line.clear()
        _farewell(session, served)


def _place(host: str, port: int | None, cert: Path | None, key: Path | None, insecure: bool, replicas: int) -> ApiPlace:
    from raykqi.workspace.hosting import ApiPlace

    return ApiPlace(host, port, cert, key, insecure, replicas)


def _hosted(undo: ExitStack, workspace: Workspace, place: ApiPlace, options: dict[str, Any]) -> dict[str, Any]:
    """With a token for whoever began it, which others of this person's programs find."""
    from raykqi.workspace.local_token import local_token

    hosting = undo.enter_context(workspace.hosting(place, **options))
    token = undo.enter_context(local_token(workspace))
    undo.enter_context(server_record(hosting.url, token, workspace.id))
    return {"served": hosting, "api": hosting.url, "api_token": token}


def _at_a_distance(session: Session, address: str | None, limit: Resources | None, hooks: Any, *, stop: bool) -> None:
    if address is None:
        raise InvalidInput(
            f"--{'stop' if stop else 'detach'} needs a cluster", hint="Give its --address; without one, Ctrl-C ends it."
        )
    with _opened_or_made(session) as workspace:
        if stop:
            name = workspace.stop_detached(address=address)
        else:
            name = workspace.serve_detached(address=address, limit=limit, hooks=hooks)
        url = workspace.url
    if session.json:
        session.out.json({"workspace": url, "controller": name, "running": not stop})
    elif stop:
        session.out.line(f"{name} has ended; what runs goes on, and the next `raykqi up` takes it over.")
    else:
        session.out.line(f"{name} runs the plans of {url}. `raykqi up --address {address} --stop` ends it.")


@contextmanager
def _opened_or_made(session: Session) -> Iterator[Workspace]:
    import raykqi

    try:
        opened = session.open_here()
    except WorkspaceMissing:
        where = session.where_to_make()
        raykqi.init(where)
        session.out.complain(f"Made an empty workspace: {where}")
        opened = raykqi.open(where)
    with opened as workspace:
        yield workspace


def _say_what_begins(session: Session, line: LiveLine, address: str | None) -> None:
    """It takes half a minute, also where only a file sees it."""
    what = "starting Ray" if address is None else f"joining the Ray at {address}"
    line.show(what)
    if not line.is_seen and not session.json:
        session.out.complain(f"{what[0].upper()}{what[1:]}; this may take half a minute.")


def _announce(
    session: Session, workspace: Workspace, served: Serving | Hosting, api: dict[str, str], *, wanted: int | None
) -> None:
    if session.json:
        facts = {"workspace": workspace.url, "ray": served.address, "own_ray": served.is_own}
        session.out.json_line(facts | {"dashboard": served.dashboard, "token": served.token} | api)
        return
    say = session.out.at_once
    say(f"workspace  {workspace.url}")
    say(f"ray        {served.address}{'' if served.is_own else ' (joined)'}")
    if served.dashboard:
        say(f"dashboard  {served.dashboard}")
    if served.dashboard and served.token:
        say(f"token      {served.token}  (the dashboard asks for it once)")
    if api:
        if wanted is None and not api["api"].endswith(f":{USUAL_PORT}"):
            session.out.complain(f"Port {USUAL_PORT} is taken; the API has another one.")
        say(f"api        {api['api']}/?token={api['api_token']}")
    say("Runs plans now; Ctrl-C ends it.")


def _farewell(session: Session, served: Serving | Hosting) -> None:
    running = served.running
    if session.json or not running:
        return
    what = show_count(running, "run")
    going_on = f"{what} {'goes' if running == 1 else 'go'} on without us."
    session.out.at_once(f"{what} will wait again." if served.is_own else going_on)


@contextmanager
def _until_signalled(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks to stop; the next one ends this process at once."""

    def first(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, first)
    yield


def _follow(changes: queue.SimpleQueue[str], look: Callable[[], None], check: Callable[[], None]) -> None:
    """Until it shall stop, or `check` raises."""
    while (told := _next(changes, EACH)) != STOP:
        if told == CHANGED:
            look()
            _pause(changes)
        check()


def _pause(changes: queue.SimpleQueue[str]) -> None:
    """A look costs as much as a commit, and there may be hundreds of those in a second. A stop is not kept waiting."""
    until, told = time.monotonic() + PAUSE, NOTHING
    while told != STOP and (left := until - time.monotonic()) > 0:
        told = _next(changes, left) or told
    if told:
        changes.put(told)


def _next(changes: queue.SimpleQueue[str], longest: float) -> str:
    """What is to be done; many changes in a row count once."""
    try:
        told = changes.get(timeout=longest)
    except queue.Empty:
        return NOTHING
    while told != STOP and not changes.empty():
        told = changes.get()
    return told
