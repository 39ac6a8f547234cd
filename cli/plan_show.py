"""`raykqi plan show`: everything that is known about one plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import PlanName, command
from cli.output import harmless
from cli.plan_text import plan_record, show_mount, show_runs
from cli.session import Session
from cli.values import show_local

if TYPE_CHECKING:
    from raykqi.domain.plan import Definition, Param, Plan, PlanSettings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(
        app,
        "show",
        examples="""
        raykqi plan show train
        raykqi plan show 01939c1c-7d1e --yaml > train.yaml
        """,
    )(show)


def show(
    session: Session,
    plan: PlanName,
    yaml: Annotated[bool, typer.Option("--yaml", help="As a plan file, with its settings of now.")] = False,
) -> None:
    """Everything that is known about one plan: what it runs on what, its code, its runs."""
    with session.open() as workspace:
        found = workspace.plan(plan)
    if yaml:
        from raykqi.importers.writing import render_plan

        session.out.text(render_plan(found.definition, found.settings))
    elif session.json:
        session.out.json(plan_record(found))
    else:
        facts = [(label, value) for label, value in _facts(found) if value]
        width = max(len(label) for label, _ in facts)
        before = ""
        for label, value in facts:
            shown = session.out.styled(("" if label == before else label).ljust(width), "dim")
            session.out.line(f"{shown}  {harmless(value)}")
            before = label


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    definition, settings = plan.definition, plan.settings
    yield "id", plan.id
    yield "name", definition.name
    yield "state", _state(plan)
    yield "runs", show_runs(plan) or "none yet"
    if plan.backlog:
        yield "backlog", f"more matches are held back: {settings.limits.pending:,} of its runs wait already"
    yield from _what(definition)
    yield from (("input", show_mount(each)) for each in definition.inputs)
    yield from (("output", show_mount(each)) for each in definition.outputs)
    if definition.log is not None:
        yield "log", " ".join(map(str, definition.log)) or "kept without tags"
    yield from (("param", _param(param)) for param in definition.params)
    yield from (("env", f"{name}={value}") for name, value in definition.env.items())
    yield from _rules(definition)
    yield from _settings(settings)
    yield "created", f"{show_local(plan.created, seconds=True)} by {plan.creator}"
    yield "digest", plan.digest
    yield "project", "" if plan.project == "default" else plan.project


def _state(plan: Plan) -> str:
    if not plan.settings.active:
        return "inactive: none of its runs starts"
    return f"active, but held: {plan.held}" if plan.held else "active"


def _what(definition: Definition) -> Iterator[tuple[str, str]]:
    yield "image", definition.image
    yield "function", definition.function
    yield "command", " ".join(definition.command or ())
    yield "entrypoint", " ".join(definition.entrypoint or ())
    yield "args", " ".join(definition.args or ())
    if definition.code:
        source = f"  from {definition.code.source}" if definition.code.source else ""
        yield "code", f"data {definition.code.data or definition.code.tree}{source}"


def _param(param: Param) -> str:
    choices = f" of {', '.join(map(str, param.choices))}" if param.choices else ""
    return f"{param.name} = {param.value} ({param.type}{choices})"


def _rules(definition: Definition) -> Iterator[tuple[str, str]]:
    yield "launcher", "" if definition.function else definition.launcher
    yield "join", ", ".join(definition.join)
    yield "reuse", "yes: the outputs of a run that did the same on the same are taken" if definition.reuse else ""
    yield "priority", str(definition.priority or "")
    yield "timeout", f"{definition.timeout:g} s" if definition.timeout else ""
    yield "retries", f"{definition.retries}, after {definition.backoff:g} s" if definition.retries else ""
    for word in ("must", "prefer", "may"):
        yield "on node", "  ".join(f"{word} {label}" for label in getattr(definition.on_node, word))


def _settings(settings: PlanSettings) -> Iterator[tuple[str, str]]:
    yield "resources", "  ".join(f"{name}={value}" for name, value in settings.resources.shown().items())
    running = f"{settings.limits.running} running" if settings.limits.running else "as many running as fit"
    yield "limits", f"{running}, {settings.limits.pending:,} waiting"
    yield "account", settings.service_account
    yield from (("annotation", f"{key}={value}") for key, value in settings.annotations)
