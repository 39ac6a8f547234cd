"""From a description, whoever wrote it and in whatever form, to a draft: every rule for plans is applied here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raykqi.domain.plan import BUILTIN_PLANS, Definition, Limits, NodeRules, PlanSettings
from raykqi.domain.resources import Resources, parse_resources
from raykqi.domain.text import check_name
from raykqi.importers.draft import Draft
from raykqi.importers.environment import Around, check_env, read_env, read_runtime_env
from raykqi.importers.field import Field
from raykqi.importers.function_source import check_function
from raykqi.importers.mounts import read_inputs, read_join, read_log, read_outputs
from raykqi.importers.nodes import read_annotations, read_node_rules
from raykqi.importers.origin import read_source
from raykqi.importers.params import read_params
from raykqi.importers.places import Places, nearest, quote
from raykqi.importers.rules import check_definition
from raykqi.importers.work import read_work

__all__ = ["ALIASES", "KEYS", "build"]

KEYS: tuple[str, ...] = (
    "name", "image", "entrypoint", "args", "command", "function", "source", "inputs", "outputs", "log", "params",
    "env", "runtime_env", "launcher", "resources", "on_node", "retries", "backoff", "timeout", "grace", "priority",
    "limits", "join", "reuse", "active", "service_account", "annotations",
)  # fmt: skip
ALIASES = {"resouces": "resources"}  # as Knitfab's tutorial spells it
OTHER_WORDS = {
    "logs": "log",
    "cmd": "command",
    "run": "command",
    "script": "command",
    "environment": "env",
    "parameters": "params",
    "in": "inputs",
    "out": "outputs",
    "serviceAccount": "service_account",
    "labels": "annotations",
}
ACCOUNT_CHARS = 63
MOST = 1_000_000


def build(
    description: Mapping[str, Any],
    places: Places,
    *,
    folder: Path | None = None,
    origin: str = "",
    source: str = "",
    source_files: tuple[str, ...] = (),
) -> Draft:
    """`folder` is where relative paths of the description count from; without it there can be none."""
    warnings: list[str] = []
    fields = _known(Field(description, (), places), warnings)
    around = read_runtime_env(fields["runtime_env"], folder) if "runtime_env" in fields else Around()
    told = fields.get("source") or around.working_dir
    if "source" in fields and around.working_dir:
        around.working_dir.refuse("`source` says already where the code is", hint="Remove `working_dir`.")
    work = read_work(fields, warnings)
    definition = check_definition(
        Definition(
            inputs=read_inputs(fields["inputs"]) if "inputs" in fields else (),
            outputs=read_outputs(fields["outputs"]) if "outputs" in fields else (),
            log=read_log(fields["log"]) if "log" in fields else None,
            name=_name(fields["name"]) if "name" in fields else "",
            image=work.image,
            entrypoint=work.entrypoint,
            args=work.args,
            command=work.command,
            function=work.function,
            params=read_params(fields["params"]) if "params" in fields else (),
            env=_env(fields, around, places),
            runtime_env=around.install,
            launcher=work.launcher,
            retries=fields["retries"].whole(0, 1000) if "retries" in fields else 0,
            backoff=fields["backoff"].seconds() if "backoff" in fields else 1.0,
            timeout=fields["timeout"].seconds() if "timeout" in fields else 0.0,
            grace=fields["grace"].seconds() if "grace" in fields else 10.0,
            priority=fields["priority"].whole(-MOST, MOST) if "priority" in fields else 0,
            join=read_join(fields["join"]) if "join" in fields else (),
            reuse=fields["reuse"].flag() if "reuse" in fields else False,
            on_node=read_node_rules(fields["on_node"]) if "on_node" in fields else NodeRules(),
        ),
        places,
    )
    source = read_source(told, folder) if told else source
    if definition.function and told and not source.startswith("git+"):
        check_function(definition, Path(source), places)
    if definition.function and not source:
        warnings.append("no `source`: the function must be importable on every node, and lineage cannot name its code")
    return Draft(definition, _settings(fields), source, source_files, origin, tuple(warnings))


def _known(top: Field, warnings: list[str]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for key, field in top.named(what="a plan").items():
        meant = ALIASES.get(key, key)
        if meant not in KEYS:
            other = OTHER_WORDS.get(key)
            hint = f"Did you mean {other!r}?" if other else nearest(key, KEYS)
            field.refuse(f"there is no key {quote(key)} in a plan", hint=hint)
        if meant != key:
            if meant in top.value:
                field.refuse(f"{key!r} is read as {meant!r}, which is there too", hint=f"Keep {meant!r}.")
            warnings.append(f"{top.places.show((key,))}: read as {meant!r}; correct the spelling")
        if field.value is not None:
            fields[meant] = field
    return fields


def _name(field: Field) -> str:
    with field.places.at(*field.where):
        name = check_name(field.text(what="name"), "plan")
    if name.startswith("raykqi#") or name in BUILTIN_PLANS:
        field.refuse(f"{quote(name)} is a name of the system", hint="Choose one without `raykqi#`.")
    return name


def _env(fields: Mapping[str, Field], around: Around, places: Places) -> dict[str, str]:
    env = read_env(fields["env"]) if "env" in fields else {}
    check_env(env, places)
    check_env(around.env, places, ("runtime_env", "env_vars"))
    for name in env.keys() & around.env.keys():
        if env[name] != around.env[name]:
            places.refuse(("env", name), "runtime_env.env_vars gives it another value", hint="Keep the one in `env`.")
    return {**around.env, **env}


def _settings(fields: Mapping[str, Field]) -> PlanSettings:
    return PlanSettings(
        active=fields["active"].flag() if "active" in fields else True,
        resources=_resources(fields["resources"]) if "resources" in fields else Resources(),
        limits=_limits(fields["limits"]) if "limits" in fields else Limits(),
        service_account=_account(fields["service_account"]) if "service_account" in fields else "",
        annotations=read_annotations(fields["annotations"]) if "annotations" in fields else (),
    )


def _resources(field: Field) -> Resources:
    wanted = {name: entry.value for name, entry in field.named(what="resources").items()}
    for name, value in wanted.items():
        # One by one first, so that a complaint can name the line; the accelerator needs its GPU.
        alone = {name: value} if name != "accelerator" else {name: value, "gpu": 1}
        with field.places.at(*field.where, name):
            parse_resources(alone)
    with field.places.at(*field.where):
        return parse_resources(wanted)


def _limits(field: Field) -> Limits:
    entries = field.entries(("running", "pending"), what="limits")
    numbers = {name: entry.whole(0 if name == "running" else 1, MOST) for name, entry in entries.items()}
    return Limits(**numbers)


def _account(field: Field) -> str:
    with field.places.at(*field.where):
        account = check_name(field.text(), "service account")
    if len(account) > ACCOUNT_CHARS:
        field.refuse(f"it has {len(account)} characters, more than {ACCOUNT_CHARS}", hint="Use a shorter name.")
    return account
