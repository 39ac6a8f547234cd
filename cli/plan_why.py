"""`raykqi why`: whether a plan takes data, and if not, what is missing."""

from __future__ import annotations

import msgspec
import typer

from cli.command import DataId, PlanName, command
from cli.output import harmless
from cli.records import tag_texts
from cli.session import Session
from cli.values import show_count

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(app, "why", examples="raykqi why train 01939c1c-7d1e")(why)


def why(session: Session, plan: PlanName, data: DataId) -> None:
    """Say whether a plan takes data, in which runs, and if not, what is missing. Exits with 1 when it does not."""
    with session.open() as workspace:
        found = workspace.why(plan, data)
    if session.json:
        inputs = [msgspec.to_builtins(each) | {"missing": tag_texts(each.missing)} for each in found.inputs]
        session.out.json(msgspec.to_builtins(found) | {"inputs": inputs})
    else:
        session.out.line(harmless(found.text))
        for given in found.inputs:
            if given.is_match:
                words = "takes it"
            elif given.missing:
                words = f"wants {' '.join(map(str, given.missing))} too"
            else:
                words = given.reason or "does not take it"
            others = f"  ({show_count(given.others, 'other')} there)" if given.others > 0 else ""
            session.out.line(f"  {harmless(given.name)}  {harmless(words)}{others}")
        session.out.lines(f"  run {run}" for run in found.runs)
    if not found.is_match:
        raise typer.Exit(1)
