"""The ETag of what a command would change, as the index has it now."""

from __future__ import annotations

from functools import singledispatch

from raykqi.catalog import access_queries, endpoint_queries, plan_queries, queries
from raykqi.catalog.index import Index
from raykqi.domain.etag import etag_of
from raykqi.engine.access_commands import ChangeProject, ChangeUser, RemoveProject, RemoveUser
from raykqi.engine.commands import ChangeTags, Purge, Remove
from raykqi.engine.endpoint_commands import ChangeEndpoint, DeployEndpoint, Promote, RemoveEndpoint, RollBack
from raykqi.engine.run_commands import ChangePlan
from raykqi.errors import InvalidInput

__all__ = ["current_etag"]


def current_etag(command: object, index: Index) -> str:
    return etag_of(_subject(command, index))


@singledispatch
def _subject(command: object, index: Index) -> object:  # noqa: ARG001
    raise InvalidInput(
        f"{type(command).__name__} changes nothing that has an ETag", hint="Leave out the header If-Match."
    )


@_subject.register(ChangeTags)
@_subject.register(Purge)
@_subject.register(Remove)
def _(command: ChangeTags | Purge | Remove, index: Index) -> object:
    if len(command.data) != 1:
        raise InvalidInput(
            f"{len(command.data)} data have no ETag together", hint="Change them one by one, or leave out If-Match."
        )
    return queries.get_data(index, command.data, project=command.project)[0]


@_subject.register
def _(command: ChangePlan, index: Index) -> object:
    return plan_queries.get_plan(index, command.plan, project=command.project)


@_subject.register
def _(command: DeployEndpoint, index: Index) -> object:
    return endpoint_queries.get_endpoint(index, command.name, project=command.project)


@_subject.register(ChangeEndpoint)
@_subject.register(RemoveEndpoint)
@_subject.register(Promote)
@_subject.register(RollBack)
def _(command: ChangeEndpoint | RemoveEndpoint | Promote | RollBack, index: Index) -> object:
    return endpoint_queries.get_endpoint(index, command.endpoint, project=command.project)


@_subject.register(ChangeProject)
@_subject.register(RemoveProject)
def _(command: ChangeProject | RemoveProject, index: Index) -> object:
    return access_queries.get_project(index, command.project)


@_subject.register(ChangeUser)
@_subject.register(RemoveUser)
def _(command: ChangeUser | RemoveUser, index: Index) -> object:
    return access_queries.get_user(index, command.user)
