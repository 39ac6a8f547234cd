"""Projects, users, tokens and deeds as scripts read them, and the options that say how much is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cli.records import Record
from cli.values import parse_size, show_size
from raykqi.domain.resources import parse_thousandths, show_thousandths

if TYPE_CHECKING:
    from raykqi.domain.access import Project, Quota

__all__ = ["amounts", "change_quota", "project_record", "quota_record", "show_quota"]

WITHOUT_LIMIT = ("none", "no", "unlimited")


def project_record(project: Project) -> Record:
    """`name title quota{cpu memory gpu running storage} created creator`."""
    record: Record = msgspec.to_builtins(project)
    return record | {"quota": quota_record(project.quota)}


def quota_record(quota: Quota) -> dict[str, Any]:
    """Cores and GPUs as numbers, memory and storage in bytes; null is without limit."""
    cores, gpus = (None if value is None else value / 1000 for value in (quota.cpu, quota.gpu))
    return {
        "cpu": cores,
        "memory": quota.memory,
        "gpu": gpus,
        "running": quota.running,
        "storage": quota.storage,
    }


def amounts(quota: Quota) -> dict[str, str]:
    """What there is of each, as people read it; what is None is left out."""
    shown = {
        "cpu": None if quota.cpu is None else show_thousandths(quota.cpu),
        "memory": None if quota.memory is None else show_size(quota.memory),
        "gpu": None if quota.gpu is None else show_thousandths(quota.gpu),
        "running": None if quota.running is None else f"{quota.running:,}",
        "storage": None if quota.storage is None else show_size(quota.storage),
    }
    return {name: text for name, text in shown.items() if text is not None}


def show_quota(quota: Quota) -> str:
    return "  ".join(f"{name}={text}" for name, text in amounts(quota).items()) or "without limit"


def change_quota(
    before: Quota, *, cpus: str | None, memory: str | None, gpus: str | None, running: str | None, storage: str | None
) -> Quota:
    """`none` takes a limit off; what is not given stays."""
    changes: dict[str, int | None] = {}
    for name, option, text in (("cpu", "--cpus", cpus), ("gpu", "--gpus", gpus)):
        if text is not None:
            changes[name] = None if _is_off(text) else parse_thousandths(option, text)
    for name, option, text in (("memory", "--memory", memory), ("storage", "--storage", storage)):
        if text is not None:
            changes[name] = None if _is_off(text) else parse_size(text, option)
    if running is not None:
        changes["running"] = None if _is_off(running) else parse_thousandths("--running", running) // 1000
    return msgspec.structs.replace(before, **changes)


def _is_off(text: str) -> bool:
    return text.strip().lower() in WITHOUT_LIMIT
