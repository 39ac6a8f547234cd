"""`raykqi plan run --local`: a plan on folders right here, to try it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.command import command
from cli.output import harmless
from cli.plan_apply import drafts_of
from cli.plan_file import ParamOption, SetOption, parse_pairs
from cli.session import Session
from raykqi.errors import InvalidInput

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(
        app,
        "run",
        examples="""
        raykqi plan run train.yaml --local --input dataset=photos --output model=out --param epochs=1
        raykqi plan run pipeline.py:train --local --input dataset=photos --output model=out
        """,
    )(run)


def run(
    session: Session,
    file: Annotated[
        str, typer.Argument(metavar="FILE[:FUNCTION]", help="A plan file, or a Python file and one of its functions.")
    ],
    variables: SetOption,
    params: ParamOption,
    local: Annotated[bool, typer.Option("--local", help="Here and now; the only way so far.")] = False,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", "-i", metavar="NAME=FOLDER", help="What the input is to be.")
    ] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="NAME=FOLDER", help="Where the output goes.")
    ] = None,
) -> None:
    """Run a plan on folders of this machine. Nothing is stored; exits as its command does."""
    if not local:
        raise InvalidInput(
            "a plan runs by itself when data matches it",
            hint="Give --local to try it on folders here, or apply it: `raykqi plan apply`.",
        )
    drafts = drafts_of(file, variables, params)
    if len(drafts) > 1:
        names = ", ".join(draft.definition.title for draft in drafts)
        raise InvalidInput(f"{file} has several plans: {names}", hint=f"Name one: {file}:{drafts[0].definition.title}.")
    from raykqi.workspace.here import run_draft_here

    def say(piece: bytes) -> None:
        session.out.bytes([piece], at_once=True)

    end = run_draft_here(drafts[0], _folders(inputs, "--input"), _folders(outputs, "--output"), say=say)
    sys.stdout.flush()
    if end.code:
        session.out.complain(harmless(end.message or f"exit {end.code}"))
        raise typer.Exit(end.code)


def _folders(given: list[str] | None, option: str) -> dict[str, Path]:
    return {name: Path(value) for name, value in parse_pairs(given or (), option).items()}
