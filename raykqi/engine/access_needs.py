"""Which facts the decisions on commands about projects, users and tokens need."""

from __future__ import annotations

from collections.abc import Sequence

from raykqi.catalog.access_facts import AccessFacts, load_access_facts
from raykqi.catalog.index import Index
from raykqi.engine.access_commands import AccessCommand, ChangeUser, MakeProject, RemoveProject

__all__ = ["gather_access_facts"]


def gather_access_facts(index: Index, commands: Sequence[object]) -> AccessFacts:
    asked = [command for command in commands if isinstance(command, AccessCommand)]
    return load_access_facts(
        index,
        projects=_named(asked, "project"),
        contents={command.project for command in asked if isinstance(command, MakeProject | RemoveProject)},
        users=_named(asked, "user"),
        tokens=_named(asked, "token"),
        endpoints=_named(asked, "endpoint"),
        sign_ins={
            command.user for command in asked if isinstance(command, ChangeUser) and command.password is not None
        },
    )


def _named(commands: Sequence[AccessCommand], field: str) -> set[str]:
    return {name for command in commands if (name := getattr(command, field, ""))}
