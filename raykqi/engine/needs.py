"""Which facts the decision on a command needs, so that those of a whole batch are read together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raykqi.catalog.access_facts import removed_projects
from raykqi.catalog.facts import Facts, load_answered, load_facts
from raykqi.catalog.index import Index
from raykqi.catalog.quotas import load_storage
from raykqi.catalog.run_facts import load_plan_facts, load_run_facts, plans_with
from raykqi.engine.access_commands import AccessCommand
from raykqi.engine.access_needs import gather_access_facts
from raykqi.engine.commands import Command, Envelope, RecordRun
from raykqi.engine.decide import consumers_needed, data_needed, keys_needed
from raykqi.engine.decide_endpoints import recorded_with_job
from raykqi.engine.decide_envelope import bare, request_of
from raykqi.engine.endpoint_commands import DeployEndpoint
from raykqi.engine.endpoint_needs import EndpointNeeds, models_in_question
from raykqi.engine.preconditions import current_etag
from raykqi.engine.run_commands import (
    ApplyPlan,
    ChangePlan,
    EndRun,
    HoldPlan,
    HoldRun,
    LoseRun,
    LoseRuns,
    MoveRuns,
    RemoveRuns,
    RetryRuns,
    ReuseRun,
    StartRuns,
    StopRuns,
)

__all__ = ["gather_facts"]


def gather_facts(index: Index, commands: Sequence[Command]) -> Facts:
    """All that the decisions on these commands ask for. At most one of them may apply a plan, or expect an ETag."""
    asked, commands = commands, [bare(command) for command in commands]
    endpoints = EndpointNeeds.gather(index, commands)
    facts = load_facts(
        index,
        data={id_ for command in commands for id_ in data_needed(command)} | endpoints.data,
        keys={key for command in commands for key in keys_needed(command)},
        consumers={id_ for command in commands for id_ in consumers_needed(command)},
    )
    runs = {id_ for command in commands for id_ in _runs(command)}
    used = {id_ for command in commands if isinstance(command, RetryRuns | RemoveRuns) for id_ in command.runs}
    made = {id_ for command in commands if not isinstance(command, StartRuns | MoveRuns) for id_ in _runs(command)}
    facts.runs = load_run_facts(index, runs, with_outputs=made, with_users=used)
    plans = {facts.runs[id_].plan for command in commands for id_ in _with_plan(command) if id_ in facts.runs}
    queued = {command.plan for command in commands if isinstance(command, ChangePlan)}
    for command in commands:
        if isinstance(command, ApplyPlan):
            _look_around(command, facts, index)
            queued |= set(facts.alike.get(command.definition.name, ()))
    held = {command.plan for command in commands if isinstance(command, HoldPlan)}
    facts.plans = load_plan_facts(index, plans | queued | held, with_queue=queued)
    endpoints.settle(facts)
    facts.served = models_in_question(index, commands, facts)
    facts.storage = load_storage(index, _trees(recorded_with_job(command, facts) or command for command in commands))
    facts.gone = removed_projects(
        index, {each.project for each in commands if isinstance(each, RecordRun | ApplyPlan | DeployEndpoint)}
    )
    if any(isinstance(command, AccessCommand) for command in commands):
        facts.access = gather_access_facts(index, commands)
    requests = {request for command in asked if (request := request_of(command))}
    if requests:
        facts.answered = load_answered(index, requests)
    for command in asked:
        if isinstance(command, Envelope) and command.expect:
            facts.etag = current_etag(command.command, index)
    return facts


def _look_around(command: ApplyPlan, facts: Facts, index: Index) -> None:
    from raykqi.catalog.plan_flow import plans_below

    definition = command.definition
    facts.alike[definition.digest] = plans_with(index, project=command.project, digest=definition.digest)
    if command.replaces and definition.name:
        facts.alike[definition.name] = plans_with(index, project=command.project, name=definition.name)
    outputs = [output.tags for output in definition.outputs]
    if definition.log is not None:
        outputs.append(definition.log)
    facts.flows = frozenset(plans_below(index, command.project, outputs))


def _trees(commands: Iterable[object]) -> dict[str, dict[str, int]]:
    """By project, the sizes of the trees that are to be recorded."""
    found: dict[str, dict[str, int]] = {}
    for command in commands:
        if isinstance(command, RecordRun):
            sizes = found.setdefault(command.project, {})
            sizes.update((output.tree.hash, output.tree.size) for output in command.outputs)
    return found


def _runs(command: object) -> Iterable[str]:
    if isinstance(command, StartRuns | StopRuns | RetryRuns | RemoveRuns):
        return command.runs
    if isinstance(command, MoveRuns | LoseRuns):
        return [attempt.run for attempt in command.attempts]
    if isinstance(command, EndRun):
        return [command.ended.attempt.run]
    if isinstance(command, LoseRun | HoldRun):
        return [command.attempt.run]
    if isinstance(command, ReuseRun):
        return [command.run, command.source]
    return ()


def _with_plan(command: object) -> Iterable[str]:
    return _runs(command) if isinstance(command, EndRun | LoseRun | LoseRuns | RetryRuns) else ()
