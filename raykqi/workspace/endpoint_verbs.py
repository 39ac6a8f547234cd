"""What one does with endpoints. They are remembered here and brought up by whoever serves the workspace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from raykqi.catalog import endpoint_queries
from raykqi.domain.data import Named, id_of
from raykqi.domain.endpoint import (
    Binding,
    Endpoint,
    EndpointPage,
    EndpointSpec,
    Job,
    JobPage,
    check_endpoint_name,
)
from raykqi.domain.endpoint_progress import how_far, is_settled
from raykqi.domain.ids import is_id
from raykqi.domain.spec_changes import SpecChanges, changed_spec
from raykqi.domain.tags import check_tags, parse_tags
from raykqi.domain.text import check_text
from raykqi.engine.endpoint_commands import (
    ChangeEndpoint,
    DeployEndpoint,
    EndpointCommand,
    Promote,
    RemoveEndpoint,
    RollBack,
)
from raykqi.errors import InvalidInput, InvalidQuery
from raykqi.workspace.lineage_verbs import LineageVerbs
from raykqi.workspace.run_verbs import WAIT_STEP, RunVerbs

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["EndpointVerbs"]

PAGE = 1_000


class EndpointVerbs(LineageVerbs, RunVerbs):
    # Questions

    def endpoints(self, limit: int | None = None) -> list[Endpoint]:
        """The endpoints of the project, by name."""
        _check_limit(limit)
        found: list[Endpoint] = []
        cursor = ""
        while limit is None or len(found) < limit:
            page = self.endpoint_page(limit=PAGE if limit is None else min(PAGE, limit - len(found)), cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    def endpoint_page(self, *, limit: int = 50, cursor: str = "") -> EndpointPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        index, project = self._keeper.index, self._project
        return self._read(lambda: endpoint_queries.find_endpoints(index, project=project, limit=limit, cursor=cursor))

    def endpoint(self, name: str) -> Endpoint:
        """Everything known about one endpoint: what is said of it, and which revision served when."""
        index, project = self._keeper.index, self._project
        return self._read(lambda: endpoint_queries.get_endpoint(index, name, project=project))

    def endpoint_of_any(self, name: str) -> Endpoint:
        """Of whichever project. For servers, which see to it themselves who may know of it."""
        return self._read(lambda: endpoint_queries.get_endpoint(self._keeper.index, name, project=""))

    def endpoints_of_all(self) -> list[Endpoint]:
        """Those of all projects, by name, for servers as well."""
        return self._read(lambda: [each.endpoint for each in endpoint_queries.served_endpoints(self._keeper.index)])

    def jobs(self, name: str, limit: int | None = None) -> list[Job]:
        """The requests that were left at an endpoint to be answered later, newest first."""
        _check_limit(limit)
        found: list[Job] = []
        cursor = ""
        while limit is None or len(found) < limit:
            page = self.job_page(name, limit=PAGE if limit is None else min(PAGE, limit - len(found)), cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    def job_page(self, name: str, *, limit: int = 50, cursor: str = "") -> JobPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        index = self._keeper.index

        def read() -> JobPage:
            id_ = endpoint_queries.resolve_endpoint(index, name, project=self._project)
            return endpoint_queries.find_jobs(index, id_, limit=limit, cursor=cursor)

        return self._read(read)

    def job(self, job: str | Job) -> Job:
        """One job, by its id or the beginning of it."""
        named, index, project = job.id if isinstance(job, Job) else job, self._keeper.index, self._project

        def read() -> Job:
            whole = named if is_id(named) else endpoint_queries.resolve_job(index, named, project=project)
            return endpoint_queries.get_job(index, whole, project=project)

        return self._read(read)

    def affected_endpoints(self, node: Named) -> list[Endpoint]:
        """The endpoints that serve or served a data, or what came of a data or run, by name."""
        whole, index, project = self.resolve(node), self._keeper.index, self._project

        def read() -> list[Endpoint]:
            models = self._lineage.models_below(whole, project=project)
            return endpoint_queries.endpoints_of_models(index, models, project=project)

        return self._read(read)

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
        base = spec or EndpointSpec(bound or Binding())
        return self._deploy(name, base, bound, changes)

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
        there = self.endpoint(name)
        return self._deploy(there.name, spec or there.spec, self._binding(data, tags), changes)

    def promote(self, name: str, revision: int = 0) -> Endpoint:
        """Approve a revision that waits, make a canary live, or bring one back; 0 is the one on its way, or newest."""
        return self._promote(name, revision, is_manager=True)

    def promote_if_named(self, name: str, revision: int = 0) -> Endpoint:
        """The same for who is no manager: what waits for people they may approve only if they are one of these."""
        return self._promote(name, revision, is_manager=False)

    def rollback(self, name: str, data: Named | None = None, reason: str = "") -> Endpoint:
        """Serve an earlier model again, the one before if none is named, and follow tags no more."""
        said = check_text(reason, "reason")
        named = "" if data is None else id_of(data)
        index = self._keeper.index

        def command(id_: str) -> RollBack:
            whole = endpoint_queries.resolve_served(index, id_, named) if named else ""
            return RollBack(self._settings.user, id_, whole, said, self._project)

        return self._ask_of(name, command)

    def pause(self, name: str, reason: str = "") -> Endpoint:
        """Take it off: requests are refused until it is resumed."""
        said = check_text(reason, "reason")
        return self._ask_of(name, lambda id_: ChangeEndpoint(self._settings.user, id_, True, None, said, self._project))

    def resume(self, name: str) -> Endpoint:
        """Let a paused one answer again."""
        return self._ask_of(name, lambda id_: ChangeEndpoint(self._settings.user, id_, False, project=self._project))

    def follow_tags(self, name: str) -> Endpoint:
        """After a rollback: follow what it is bound to again, at once."""
        return self._ask_of(
            name, lambda id_: ChangeEndpoint(self._settings.user, id_, None, False, project=self._project)
        )

    def remove_endpoint(self, name: str, reason: str = "") -> None:
        """It answers no more; what it served when stays in the lineage, and its models are data as before."""
        said, index, project = check_text(reason, "reason"), self._keeper.index, self._project
        id_ = self._read(lambda: endpoint_queries.resolve_endpoint(index, name, project=project))
        self._controller.submit(RemoveEndpoint(self._settings.user, id_, said, project))

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

    def _binding(self, data: Named | None, tags: Iterable[str]) -> Binding | None:
        wanted = parse_tags(check_tags(tags))
        if data is None and not wanted:
            return None
        # Whether a whole id is there, and in this project, the decision says.
        named = "" if data is None else id_of(data)
        return Binding(named if not named or is_id(named) else self.resolve_data(named), wanted)

    def _deploy(self, name: str, base: EndpointSpec, bound: Binding | None, changes: SpecChanges) -> Endpoint:
        check_endpoint_name(name)
        if bound:
            base = msgspec.structs.replace(base, binding=bound)
        self._controller.submit(DeployEndpoint(self._settings.user, name, changed_spec(base, changes), self._project))
        return self.endpoint(name)

    def _promote(self, name: str, revision: int, *, is_manager: bool) -> Endpoint:
        if revision < 0:
            raise InvalidInput(f"there is no revision {revision}", hint="They count from 1; 0 is the one on its way.")
        return self._ask_of(name, lambda id_: Promote(self._settings.user, id_, revision, self._project, is_manager))

    def _ask_of(self, name: str, command: Callable[[str], EndpointCommand]) -> Endpoint:
        index, project = self._keeper.index, self._project

        def read() -> EndpointCommand:
            return command(endpoint_queries.resolve_endpoint(index, name, project=project))

        asked = self._read(read)
        self._controller.submit(asked)
        return self.endpoint(name)


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise InvalidQuery(f"a list of {limit} is not possible", hint="Ask for 1 or more, or leave it out for all.")
