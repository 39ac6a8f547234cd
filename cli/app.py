"""The tree of commands, and the options that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from cli import (
    audit,
    data,
    lineage,
    login,
    plan,
    plan_why,
    profile,
    project,
    run,
    serve,
    tag,
    token,
    up,
    upkeep,
    user,
    work,
)
from cli.command import DebugOption, JsonOption, ProfileOption, ProjectOption, WorkspaceOption, command
from cli.session import DEFAULT_URL, Session

__all__ = ["app", "run_command"]

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


class _Ordered(TyperGroup):
    """Lists first what one needs first."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002
        return [*ORDER, *(name for name in self.commands if name not in ORDER)]


app = typer.Typer(
    cls=_Ordered,
    help=GUIDE,
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run_command(arguments: Sequence[str]) -> int:
    """What Typer makes of the arguments; errors are for the caller."""
    code = get_command(app).main(args=list(arguments), prog_name="raykqi", standalone_mode=False)
    return code if isinstance(code, int) else 0


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


app.add_typer(data.app, name="data")
app.add_typer(tag.app, name="tag")
app.add_typer(plan.app, name="plan")
app.add_typer(run.app, name="run")
app.add_typer(serve.app, name="serve")
app.add_typer(lineage.app, name="lineage")
up.register(app)
work.register(app)
plan_why.register(app)
login.register(app)
app.add_typer(profile.app, name="profile")
app.add_typer(project.app, name="project")
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
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
