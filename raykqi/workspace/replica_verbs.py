"""How the replicas of endpoints do, as only the process knows that brings them up, and what they have written."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from raykqi.domain.rollout import Counts, Report
from raykqi.workspace.endpoint_verbs import EndpointVerbs

__all__ = ["EndpointCounts", "ReplicaVerbs"]


class EndpointCounts(msgspec.Struct, frozen=True, array_like=True):
    """What a revision has done since the controller began, in all replicas."""

    name: str
    project: str
    revision: int
    counts: Counts


class ReplicaVerbs(EndpointVerbs):
    def endpoint_replicas(self, name: str) -> list[Report]:
        """The last words of the replicas that are there; none where nobody serves endpoints."""
        found = self.endpoint(name)
        answer = self._controller.ask("endpoint_replicas", found.id)
        return msgspec.msgpack.decode(answer, type=list[Report]) if answer else []

    def endpoint_counts(self) -> list[EndpointCounts]:
        """Of all projects."""
        answer = self._controller.ask("endpoint_counts")
        return msgspec.msgpack.decode(answer, type=list[EndpointCounts]) if answer else []

    def endpoint_log(self, name: str, *, replica: str = "") -> Iterator[bytes]:
        """What its models and replicas have written, one replica after the other; those that are gone too."""
        from raykqi.execution.logs import read_log

        found = self.endpoint(name)
        replicas = sorted({key.key.split("/")[2] for key in self._store.list(f"logs/{found.id}/")})
        for each in replicas:
            if not replica or each.startswith(replica):
                yield from read_log(self._store, found.id, each)
