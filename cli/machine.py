"""The options of `raykqi up` and `work` that say on what plans run, and how much of it they may take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.plan_file import parse_pairs
from cli.values import parse_size
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from raykqi.domain.hooks import Hooks
    from raykqi.domain.resources import Resources

__all__ = ["Address", "Cpus", "Gpus", "HooksFile", "Label", "LimitCpus", "LimitGpus", "LimitMemory", "Memory"]
__all__ += ["Resource", "limit_of", "machine_of"]

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


def machine_of(
    cpus: int | None,
    gpus: int | None,
    memory: str,
    resources: list[str] | None,
    labels: list[str] | None,
    hooks: Path | None,
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
        "hooks": _hooks(hooks),
    }


def _hooks(file: Path | None) -> Hooks | None:
    """Read before anything is started for them in vain."""
    if file is None:
        return None
    from raykqi.importers.hooks_file import read_hooks

    return read_hooks(file)


def limit_of(cpus: float | None, gpus: float | None, memory: str) -> Resources | None:
    from raykqi.domain.resources import MOST_BYTES, MOST_THOUSANDTHS, Resources, parse_thousandths

    if cpus is None and gpus is None and not memory:
        return None
    return Resources(
        cpu=MOST_THOUSANDTHS if cpus is None else parse_thousandths("--limit-cpus", cpus),
        memory=parse_size(memory, "--limit-memory") if memory else MOST_BYTES,
        gpu=MOST_THOUSANDTHS if gpus is None else parse_thousandths("--limit-gpus", gpus),
    )
