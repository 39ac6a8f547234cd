"""How the replicas of endpoints do, as only the process knows that brings them up, and what they have written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from raykqi.domain.rollout import Counts, Report
from raykqi.errors import UnknownId
from raykqi.workspace.endpoint_verbs import EndpointVerbs

if TYPE_CHECKING:
    from raykqi.execution.replica_logs import ReplicaLogs

__all__ = ["EndpointCounts", "ReplicaVerbs"]

FOLLOW = 0.5  # seconds between looks for more of a log


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

    def endpoint_log(self, name: str, *, replica: str = "", follow: bool = False) -> Iterator[bytes]:
        """What its models and replicas have written, one replica after the other; those that are gone too.

        With `follow`, on until the endpoint is removed.
        """
        logs, pause = self.replica_logs(name, replica), threading.Event()
        while True:
            is_over = not follow or not self.has_endpoint(logs.endpoint)
            yield from logs.more()
            if is_over:
                return
            pause.wait(FOLLOW)

    def replica_logs(self, name: str, replica: str = "", place: str = "") -> ReplicaLogs:
        """For those who follow many at once, and go on from a `place`."""
        from raykqi.execution.replica_logs import ReplicaLogs

        return ReplicaLogs(self._store, self.endpoint(name).id, replica, place)

    def has_endpoint(self, id_: str) -> bool:
        """Whether it was not removed."""
        try:
            return self.endpoint(id_).id == id_
        except UnknownId:
            return False
