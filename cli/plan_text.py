"""Plans as people and scripts read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cli.records import Record, tag_texts
from cli.run_wait import show_counts

if TYPE_CHECKING:
    from raykqi.domain.plan import Plan, PlanInput, PlanOutput

__all__ = ["plan_record", "show_mount", "show_runs", "tags_of"]


def plan_record(plan: Plan) -> Record:
    """`id project name title digest active created creator inputs[]{name path tags[] take} outputs[]{name path
    tags[]} log[] params{} resources{} limits{running pending} service_account annotations[] backlog held runs{}
    definition`.
    """
    definition, settings = plan.definition, plan.settings
    return {
        "id": plan.id,
        "project": plan.project,
        "name": definition.name,
        "title": plan.title,
        "digest": plan.digest,
        "active": settings.active,
        "created": plan.created.isoformat().replace("+00:00", "Z"),
        "creator": plan.creator,
        "inputs": [
            {"name": each.name, "path": each.path, "tags": tags_of(each), "take": each.take}
            for each in definition.inputs
        ],
        "outputs": [{"name": each.name, "path": each.path, "tags": tags_of(each)} for each in definition.outputs],
        "log": None if definition.log is None else tag_texts(definition.log),
        "params": {param.name: param.value for param in definition.params},
        "resources": settings.resources.shown(),
        "limits": {"running": settings.limits.running, "pending": settings.limits.pending},
        "service_account": settings.service_account,
        "annotations": [f"{key}={value}" for key, value in settings.annotations],
        "backlog": plan.backlog,
        "held": plan.held,
        "runs": plan.runs,
        "definition": msgspec.to_builtins(definition),
    }


def show_mount(mount: PlanInput | PlanOutput) -> str:
    take = getattr(mount, "take", "each")
    parts = [mount.name, mount.path, *tags_of(mount), "" if take == "each" else f"(take: {take})"]
    return "  ".join(filter(None, parts))


def tags_of(mount: PlanInput | PlanOutput) -> list[str]:
    """With the system tags that an input may ask for."""
    from raykqi.domain.tags import SYSTEM_ID, SYSTEM_TIMESTAMP, show_instant

    tags = tag_texts(mount.tags)
    if wanted := getattr(mount, "id", ""):
        tags.append(f"{SYSTEM_ID}:{wanted}")
    if moment := getattr(mount, "timestamp", None):
        tags.append(f"{SYSTEM_TIMESTAMP}:{show_instant(moment)}")
    return tags


def show_runs(plan: Plan) -> str:
    return show_counts(plan.runs) if plan.runs else ""
