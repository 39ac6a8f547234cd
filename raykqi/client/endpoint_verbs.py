"""Endpoints over HTTP: what is served, and how it is rolled out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from raykqi.client.asking import check_limit, paged
from raykqi.client.logs import follow_log
from raykqi.client.run_verbs import WAIT_STEP, RunVerbs
from raykqi.client.transport import Params
from raykqi.domain.data import Named, id_of
from raykqi.domain.endpoint import Binding, Endpoint, EndpointPage, EndpointSpec, Job, JobPage, check_endpoint_name
from raykqi.domain.endpoint_progress import how_far, is_settled
from raykqi.domain.ids import check_id_prefix, is_id
from raykqi.domain.rollout import Report
from raykqi.domain.spec_changes import SpecChanges, changed_spec
from raykqi.domain.tags import check_tags, parse_tags
from raykqi.domain.text import check_text
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["EndpointVerbs"]


class EndpointVerbs(RunVerbs):
    # Questions

    def endpoints(self, limit: int | None = None) -> list[Endpoint]:
        """The endpoints of the project, by name."""
        check_limit(limit)

        def ask(most: int, cursor: str) -> tuple[Sequence[Endpoint], str]:
            page = self.endpoint_page(limit=most, cursor=cursor)
            return page.items, page.next_cursor

        return list(paged(ask, limit))

    def endpoint_page(self, *, limit: int = 50, cursor: str = "") -> EndpointPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        params: Params = [("limit", limit), ("cursor", cursor or None)]
        return self._transport.get(self._path("endpoints"), EndpointPage, params)

    def endpoint(self, name: str) -> Endpoint:
        """Everything known about one endpoint: what is said of it, and which revision served when."""
        return self._transport.get(self._endpoint_path(name), Endpoint)

    def jobs(self, name: str, limit: int | None = None) -> list[Job]:
        """The requests that were left at an endpoint to be answered later, newest first."""
        check_limit(limit)

        def ask(most: int, cursor: str) -> tuple[Sequence[Job], str]:
            page = self.job_page(name, limit=most, cursor=cursor)
            return page.items, page.next_cursor

        return list(paged(ask, limit))

    def job_page(self, name: str, *, limit: int = 50, cursor: str = "") -> JobPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        params: Params = [("limit", limit), ("cursor", cursor or None)]
        return self._transport.get(self._endpoint_path(name, "jobs"), JobPage, params)

    def job(self, job: str | Job) -> Job:
        """One job, by its id or the beginning of it."""
        named = job.id if isinstance(job, Job) else check_text(job, "id of a job").strip()
        if not named:
            raise InvalidInput("no job was named", hint="Give the id of a job, or its beginning.")
        return self._transport.get(self._path("jobs", named), Job)

    def affected_endpoints(self, node: Named) -> list[Endpoint]:
        """The endpoints that serve or served a data, or what came of a data or run, by name."""
        path = self._path("lineage", check_id_prefix(id_of(node)), "endpoints")
        return self._transport.get(path, list[Endpoint])

    def endpoint_replicas(self, name: str) -> list[Report]:
        """The last words of the replicas that are there; none where nobody serves endpoints."""
        return self._transport.get(self._endpoint_path(name, "replicas"), list[Report])

    def endpoint_log(self, name: str, *, replica: str = "", follow: bool = False) -> Iterator[bytes]:
        """What its models and replicas have written, one replica after the other; those that are gone too.

        With `follow`, on until the endpoint is removed.
        """
        path, params = self._endpoint_path(name, "log"), [("replica", replica or None)]
        if follow:
            yield from follow_log(self._transport, path, params)
            return
        with self._transport.stream(path, params=params) as response:
            yield from response.iter_bytes()

    # Changes

    def deploy(
        self,
        name: str,
        *,
        data: Named | None = None,
        tags: Iterable[str] = (),
        spec: EndpointSpec | None = None,
        **changes: Unpack[SpecChanges],
    ) -> Endpoint:
        """Serve a model: this data, or always the newest with these tags. The same name again says all anew.

        `changes` are made to the `spec`, or to what is usual; see `raykqi.EndpointSpec`.
        It is answered at once: `wait_endpoint` waits until the model answers.
        """
        bound = self._binding(data, tags)
        wanted = spec or EndpointSpec(bound or Binding())
        if bound:
            wanted = msgspec.structs.replace(wanted, binding=bound)
        body = {"name": check_endpoint_name(name), "spec": changed_spec(wanted, changes)}
        return self._transport.ask("POST", self._path("endpoints"), Endpoint, body=body)

    def change_endpoint(
        self,
        name: str,
        *,
        data: Named | None = None,
        tags: Iterable[str] = (),
        spec: EndpointSpec | None = None,
        **changes: Unpack[SpecChanges],
    ) -> Endpoint:
        """Change what is said of an endpoint that is there; the rest stays as it is."""
        before = self.endpoint(name).spec
        bound = self._binding(data, tags)
        wanted = spec or before
        if bound:
            wanted = msgspec.structs.replace(wanted, binding=bound)
        wanted = changed_spec(wanted, changes)
        body = {
            field: value
            for field in wanted.__struct_fields__
            if (value := getattr(wanted, field)) != getattr(before, field)
        }
        return self._transport.ask("PATCH", self._endpoint_path(name), Endpoint, body=body)

    def promote(self, name: str, revision: int = 0) -> Endpoint:
        """Approve a revision that waits, make a canary live, or bring one back; 0 is the one on its way, or newest."""
        if revision < 0:
            raise InvalidInput(f"there is no revision {revision}", hint="They count from 1; 0 is the one on its way.")
        return self._change_by(name, "promote", {"revision": revision})

    def rollback(self, name: str, data: Named | None = None, reason: str = "") -> Endpoint:
        """Serve an earlier model again, the one before if none is named, and follow tags no more."""
        named = "" if data is None else id_of(data)
        return self._change_by(name, "rollback", {"data": named, "reason": check_text(reason, "reason")})

    def pause(self, name: str, reason: str = "") -> Endpoint:
        """Take it off: requests are refused until it is resumed."""
        return self._change_by(name, "pause", {"reason": check_text(reason, "reason")})

    def resume(self, name: str) -> Endpoint:
        """Let a paused one answer again."""
        return self._change_by(name, "resume", None)

    def follow_tags(self, name: str) -> Endpoint:
        """After a rollback: follow what it is bound to again, at once."""
        return self._change_by(name, "follow", None)

    def remove_endpoint(self, name: str, reason: str = "") -> None:
        """It answers no more; what it served when stays in the lineage, and its models are data as before."""
        params: Params = [("reason", check_text(reason, "reason") or None)]
        self._transport.ask("DELETE", self._endpoint_path(name), type(None), params=params)

    # Waiting

    def wait_endpoint(self, name: str, timeout: float | None = None) -> Endpoint:
        """Until what was deployed last is live. Raises ModelFailed when it cannot be, TimeoutError when it is late.

        Somebody has to serve it: `raykqi up`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        changed = threading.Event()
        with self.watching(changed.set):
            while True:
                changed.clear()
                found = self.endpoint(name)
                if is_settled(found):
                    return found
                rest = WAIT_STEP if deadline is None else min(WAIT_STEP, deadline - time.monotonic())
                if rest <= 0:
                    raise TimeoutError(f"after {timeout:g} s endpoint {name} {how_far(found)}")
                changed.wait(rest)

    # Inside

    def _endpoint_path(self, name: str, *parts: str) -> str:
        """A whole id of an endpoint is as good as its name."""
        return self._path("endpoints", name if is_id(name) else check_endpoint_name(name), *parts)

    def _change_by(self, name: str, verb: str, body: dict[str, object] | None) -> Endpoint:
        return self._transport.ask("POST", self._endpoint_path(name, verb), Endpoint, body=body)

    def _binding(self, data: Named | None, tags: Iterable[str]) -> Binding | None:
        wanted = parse_tags(check_tags(tags))
        if data is None and not wanted:
            return None
        named = "" if data is None else id_of(data)
        return Binding(named if not named or is_id(named) else self.resolve_data(named), wanted)
