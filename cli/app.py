"""The tree of commands, and the options that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from cli import audit, login, plan_why, up, upkeep, work
from cli.command import DebugOption, JsonOption, ProfileOption, ProjectOption, WorkspaceOption, command
from cli.session import DEFAULT_URL, Session

__all__ = ["NOUNS", "app", "run_command"]

GUIDE = """raykqi keeps data and its tags, runs plans on them, and knows where everything came from.

Exit codes: 0 done, 1 failed or "no", 2 wrong usage, 3 not there, 4 the state forbids it, 5 another
controller owns the workspace, 6 storage, 7 damaged bytes, 8 not allowed, 9 the server, 130 interrupted.
"""
EXAMPLES = """Start here:

\b
  raykqi up                                        in a terminal of its own
  raykqi plan apply train.yaml
  raykqi data push photos -n -t type:dataset
  raykqi run top
  raykqi lineage show ID
"""

ORDER = ("init", "up", "work", "data", "plan", "run", "serve", "tag", "why", "lineage")
NOUNS = ("data", "plan", "run", "serve", "tag", "lineage", "profile", "project", "user", "token")  # modules of theirs


class _Nouns(TyperGroup):
    """Lists first what one needs first, and makes the commands about a thing when they are asked for."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002
        return list(dict.fromkeys((*ORDER, *self.commands, *NOUNS)))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:  # one that is nowhere may be another that is written wrongly
            for name in (cmd_name,) if cmd_name in NOUNS else NOUNS:
                self.commands[name] = _noun(name)
        return super().get_command(ctx, cmd_name)


def _noun(name: str) -> TyperGroup:
    group = get_group(import_module(f"cli.{name}").app)
    group.name = name
    return group


app = typer.Typer(
    cls=_Nouns,
    help=GUIDE,
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run_command(arguments: Sequence[str]) -> int:
    """What Typer makes of the arguments; errors are for the caller."""
    code = _command().main(args=list(arguments), prog_name="raykqi", standalone_mode=False)
    return code if isinstance(code, int) else 0


@cache
def _command() -> Any:
    return get_command(app)


def _show_version(context: typer.Context, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    import raykqi

    session = Session(json=bool(context.params.get("json")))
    if session.json:
        session.out.json({"version": raykqi.__version__})
    else:
        session.out.line(f"raykqi {raykqi.__version__}")
    raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", "-V", callback=_show_version, help="Show the version and exit.")
]


@app.callback()
def shared(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    debug: DebugOption = False,  # noqa: ARG001
    version: VersionOption = False,  # noqa: ARG001
) -> None:
    context.obj = Session(workspace, json, profile, project)


up.register(app)
work.register(app)
plan_why.register(app)
login.register(app)
audit.register(app)
upkeep.register(app)


@command(
    app,
    "init",
    examples="""
    raykqi init
    raykqi init s3://bucket/lab
    """,
)
def init(
    session: Session,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]", help=f"Where: RAYKQI_WORKSPACE or {DEFAULT_URL} unless given.", show_default=False
        ),
    ] = None,
) -> None:
    """Make an empty workspace."""
    import raykqi

    where = session.where_to_make(url)
    raykqi.init(where)
    with raykqi.open(where) as workspace:
        made = {"url": workspace.url, "id": workspace.id}
    if session.json:
        session.out.json(made)
    else:
        session.out.line(made["url"])
        session.out.note("An empty workspace. Next: raykqi data push FOLDER -n")
