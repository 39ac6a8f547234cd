"""What keeps a project from taking more than it may, in words that a waiting run shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from raykqi.domain.access import Quota
from raykqi.domain.resources import Resources, show_bytes, show_thousandths

__all__ = ["NOTHING_TAKEN", "Taken", "add", "is_beyond", "show_amount", "why_over", "why_over_storage"]

RAISE = "ask an administrator of the workspace to raise the quota"


class Taken(NamedTuple):
    """What the runs of a project that are under way take together; the fields are those of a quota."""

    cpu: int = 0
    memory: int = 0
    gpu: int = 0
    running: int = 0


NOTHING_TAKEN = Taken()
_KINDS: tuple[tuple[str, str, Callable[[int], str]], ...] = (
    ("cpu", " CPUs", show_thousandths),
    ("memory", " of memory", show_bytes),
    ("gpu", " GPUs", show_thousandths),
)


def add(taken: Taken, wanted: Resources, sign: int = 1) -> Taken:
    """With one run more, or less."""
    return Taken(
        taken.cpu + sign * wanted.cpu,
        taken.memory + sign * wanted.memory,
        taken.gpu + sign * wanted.gpu,
        taken.running + sign,
    )


def is_beyond(quota: Quota, wanted: Resources) -> bool:
    """Whether a run asks for more than all runs of the project may take."""
    return bool(_lacking(quota, NOTHING_TAKEN, wanted))


def why_over(project: str, quota: Quota, taken: Taken, wanted: Resources) -> str:
    """Why one more run that asks for this cannot start now; "" when it can."""
    if not (lacking := _lacking(quota, taken, wanted)):
        return ""
    kind, limit = lacking
    if kind == "running":
        if limit == 0:
            return f"project {project} may run nothing (quota): {RAISE}"
        return (
            f"{taken.running} of at most {limit} runs of project {project} are under way (quota): "
            f"it starts when one of them ends; or {RAISE}"
        )
    unit, show = next((unit, show) for name, unit, show in _KINDS if name == kind)
    asked = show(getattr(wanted, kind))
    if is_beyond(quota, wanted):
        return (
            f"it asks for {asked}{unit}, and all runs of project {project} together may take {show(limit)} (quota): "
            f"lower the resources of its plan, or {RAISE}"
        )
    return (
        f"{show(getattr(taken, kind))} of the {show(limit)}{unit} that project {project} may take are taken (quota), "
        f"and it asks for {asked}: it starts when other runs end; or {RAISE}"
    )


def why_over_storage(project: str, limit: int, held: int) -> str:
    """Why a project whose data are this large starts no run; "" when it may."""
    if held < limit:
        return ""
    return (
        f"the data of project {project} take {show_amount(held)} of at most {show_amount(limit)} (quota): "
        f"purge or remove some; or {RAISE}"
    )


def show_amount(size: int) -> str:
    """Bytes as people read them."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1023.95:
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} PiB"


def _lacking(quota: Quota, taken: Taken, wanted: Resources) -> tuple[str, int] | None:
    """The first part of the quota in which there is no room, and how much that is."""
    if quota.running is not None and taken.running >= quota.running:
        return "running", quota.running
    for kind, _, _ in _KINDS:
        limit, asked = getattr(quota, kind), getattr(wanted, kind)
        if limit is not None and asked and getattr(taken, kind) + asked > limit:
            return kind, limit
    return None
