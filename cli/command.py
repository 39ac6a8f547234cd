"""How a function becomes a command: it is given a `Session`, and every command takes the shared options.

`--workspace`, `--profile`, `--project`, `--json` and `--debug` may stand before the command or after it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from cli.completion import complete_data, complete_plan, complete_run
from cli.session import Session

__all__ = [
    "DataId",
    "DataIds",
    "DebugOption",
    "DryRun",
    "JsonOption",
    "PlanName",
    "ProfileOption",
    "ProjectOption",
    "Reason",
    "RunId",
    "RunIds",
    "WorkspaceOption",
    "command",
    "ids_of",
    "noun",
]

P = ParamSpec("P")
SHARED = ("workspace", "json", "profile", "project")

DataId = Annotated[
    str, typer.Argument(metavar="ID", help="An id of data, or the beginning of one.", autocompletion=complete_data)
]
DataIds = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="Ids of data or beginnings of them; `-` reads them from stdin.",
        autocompletion=complete_data,
    ),
]
PlanName = Annotated[
    str,
    typer.Argument(metavar="PLAN", help="An id of a plan, its beginning, or a name.", autocompletion=complete_plan),
]
RunId = Annotated[
    str, typer.Argument(metavar="ID", help="An id of a run, or the beginning of one.", autocompletion=complete_run)
]
RunIds = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="Ids of runs or beginnings of them; `-` reads them from stdin.",
        autocompletion=complete_run,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]
Reason = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why: the lineage keeps it.")]

WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="URL",
        help="A folder, s3://bucket/prefix or the https:// of a server; else RAYKQI_WORKSPACE, the nearest .raykqi, "
        "RAYKQI_URL, a profile, or a server of this machine.",
        show_default=False,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="The server of this profile.", show_default=False),
]
ProjectOption = Annotated[
    str | None,
    typer.Option("--project", metavar="NAME", help="Act in this project; else RAYKQI_PROJECT.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, errors too.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks; RAYKQI_DEBUG=1 does the same.")]


def noun(help_: str) -> typer.Typer:
    """A group of commands about one thing."""
    return typer.Typer(help=help_, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def ids_of(given: Sequence[str]) -> list[str]:
    """Ids as given; `-` stands for the first word of every line of stdin."""
    ids: list[str] = []
    for text in given:
        ids += [words[0] for line in sys.stdin if (words := line.split())] if text == "-" else [text]
    return ids


def command(
    app: typer.Typer, name: str, *, examples: str = ""
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Add the function to `app`; the first line of its docstring is what the list of commands says."""

    def register(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
        act: Callable[..., None] = function

        def run(**given: Any) -> None:
            outer = given.pop("context").obj or Session()
            own = {name: given.pop(name) or getattr(outer, name) for name in SHARED}
            given.pop("debug")
            act(Session(**own), **given)

        run.__name__ = function.__name__
        run.__doc__ = function.__doc__
        own = inspect.signature(function, eval_str=True).parameters.values()
        parameters = [_context(), *list(own)[1:], *_shared_options()]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, epilog=_epilog(examples))(run)
        return function

    return register


def _shared_options() -> list[inspect.Parameter]:
    def option(name: str, annotation: object, default: object) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    return [
        option("workspace", WorkspaceOption, None),
        option("json", JsonOption, False),
        option("profile", ProfileOption, None),
        option("project", ProjectOption, None),
        option("debug", DebugOption, False),
    ]


def _context() -> inspect.Parameter:
    return inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def _epilog(examples: str) -> str | None:
    lines = inspect.cleandoc(examples).splitlines()
    return "\n".join(["Examples:", "", "\b", *(f"  {line}" for line in lines)]) if lines else None
