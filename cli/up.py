"""`raykqi up` and `work`: whatever runs plans, for as long as it is wanted or until nothing is left."""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import command
from cli.live import LiveLine
from cli.plan_file import parse_pairs
from cli.run_news import RunNews
from cli.run_text import remark_of
from cli.session import Session
from cli.values import parse_duration, parse_size, show_count
from raykqi.errors import InvalidInput, WorkspaceMissing

if TYPE_CHECKING:
    from raykqi.domain.hooks import Hooks
    from raykqi.domain.resources import Resources
    from raykqi.domain.run import Run
    from raykqi.workspace import Workspace
    from raykqi.workspace.serving import Serving

__all__ = ["register"]

STOP, CHANGED, NOTHING = "stop", "changed", ""
EACH = 5.0  # seconds between two looks whether what runs plans is still well
WAITING_SHOWN = 10

Address = Annotated[
    str | None,
    typer.Option("--address", "-a", metavar="HOST:PORT", help="Join this Ray, or the one that `auto` finds."),
]
Cpus = Annotated[int | None, typer.Option("--cpus", metavar="N", min=1, help="Of this machine; all unless given.")]
Gpus = Annotated[int | None, typer.Option("--gpus", metavar="N", min=0, help="Of this machine; all unless given.")]
Memory = Annotated[str, typer.Option("--memory", metavar="SIZE", help="Of this machine, as in 8GiB.")]
Resource = Annotated[
    list[str] | None, typer.Option("--resource", metavar="NAME=N", help="Something else that runs may ask for.")
]
Label = Annotated[
    list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label of this machine, for `on_node`.")
]
LimitCpus = Annotated[float | None, typer.Option("--limit-cpus", metavar="N", help="Runs take at most so many CPUs.")]
LimitGpus = Annotated[float | None, typer.Option("--limit-gpus", metavar="N", help="Runs take at most so many GPUs.")]
LimitMemory = Annotated[str, typer.Option("--limit-memory", metavar="SIZE", help="Runs take at most so much memory.")]
HooksFile = Annotated[
    Path | None,
    typer.Option("--hooks", metavar="FILE", help="Ask and tell the URLs in this file (YAML) when runs go on."),
]


def register(app: typer.Typer) -> None:
    command(
        app,
        "up",
        examples="""
        raykqi up
        raykqi up --gpus 2 --label zone=lab --limit-cpus 6
        raykqi up --address auto --detach
        raykqi up --address auto --stop
        """,
    )(up)
    command(app, "work", examples="raykqi work\nraykqi work --timeout 30m && raykqi data find -t type:model")(work)


def up(
    session: Session,
    address: Address = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = "",
    resource: Resource = None,
    label: Label = None,
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
    """Run plans from now on, here or on a cluster, until Ctrl-C. Makes the workspace if there is none."""
    limit = _limit(limit_cpus, limit_gpus, limit_memory)
    machine = _machine(cpus, gpus, memory, resource, label) | {"hooks": _hooks(hooks)}
    if detach or stop:
        if hooks:
            where = "--hooks is for a `raykqi up` that stays, not for --detach or --stop"
            raise InvalidInput(where, hint="Run it on a machine of the cluster, without --detach.")
        _at_a_distance(session, address, limit, stop=stop)
        return
    with _opened_or_made(session) as workspace, LiveLine() as line:
        news = RunNews(session, workspace, line)
        changes: queue.SimpleQueue[str] = queue.SimpleQueue()
        line.show("starting Ray" if address is None else f"joining the Ray at {address}")
        serving = workspace.serving(address=address, dashboard=not no_dashboard, limit=limit, **machine)
        with serving as served, _until_signalled(lambda: changes.put(STOP)):
            line.clear()
            _announce(session, workspace, served)
            with workspace.watching(lambda: changes.put(CHANGED)):
                _follow(changes, news.look, served.check)
            line.clear()
            _farewell(session, served)


def work(
    session: Session,
    address: Address = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = "",
    resource: Resource = None,
    label: Label = None,
    limit_cpus: LimitCpus = None,
    limit_gpus: LimitGpus = None,
    limit_memory: LimitMemory = "",
    hooks: HooksFile = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="Give up after so long: 90s, 2h.")] = "",
) -> None:
    """Run what waits and what comes of it, then end.

    Exits with 0 when everything that could run ended well, with 1 when a run failed or the time was over.
    """
    seconds = parse_duration(timeout, "--timeout").total_seconds() if timeout else None
    machine = _machine(cpus, gpus, memory, resource, label) | {"hooks": _hooks(hooks)}
    limit = _limit(limit_cpus, limit_gpus, limit_memory)
    with session.open_here() as workspace, LiveLine() as line:
        news = RunNews(session, workspace, line)
        line.show("starting Ray" if address is None else f"joining the Ray at {address}")
        with workspace.serving(address=address, limit=limit, **machine) as served:
            is_done = served.drain(seconds, tick=news.look)
        news.look()
        line.clear()
        left = workspace.runs(status="waiting", oldest_first=True)
    _conclude(session, news, left, is_late=not is_done)


