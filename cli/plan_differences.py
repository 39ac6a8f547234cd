"""What a description says of a plan that is there already and was changed, and how to change it."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raykqi.domain.plan import Plan, PlanSettings

__all__ = ["differences"]


def differences(wanted: PlanSettings, plan: Plan) -> Iterator[str]:
    """What of `wanted` the plan does not have, with the command that makes it so; applying it again does not."""
    have = plan.settings
    if wanted.active != have.active:
        verb = "activate" if wanted.active else "deactivate"
        yield _line("active", "yes" if have.active else "no", f"{verb} {plan.id}")
    words = list(_resources(wanted.resources.shown(), have.resources.shown()))
    if words:
        shown = " ".join(f"{name}={value}" for name, value in have.resources.shown().items())
        yield _line("resources", shown, f"resources {plan.id} {' '.join(words)}")
    words = [
        f"--{name} {getattr(wanted.limits, name)}"
        for name in ("running", "pending")
        if getattr(wanted.limits, name) != getattr(have.limits, name)
    ]
    if words:
        shown = f"running={have.limits.running} pending={have.limits.pending}"
        yield _line("limits", shown, f"limits {plan.id} {' '.join(words)}")
    if wanted.service_account != have.service_account:
        command = f"serviceaccount {plan.id} {quote(wanted.service_account) if wanted.service_account else ''}"
        yield _line("service account", have.service_account or "none", command.rstrip())
    words = [f"--remove {quote('='.join(pair))}" for pair in have.annotations if pair not in wanted.annotations]
    words += [f"--add {quote('='.join(pair))}" for pair in wanted.annotations if pair not in have.annotations]
    if words:
        shown = " ".join(map("=".join, have.annotations)) or "none"
        yield _line("annotations", shown, f"annotate {plan.id} {' '.join(words)}")


def _resources(wanted: dict[str, str], have: dict[str, str]) -> Iterator[str]:
    yield from (f"--set {quote(f'{name}={value}')}" for name, value in wanted.items() if have.get(name) != value)
    yield from (f"--unset {quote(name)}" for name in have if name not in wanted)


def _line(what: str, shown: str, command: str) -> str:
    return f"{what} still {shown}; to change it: raykqi plan {command}"
