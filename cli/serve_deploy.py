"""`raykqi serve deploy` and `scale`: make an endpoint or change it, and wait until it answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import command
from cli.completion import complete_data, complete_endpoint, complete_tag
from cli.output import harmless
from cli.plan_file import parse_pairs
from cli.serve_text import EndpointName, endpoint_record
from cli.serve_wait import conclude, wait_until_live
from cli.session import Session
from cli.values import parse_duration
from raykqi.errors import InvalidInput, NotFound, UnknownId

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.endpoint import Endpoint, EndpointSpec

__all__ = ["register"]

STDIN = "-"

Replicas = Annotated[
    str | None,
    typer.Option("--replicas", metavar="N|N-N", help="So many, or between two numbers; 0-2 sleeps when nobody asks."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any value of a spec: limits.timeout=30s, guard.errors=off."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it answers.")]
Timeout = Annotated[str, typer.Option("--timeout", metavar="TIME", help="Give up waiting after so long.")]


def register(app: typer.Typer) -> None:
    command(
        app,
        "deploy",
        examples="""
        raykqi serve deploy digits --data 01939c1c-7d1e
        raykqi serve deploy digits --tags type:model,stage:prod --gate accuracy --canary 0.1
        raykqi serve deploy digits --replicas 0-3 --gpu 0.25 --set limits.timeout=30s
        raykqi serve deploy -f digits.yaml
        """,
    )(deploy)
    command(
        app,
        "scale",
        examples="""
        raykqi serve scale digits 3
        raykqi serve scale digits 0-4 --idle 10m
        """,
    )(scale)


def deploy(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Else the one in the file.", autocompletion=complete_endpoint)
    ] = "",
    data: Annotated[
        str, typer.Option("--data", metavar="ID", help="Serve this model.", autocompletion=complete_data)
    ] = "",
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tags",
            "-t",
            metavar="K:V,K:V",
            help="Serve the newest data with all of them.",
            autocompletion=complete_tag,
        ),
    ] = None,
    file: Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="All that is said; `-` is stdin.")] = "",
    predictor: Annotated[
        str | None, typer.Option("--predictor", metavar="FILE.py:CLASS", help="In the model's data or its plan's code.")
    ] = None,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="TYPE", help="skops may load this type too.")
    ] = None,
    trust_pickle: Annotated[
        bool | None, typer.Option("--trust-pickle/--no-trust-pickle", help="Loading a pickle runs whatever is in it.")
    ] = None,
    provider: Annotated[str | None, typer.Option("--provider", metavar="NAME", help="auto, cpu or cuda.")] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="For the model's process.")
    ] = None,
    replicas: Replicas = None,
    cpu: Annotated[str | None, typer.Option("--cpu", metavar="N", help="Cores of a replica.")] = None,
    gpu: Annotated[str | None, typer.Option("--gpu", metavar="N", help="GPUs of a replica, also parts: 0.25.")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Which a model may not exceed.")
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="N", help="Requests at a time through it.")] = None,
    public: Annotated[bool | None, typer.Option("--public/--private", help="Asked without a token.")] = None,
    gate: Annotated[
        str | None, typer.Option("--gate", metavar="METRIC", help="New models must be better in it; loss:lower.")
    ] = None,
    approver: Annotated[
        list[str] | None, typer.Option("--approver", metavar="USER", help="New models wait for one of them.")
    ] = None,
    canary: Annotated[
        str | None, typer.Option("--canary", metavar="SHARE", help="Of the requests, first: 0.1, or 10%.")
    ] = None,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="SHARE", help="Of requests and answers become data.")
    ] = None,
    surge: Annotated[
        bool | None, typer.Option("--surge/--no-surge", help="Load the new model beside the old one.")
    ] = None,
    changes: Settings = None,
    no_wait: NoWait = False,
    timeout: Timeout = "10m",
) -> None:
    """Serve a model, or say what shall change; what is not said stays as it is, unless a file says all.

    Waits until it answers, or says why it does not and exits with 1.
    """
    wanted = {
        "predictor": predictor,
        "trust": ",".join(trust) if trust else None,
        "trust_pickle": _flag(trust_pickle),
        "provider": provider,
        **{f"environment.{key}": value for key, value in parse_pairs(env or (), "--env").items()},
        **_scale(replicas),
        "resources.cpu": cpu,
        "resources.gpu": gpu,
        "resources.memory": memory,
        "batching.most": batch,
        "public": _flag(public),
        **_gate(gate, approver),
        "canary.share": _share(canary, "--canary"),
        "sampling.share": _share(sample, "--sample"),
        "surge": _flag(surge),
        **parse_pairs(changes or (), "--set"),
    }
    given = {key: value for key, value in wanted.items() if value is not None}
    texts = [text.strip() for each in tags or () for text in each.split(",") if text.strip()]
    seconds = parse_duration(timeout, "--timeout").total_seconds()
    called, base = _from_file(file, name) if file else (name, None)
    if not called:
        raise InvalidInput("no endpoint was named", hint="raykqi serve deploy NAME --tags type:model")
    with session.open() as workspace:
        deployed = workspace.deploy(called, spec=_spec(workspace, called, base, data, texts, given))
        _finish(session, workspace, deployed, no_wait, seconds)


def scale(
    session: Session,
    name: EndpointName,
    replicas: Annotated[str, typer.Argument(metavar="N|N-N", help="Replicas: so many, or between two numbers.")],
    target: Annotated[
        str | None, typer.Option("--target", metavar="N", help="Requests at a time that a replica shall have.")
    ] = None,
    idle: Annotated[
        str | None, typer.Option("--idle", metavar="TIME", help="Without requests, until 0-N has none.")
    ] = None,
) -> None:
    """Change how many replicas it has. With 0 as the least, the first request wakes it."""
    wanted = _scale(replicas) | {"scale.target": target, "scale.idle": idle}
    given = {key: value for key, value in wanted.items() if value is not None}
    with session.open() as workspace:
        changed = workspace.deploy(name, spec=_spec(workspace, name, None, "", [], given, must_be=True))
    if session.json:
        session.out.json(endpoint_record(changed))
    else:
        now = changed.spec.scale
        shown = f"{now.least} to {now.most}" if now.least != now.most else str(now.most)
        session.out.line(f"{changed.name}  {shown} replicas")


def _spec(
    workspace: AnyWorkspace,
    name: str,
    base: EndpointSpec | None,
    data: str,
    tags: list[str],
    changes: dict[str, str],
    *,
    must_be: bool = False,
) -> EndpointSpec:
    """Of the file, else of the endpoint that is there, else as usual; with what was said besides."""
    import msgspec

    from raykqi.domain.endpoint import Binding, EndpointSpec
    from raykqi.domain.tags import parse_tags
    from raykqi.importers.endpoint_file import change_spec

    if base is None:
        try:
            base = workspace.endpoint(name).spec
        except UnknownId:
            if must_be:
                raise
            base = EndpointSpec(Binding())
    if data or tags:
        whole = workspace.resolve_data(data) if data else ""
        base = msgspec.structs.replace(base, binding=Binding(whole, parse_tags(tags)))
    return change_spec(base, changes)


def _from_file(file: str, name: str) -> tuple[str, EndpointSpec]:
    from raykqi.importers.endpoint_file import read_endpoint

    if file == STDIN:
        buffer = getattr(sys.stdin, "buffer", None)
        content = buffer.read() if buffer else sys.stdin.read().encode()
        said, spec = read_endpoint(content, "stdin")
        return name or said, spec
    try:
        said, spec = read_endpoint(Path(file).read_bytes(), file)
    except FileNotFoundError:
        raise NotFound(f"there is no file {file!r}", hint="`raykqi serve spec NAME` prints one.") from None
    except OSError as error:
        raise InvalidInput(f"{file!r} cannot be read: {error.strerror}", hint="Name a file of YAML.") from error
    return name or said, spec


def _finish(session: Session, workspace: AnyWorkspace, deployed: Endpoint, no_wait: bool, seconds: float) -> None:
    if no_wait or deployed.is_paused or not workspace.is_served():
        if session.json:
            session.out.json(endpoint_record(deployed))
            return
        session.out.line(f"{deployed.name}  {_told(deployed)}")
        if not no_wait and not deployed.is_paused:
            session.out.complain("nothing serves endpoints of this workspace now: start `raykqi up`")
        return
    if not session.json and (deployed.coming or not deployed.live):  # else what is concluded says the same
        session.out.at_once(f"{deployed.name}  {_told(deployed)}")
    conclude(session, workspace, wait_until_live(session, workspace, deployed, seconds))


def _told(endpoint: Endpoint) -> str:
    if endpoint.is_paused:
        return f"paused: raykqi serve resume {endpoint.name}"
    if coming := endpoint.coming:
        return harmless(f"revision {coming.number}, data {coming.data}, is {coming.status}")
    if live := endpoint.live:
        return f"revision {live.number}, data {live.data}, is live"
    return "waits for data with its tags"


def _scale(replicas: str | None) -> dict[str, str | None]:
    """`3` or `0-3`."""
    if replicas is None:
        return {}
    least, dash, most = replicas.strip().partition("-")
    return {"scale.least": least, "scale.most": most if dash else max(least, "1", key=len)}


def _gate(gate: str | None, approvers: list[str] | None) -> dict[str, str | None]:
    """`accuracy`, or `loss:lower`."""
    wanted: dict[str, str | None] = {"gate.approvers": ",".join(approvers) if approvers else None}
    if gate is not None:
        metric, colon, goal = gate.rpartition(":") if gate.endswith((":lower", ":higher")) else (gate, "", "")
        wanted |= {"gate.metric": metric, "gate.goal": goal if colon else None}
    return wanted


def _share(text: str | None, option: str) -> str | None:
    """`0.1`, `10%` or `off`."""
    if text is None:
        return None
    said = text.strip()
    if said == "off":
        return "0"
    try:
        return str(float(said.removesuffix("%")) / 100) if said.endswith("%") else str(float(said))
    except ValueError:
        raise InvalidInput(f"{option} {text!r} is no share", hint="Write it like 0.1 or 10%.") from None


def _flag(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"
