"""What the shell offers when Tab is pressed: ids and tags of the workspace, or nothing. Never an error."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cli.session import AnyWorkspace

__all__ = ["complete_data", "complete_endpoint", "complete_plan", "complete_run", "complete_tag", "complete_tag_key"]

Offer = tuple[str, str]
MOST = 50
RECENT = 1_000


def complete_data(context: typer.Context, incomplete: str) -> list[Offer]:
    """Newest first; what the id stands for is shown beside it where the shell can."""

    def ask(workspace: AnyWorkspace) -> list[Offer]:
        found = workspace.find(id=incomplete, limit=MOST)
        return [(data.id, data.name or " ".join(map(str, data.tags[:3]))) for data in found]

    return _offer(context, ask)


def complete_run(context: typer.Context, incomplete: str) -> list[Offer]:
    """Of the newest runs."""

    def ask(workspace: AnyWorkspace) -> list[Offer]:
        found = [run for run in workspace.runs(limit=RECENT) if run.id.startswith(incomplete)]
        return [(run.id, f"{run.title} {run.status}") for run in found[:MOST]]

    return _offer(context, ask)


def complete_plan(context: typer.Context, incomplete: str) -> list[Offer]:
    """Names and ids, newest first."""

    def ask(workspace: AnyWorkspace) -> list[Offer]:
        offers: list[Offer] = []
        for plan in workspace.plans(limit=RECENT):
            named = plan.definition.name or plan.id
            offers += [(text, plan.title) for text in (named, plan.id) if text.startswith(incomplete)][:1]
        return offers[:MOST]

    return _offer(context, ask)


def complete_endpoint(context: typer.Context, incomplete: str) -> list[Offer]:
    def ask(workspace: AnyWorkspace) -> list[Offer]:
        found = [each for each in workspace.endpoints(limit=RECENT) if each.name.startswith(incomplete)]
        return [(each.name, each.live.data if each.live else each.reason) for each in found[:MOST]]

    return _offer(context, ask)


def complete_tag(context: typer.Context, incomplete: str) -> list[Offer]:
    """Whole tags that begin so, most used first."""
    negation = "!" if incomplete.startswith("!") else ""

    def ask(workspace: AnyWorkspace) -> list[Offer]:
        counted = workspace.tags(prefix=incomplete.removeprefix("!"), limit=MOST)
        return [(f"{negation}{tag.key}:{tag.value}", f"on {tag.count}") for tag in counted]

    return _offer(context, ask)


def complete_tag_key(context: typer.Context, incomplete: str) -> list[Offer]:
    def ask(workspace: AnyWorkspace) -> list[Offer]:
        counts: dict[str, int] = {}
        for tag in workspace.tags(prefix=incomplete):
            counts[tag.key] = counts.get(tag.key, 0) + tag.count
        return [(key, f"{count} tags") for key, count in counts.items()]

    return _offer(context, ask)


def _offer(context: typer.Context, ask: Callable[[AnyWorkspace], list[Offer]]) -> list[Offer]:
    from cli.session import Session

    logging.disable()
    try:
        workspace, profile, project = (_given(context, name) for name in ("workspace", "profile", "project"))
        with Session(workspace, profile=profile, project=project).open() as opened:
            return ask(opened)
    except Exception:
        return []
    finally:
        logging.disable(logging.NOTSET)


def _given(context: typer.Context, option: str) -> str | None:
    """Before the command or after it."""
    found: str | None = context.params.get(option) or context.find_root().params.get(option)
    return found
