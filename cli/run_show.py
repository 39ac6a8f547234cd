"""`raykqi run show`: everything that is known about one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from cli.command import RunId, command
from cli.output import harmless
from cli.run_text import STATUS_STYLES, cause_of, run_record, say_if_nobody_serves, time_of
from cli.session import Session
from cli.values import show_duration, show_local, show_size
from raykqi.domain.run import ENDED

if TYPE_CHECKING:
    from raykqi.domain.beat import Beat
    from raykqi.domain.run import Exit, Run, Usage

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(app, "show", examples="raykqi run show 01939c1c-7d1e\nraykqi run show 01939c1c-7d1e --json")(show)


def show(session: Session, run: RunId) -> None:
    """Everything that is known about one run: its data, how far it is, why it waits, what it took."""
    with session.open() as workspace:
        found = workspace.run(run)
        beat = workspace.beat(found) if found.status not in ENDED else None
        say_if_nobody_serves(session, workspace, [found])
    if session.json:
        doing = {"phase": beat.phase, "progress": beat.progress, "text": beat.text} if beat else None
        session.out.json(run_record(found) | {"doing": doing})
        return
    facts = [(label, value) for label, value in _facts(found, beat) if value]
    width = max(len(label) for label, _ in facts)
    before = ""
    for label, value in facts:
        shown = session.out.styled(("" if label == before else label).ljust(width), "dim")
        style = STATUS_STYLES.get(found.status, "") if label == "status" else ""
        session.out.line(f"{shown}  {session.out.styled(harmless(value), style)}")
        before = label


def _facts(run: Run, beat: Beat | None) -> Iterator[tuple[str, str]]:
    took = time_of(run)
    yield "id", run.id
    yield "plan", f"{run.title}  {run.plan}" if run.title != run.plan else run.plan
    yield "status", run.status
    if run.status in ("waiting", "deactivated"):
        yield "why", run.reason or ("its plan is not active" if run.status == "deactivated" else "")
    elif run.reason:
        yield "why", run.reason
    if run.cause:
        yield "because", cause_of(run.cause)
    yield from (("inputs", "  ".join(filter(None, [each.name, each.data, each.path]))) for each in run.inputs)
    yield from (("outputs", "  ".join(filter(None, [each.name, each.data, each.path]))) for each in run.outputs)
    if run.reused_from:
        yield "reused", f"the outputs of run {run.reused_from}"
    yield "attempt", f"{run.attempt}{f' on {run.node}' if run.node else ''}" if run.attempt else ""
    yield "doing", _doing(beat) if beat else ""
    yield "created", f"{show_local(run.created, seconds=True)} by {run.creator}"
    yield "started", show_local(run.started, seconds=True) if run.started else ""
    yield "ended", show_local(run.ended, seconds=True) if run.ended else ""
    yield "took", "" if took is None else show_duration(took) if took >= 1 else f"{took:.3f} s"
    yield "exit", _exit(run.exit) if run.exit else ""
    yield "usage", _usage(run.usage) if run.usage else _usage(beat.usage) if beat else ""
    yield "project", "" if run.project == "default" else run.project


def _doing(beat: Beat) -> str:
    share = "" if beat.progress is None else f"{beat.progress:.0%}"
    return "  ".join(filter(None, [beat.phase, share, beat.text]))


def _exit(exit_: Exit) -> str:
    return f"{exit_.code}: {exit_.message}" if exit_.message else f"{exit_.code}"


def _usage(usage: Usage) -> str:
    parts = [f"{usage.cpu:.1f} s of CPU in {usage.wall:.1f} s", f"{show_size(usage.memory)} of memory"]
    if usage.gpu or usage.gpu_memory:
        parts.append(f"{usage.gpu:.1f} s of GPU, {show_size(usage.gpu_memory)} of its memory")
    return ", ".join(parts)
