"""What of a plan may change: activity, resources, limits, annotations, service account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import PlanName, command
from cli.output import harmless
from cli.plan_file import parse_pairs
from cli.plan_text import plan_record, show_runs
from cli.run_text import say_if_nobody_serves
from cli.session import Session
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from raykqi.domain.plan import Plan

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(app, "activate", examples="raykqi plan activate train")(activate)
    command(app, "deactivate", examples="raykqi plan deactivate train")(deactivate)
    command(app, "resources", examples="raykqi plan resources train --set gpu=1 --set memory=8Gi --unset fpga")(
        resources
    )
    command(app, "limits", examples="raykqi plan limits train --running 2 --pending 1000")(limits)
    command(app, "annotate", examples="raykqi plan annotate train --add owner=mika --remove-key draft")(annotate)
    command(app, "serviceaccount", examples="raykqi plan serviceaccount train trainer")(service_account)


def activate(session: Session, plan: PlanName) -> None:
    """Let its runs start, and those that were held back."""
    with session.open() as workspace:
        changed = workspace.activate(plan)
        say_if_nobody_serves(session, workspace, workspace.runs(plan=changed, status="waiting", limit=1))
    _show(session, changed, f"active; its runs: {show_runs(changed) or 'none yet'}")


def deactivate(session: Session, plan: PlanName) -> None:
    """Let none of its runs start; those that have begun go on, and new matches are kept for later."""
    with session.open() as workspace:
        changed = workspace.deactivate(plan)
    _show(session, changed, f"inactive; its runs: {show_runs(changed) or 'none yet'}")


def resources(
    session: Session,
    plan: PlanName,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=N", help="cpu=2, memory=8Gi, gpu=0.5, accelerator=A100.")
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="NAME", help="Back to its default, or not at all.")
    ] = None,
) -> None:
    """Change what its runs ask for, from the next that starts on."""
    wanted: dict[str, object] = dict(parse_pairs(given or (), "--set"))
    for name in unset or ():
        if name in wanted:
            raise InvalidInput(f"{name!r} is both set and unset", hint="Keep one of them.")
        wanted[name] = None
    if not wanted:
        raise InvalidInput("no change of resources was asked for", hint="Give --set NAME=N or --unset NAME.")
    with session.open() as workspace:
        changed = workspace.change_resources(plan, wanted)
    _show(session, changed, "  ".join(f"{name}={value}" for name, value in changed.settings.resources.shown().items()))


def limits(
    session: Session,
    plan: PlanName,
    running: Annotated[
        int | None, typer.Option("--running", metavar="N", help="At most so many at a time; 0 for as many as fit.")
    ] = None,
    pending: Annotated[
        int | None, typer.Option("--pending", metavar="N", help="At most so many wait; more matches are held back.")
    ] = None,
) -> None:
    """Change how many of its runs may be under way, and how many may wait."""
    if running is None and pending is None:
        raise InvalidInput("no change of limits was asked for", hint="Give --running N or --pending N.")
    with session.open() as workspace:
        changed = workspace.change_limits(plan, running=running, pending=pending)
    now = changed.settings.limits
    _show(session, changed, f"{now.running or 'as many as fit'} running, {now.pending:,} waiting")


def annotate(
    session: Session,
    plan: PlanName,
    add: Annotated[list[str] | None, typer.Option("--add", "-a", metavar="K=V", help="Add it.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", "-r", metavar="K=V", help="Take it off.")] = None,
    remove_keys: Annotated[
        list[str] | None, typer.Option("--remove-key", metavar="K", help="Take off all with this key.")
    ] = None,
) -> None:
    """Change its annotations: first take off, then add."""
    if not (add or remove or remove_keys):
        raise InvalidInput(
            "no change of annotations was asked for", hint="Give --add K=V, --remove K=V or --remove-key K."
        )
    with session.open() as workspace:
        changed = workspace.annotate(plan, add=add or (), remove=remove or (), remove_keys=remove_keys or ())
    _show(session, changed, "  ".join(f"{key}={value}" for key, value in changed.settings.annotations))


def service_account(
    session: Session,
    plan: PlanName,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="None takes it off.", show_default=False)] = "",
) -> None:
    """Change as whom its runs act on Kubernetes, from the next that starts on."""
    with session.open() as workspace:
        changed = workspace.change_service_account(plan, name)
    _show(session, changed, changed.settings.service_account)


def _show(session: Session, plan: Plan, now: str) -> None:
    if session.json:
        session.out.json(plan_record(plan))
    else:
        session.out.line(f"{plan.id}  {harmless(now)}".rstrip())