def _conclude(session: Session, news: RunNews, left: list[Run], *, is_late: bool) -> None:
    done, failed = news.counts["done"], news.counts["failed"]
    if session.json:
        session.out.json_line({"done": done, "failed": failed, "waiting": len(left), "timed_out": is_late})
    else:
        session.out.line(f"{show_count(done, 'run')} done, {failed:,} failed, {len(left):,} waiting.")
        for run in left[:WAITING_SHOWN]:
            session.out.line(f"  {run.id}  {run.title} waits: {remark_of(run)}")
        if len(left) > WAITING_SHOWN:
            session.out.line(f"  and {len(left) - WAITING_SHOWN:,} more: raykqi run find --status waiting")
        if is_late:
            session.out.complain("the time was over before all had ended; what ran waits again")
    if failed or is_late:
        raise typer.Exit(1)


def _at_a_distance(session: Session, address: str | None, limit: Resources | None, *, stop: bool) -> None:
    if address is None:
        raise InvalidInput(
            f"--{'stop' if stop else 'detach'} needs a cluster", hint="Give its --address; without one, Ctrl-C ends it."
        )
    with _opened_or_made(session) as workspace:
        if stop:
            name = workspace.stop_detached(address=address)
        else:
            name = workspace.serve_detached(address=address, limit=limit)
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


def _announce(session: Session, workspace: Workspace, served: Serving) -> None:
    if session.json:
        facts = {"workspace": workspace.url, "ray": served.address, "own_ray": served.is_own}
        session.out.json_line(facts | {"dashboard": served.dashboard, "token": served.token})
        return
    session.out.at_once(f"workspace  {workspace.url}")
    session.out.at_once(f"ray        {served.address}{'' if served.is_own else ' (joined)'}")
    if served.dashboard:
        session.out.at_once(f"dashboard  {served.dashboard}")
    if served.dashboard and served.token:
        session.out.at_once(f"token      {served.token}  (the dashboard asks for it once)")
    session.out.at_once("Runs plans now; Ctrl-C ends it.")


def _farewell(session: Session, served: Serving) -> None:
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
    """Until it shall stop, or `check` raises. Changes may come faster than it would be looked for without them."""
    while (told := _next(changes)) != STOP:
        if told == CHANGED:
            look()
        check()


def _next(changes: queue.SimpleQueue[str]) -> str:
    """What is to be done; many changes in a row count once."""
    try:
        told = changes.get(timeout=EACH)
    except queue.Empty:
        return NOTHING
    while told != STOP and not changes.empty():
        told = changes.get()
    return told


def _machine(
    cpus: int | None, gpus: int | None, memory: str, resources: list[str] | None, labels: list[str] | None
) -> dict[str, Any]:
    amounts: dict[str, float] = {}
    for name, value in parse_pairs(resources or (), "--resource").items():
        try:
            amounts[name] = float(value)
        except ValueError:
            raise InvalidInput(
                f"--resource {name}={value!r} is not a number", hint="As in --resource fpga=2."
            ) from None
    return {
        "cpus": cpus,
        "gpus": gpus,
        "memory": parse_size(memory, "--memory") if memory else None,
        "resources": amounts or None,
        "labels": parse_pairs(labels or (), "--label") or None,
    }


def _hooks(file: Path | None) -> Hooks | None:
    """Read before anything is started for them in vain."""
    if file is None:
        return None
    from raykqi.importers.hooks_file import read_hooks

    return read_hooks(file)


def _limit(cpus: float | None, gpus: float | None, memory: str) -> Resources | None:
    from raykqi.domain.resources import MOST_BYTES, MOST_THOUSANDTHS, Resources, parse_thousandths

    if cpus is None and gpus is None and not memory:
        return None
    return Resources(
        cpu=MOST_THOUSANDTHS if cpus is None else parse_thousandths("--limit-cpus", cpus),
        memory=parse_size(memory, "--limit-memory") if memory else MOST_BYTES,
        gpu=MOST_THOUSANDTHS if gpus is None else parse_thousandths("--limit-gpus", gpus),
    )
