"""Which facts the decisions on commands about endpoints need, and which endpoints stand in the way of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from raykqi.catalog.endpoint_facts import (
    EndpointFacts,
    JobFacts,
    endpoints_by_name,
    load_endpoints,
    load_jobs,
    served_by,
    waiting_jobs,
)
from raykqi.catalog.facts import Facts
from raykqi.catalog.index import Index
from raykqi.domain.ids import is_id
from raykqi.engine.commands import Purge, Remove
from raykqi.engine.endpoint_commands import ChangeEndpoint, DeployEndpoint, EndJob, EndpointCommand, RemoveEndpoint
from raykqi.engine.run_commands import RemoveRuns, RetryRuns

__all__ = ["EndpointNeeds", "models_in_question"]


@dataclass
class EndpointNeeds:
    """What is known of endpoints; `data` are those of which the decisions need to know more."""

    endpoints: dict[str, EndpointFacts] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    data: set[str] = field(default_factory=set)

    @classmethod
    def gather(cls, index: Index, commands: Sequence[object]) -> EndpointNeeds:
        asked = [command for command in commands if isinstance(command, EndpointCommand)]
        if not asked:
            return cls()
        names = endpoints_by_name(index, {each.name for each in asked if isinstance(each, DeployEndpoint)})
        ids = {each.endpoint for each in asked if not isinstance(each, DeployEndpoint)}
        endpoints = load_endpoints(index, {*ids, *names.values()})
        names |= {each.name: each.id for each in endpoints.values() if not each.is_removed}
        jobs = load_jobs(index, {each.job for each in asked if isinstance(each, EndJob)})
        jobs |= waiting_jobs(index, {each.endpoint for each in asked if isinstance(each, RemoveEndpoint)})
        needs = cls(endpoints, names, jobs)
        for command in asked:
            needs.data |= needs._of(command)
        return needs

    def settle(self, facts: Facts) -> None:
        facts.endpoints, facts.endpoint_names, facts.jobs = self.endpoints, self.names, self.jobs

    def _of(self, command: EndpointCommand) -> set[str]:
        found: set[str] = set()
        if isinstance(command, DeployEndpoint):
            found.add(command.spec.binding.data)
        elif isinstance(command, ChangeEndpoint) and command.endpoint in self.endpoints:
            found.add(self.endpoints[command.endpoint].spec.binding.data)
        elif isinstance(command, EndJob) and command.endpoint in self.endpoints:
            revision = self.endpoints[command.endpoint].revisions.get(command.revision)
            found |= {revision.data} if revision else set()
            found |= {self.jobs[command.job].request} if command.job in self.jobs else set()
        return {data for data in found if is_id(data)}


def models_in_question(index: Index, commands: Sequence[object], facts: Facts) -> dict[str, list[str]]:
    """Of the data that commands would do away with, those that endpoints serve, with the names of these."""
    asked = {id_ for command in commands if isinstance(command, Purge | Remove) for id_ in command.data}
    for command in commands:
        if isinstance(command, RemoveRuns | RetryRuns):
            asked |= {out.data for run in command.runs if run in facts.runs for out in facts.runs[run].outputs}
    return served_by(index, asked)
