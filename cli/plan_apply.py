"""`raykqi plan apply`: from now on, data that matches is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import DryRun, command
from cli.output import harmless
from cli.plan_differences import differences
from cli.plan_file import ParamOption, SetOption, parse_pairs, read_drafts
from cli.plan_text import plan_record, show_runs
from cli.run_text import new_run_record, say_if_nobody_serves, show_new_run
from cli.session import Session
from cli.values import show_count
from raykqi.errors import InvalidInput, RaykqiError
from raykqi.rendering.labels import show_size

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.plan import Plan
    from raykqi.importers.draft import Draft

__all__ = ["drafts_of", "register"]


def register(app: typer.Typer) -> None:
    command(
        app,
        "apply",
        examples="""
        raykqi plan apply train.yaml --param epochs=20
        raykqi plan apply pipeline.py
        raykqi plan apply pipeline.py:train --replace
        raykqi plan apply train.yaml --dry-run
        """,
    )(apply)


def apply(
    session: Session,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE[:FUNCTION]",
            help="A plan file, or a Python file and which of its functions, or all; `-` reads a plan from stdin.",
        ),
    ],
    variables: SetOption,
    params: ParamOption,
    replace: Annotated[bool, typer.Option("--replace", help="Switch off earlier plans of the same name.")] = False,
    exist_ok: Annotated[
        bool, typer.Option("--exist-ok", help="The same plan again is no error; its id is printed.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Take up plans; data that is there already and matches is run too. Prints their ids."""
    drafts = drafts_of(file, variables, params)
    for draft in drafts:
        for warning in draft.warnings:
            session.out.complain(harmless(f"warning: {warning}"))
    with session.open() as workspace:
        if dry_run:
            made = {
                draft.definition.title: workspace.preview_apply(draft, replace=replace, exist_ok=exist_ok)
                for draft in drafts
            }
        else:
            plans = _apply_all(session, workspace, drafts, replace=replace, exist_ok=exist_ok)
            for draft, plan in zip(drafts, plans, strict=True):
                for difference in differences(draft.settings, plan):
                    session.out.complain(harmless(f"warning: {plan.title}: {difference}"))
                _note_others(session, workspace, plan)
                if draft.source and not draft.source_files:
                    _note_code(session, workspace, plan)
            say_if_nobody_serves(session, workspace, workspace.runs(plan=plans, status="waiting", limit=1))
    if dry_run:
        if session.json:
            session.out.json(
                [{"title": title, "runs": [new_run_record(run) for run in runs]} for title, runs in made.items()]
            )
            return
        for title, runs in made.items():
            session.out.lines(show_new_run(session, run, {run.plan: title}) for run in runs)
            session.out.note(f"{title} would make {show_count(len(runs), 'run')}; nothing was applied.")
    else:
        _show(session, plans)


def _apply_all(
    session: Session, workspace: AnyWorkspace, drafts: Sequence[Draft], *, replace: bool, exist_ok: bool
) -> list[Plan]:
    """Nothing is applied when one of them, looked at alone, would be refused."""
    if len(drafts) > 1:
        for draft in drafts:
            workspace.preview_apply(draft, replace=replace, exist_ok=exist_ok)
    plans: list[Plan] = []
    for draft in drafts:
        try:
            plans.append(workspace.apply(draft, replace=replace, exist_ok=exist_ok))
        except RaykqiError:
            if plans:
                _show(session, plans)
                done, left = [each.title for each in plans], [each.definition.title for each in drafts[len(plans) :]]
                session.out.complain(harmless(f"applied: {', '.join(done)}; not applied: {', '.join(left)}"))
            raise
    return plans


def _note_others(session: Session, workspace: AnyWorkspace, plan: Plan) -> None:
    """A plan that was mended runs beside the one that it was to mend."""
    if not (name := plan.definition.name):
        return
    for other in workspace.plans(name=name, active=True):
        if other.id != plan.id:
            session.out.complain(
                harmless(f"note: an earlier plan called {name} is active as well: `raykqi plan deactivate {other.id}`")
            )


def _note_code(session: Session, workspace: AnyWorkspace, plan: Plan) -> None:
    """A folder may hold more than was meant."""
    if plan.definition.code and plan.definition.code.data:
        tree = workspace.show(plan.definition.code.data).tree
        session.out.complain(
            harmless(f"note: the code of {plan.title} is {show_count(tree.files, 'file')}, {show_size(tree.size)}")
        )


def _show(session: Session, plans: Sequence[Plan]) -> None:
    if session.json:
        session.out.json([plan_record(plan) for plan in plans])
        return
    for plan in plans:
        session.out.line(plan.id)
        session.out.note(f"{plan.title} is applied; its runs: {show_runs(plan) or 'none yet'}")


def drafts_of(file: str, variables: list[str], params: list[str]) -> tuple[Draft, ...]:
    """`file.py:function` is one function of the file."""
    path, colon, name = file.rpartition(":")
    if not colon or not path.endswith(".py") or Path(file).exists():
        return read_drafts(file, variables, params)
    from raykqi.importers.loading import load_functions

    if variables:
        raise InvalidInput("--set fills in plan files, not Python files", hint="Use --param.")
    functions = {function.name: function for function in load_functions(Path(path))}
    if name not in functions:
        raise InvalidInput(f"{path} has no function {name!r} with @raykqi.plan", hint=f"It has {', '.join(functions)}.")
    return (functions[name].draft(params=parse_pairs(params, "--param")),)
