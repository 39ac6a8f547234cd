"""The other way round: a definition as the description that would make it, in plain values."""

from __future__ import annotations

from typing import Any

from raykqi.domain.plan import Definition, Limits, Param, PlanInput, PlanOutput, PlanSettings
from raykqi.domain.resources import Resources
from raykqi.domain.tags import SYSTEM_ID, SYSTEM_TIMESTAMP, Tag, show_instant
from raykqi.importers.work import SHELL

__all__ = ["describe"]

Description = dict[str, Any]


def describe(definition: Definition, settings: PlanSettings) -> Description:
    """The keys of a plan file with their values; what has its default is left out. Its code is no part of it."""
    return {
        **_work(definition),
        "inputs": [_input(wanted) for wanted in definition.inputs],
        "outputs": [_output(made) for made in definition.outputs],
        **({} if definition.log is None else {"log": {"tags": _tags(definition.log)}}),
        **_given("params", {param.name: _param(param) for param in definition.params}),
        **_given("env", dict(definition.env)),
        **_given("runtime_env", dict(definition.runtime_env)),
        **_scheduling(definition),
        **_settings(settings),
    }


def _work(definition: Definition) -> Description:
    work = {**_given("name", definition.name), **_given("image", definition.image)}
    if definition.entrypoint is not None:
        work["entrypoint"] = list(definition.entrypoint)
    if definition.args is not None:
        work["args"] = list(definition.args)
    if definition.command is not None:
        command = definition.command
        is_shell = len(command) == 3 and command[:2] == SHELL
        work["command"] = command[2] if is_shell else list(command)
    work |= _given("function", definition.function)
    if definition.launcher != ("container" if definition.image else "process"):
        work["launcher"] = definition.launcher
    return work


def _scheduling(definition: Definition) -> Description:
    usual = Definition(inputs=())
    names = ("retries", "backoff", "timeout", "grace", "priority", "reuse")
    changed = {name: getattr(definition, name) for name in names if getattr(definition, name) != getattr(usual, name)}
    rules = {level: list(getattr(definition.on_node, level)) for level in ("may", "prefer", "must")}
    # `timeout: 5400` reads better than `timeout: 5400.0` and says the same.
    changed |= {name: int(value) for name, value in changed.items() if isinstance(value, float) and value.is_integer()}
    return {
        **changed,
        **_given("join", list(definition.join)),
        **_given("on_node", {level: labels for level, labels in rules.items() if labels}),
    }


def _settings(settings: PlanSettings) -> Description:
    limits = {"running": settings.limits.running, "pending": settings.limits.pending}
    return {
        **({} if settings.active else {"active": False}),
        **({} if settings.resources == Resources() else {"resources": settings.resources.shown()}),
        **({} if settings.limits == Limits() else {"limits": limits}),
        **_given("service_account", settings.service_account),
        **_given("annotations", [f"{key}={value}" for key, value in settings.annotations]),
    }


def _input(wanted: PlanInput) -> Description:
    tags = _tags(wanted.tags)
    if wanted.id:
        tags.append(f"{SYSTEM_ID}:{wanted.id}")
    if wanted.timestamp:
        tags.append(f"{SYSTEM_TIMESTAMP}:{show_instant(wanted.timestamp)}")
    take = {} if wanted.take == "each" else {"take": wanted.take}
    return {**_given("name", wanted.name), **_given("path", wanted.path), "tags": tags, **take}


def _output(made: PlanOutput) -> Description:
    return {**_given("name", made.name), **_given("path", made.path), "tags": _tags(made.tags)}


def _param(param: Param) -> Description:
    told: Description = {"type": param.type}
    if param.value is not None:
        told["default"] = param.value
    elif param.choices:
        told["required"] = True
    return told | _given("choices", list(param.choices))


def _tags(tags: tuple[Tag, ...]) -> list[str]:
    return [str(tag) for tag in tags]


def _given(key: str, value: Any) -> Description:
    return {key: value} if value else {}
