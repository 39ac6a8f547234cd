"""What one does with plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from raykqi.catalog import plan_queries, queries
from raykqi.domain.data import Data, Named, TagChange
from raykqi.domain.events import PlanApplied, RunCreated, TagsChanged
from raykqi.domain.filter_text import parse_filters
from raykqi.domain.plan import Code, Plan, PlanPage, PlanQuery
from raykqi.domain.tags import parse_query_tag
from raykqi.domain.text import check_text
from raykqi.engine.run_commands import ApplyPlan, ChangePlan
from raykqi.errors import AmbiguousId, Conflict, InvalidInput
from raykqi.workspace.inside import Inside

if TYPE_CHECKING:
    from raykqi.domain.why import PlanFlow, Why
    from raykqi.importers.draft import Draft
    from raykqi.importers.functions import PlanFunction

__all__ = ["PlanVerbs"]

MOST_RUNS = 10**9


class PlanVerbs(Inside):
    def draft(
        self,
        plan: str | Path | Draft | PlanFunction[..., object],
        *,
        params: Mapping[str, object] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Draft:
        """A plan file, a decorated function or a draft as a draft, with every rule checked."""
        from raykqi.importers.drafting import draft_of

        return draft_of(plan, params=params, variables=variables)

    def apply(
        self,
        plan: str | Path | Draft | PlanFunction[..., object],
        *,
        params: Mapping[str, object] | None = None,
        variables: Mapping[str, str] | None = None,
        replace: bool = False,
        exist_ok: bool = False,
    ) -> Plan:
        """From now on, data that matches its inputs is run. `replace` switches off earlier plans of its name.

        The same definition twice is an error, unless `exist_ok`: then the plan that is there is the answer.
        """
        command = self._apply_command(self.draft(plan, params=params, variables=variables), replace=replace)
        if exist_ok and (there := self._equivalent(command)):
            return there
        events = self._controller.submit(command)
        applied = next(event for event in events if isinstance(event, PlanApplied))
        return self.plan(applied.plan)

    def preview_apply(
        self,
        plan: str | Path | Draft | PlanFunction[..., object],
        *,
        params: Mapping[str, object] | None = None,
        variables: Mapping[str, str] | None = None,
        replace: bool = False,
        exist_ok: bool = False,
    ) -> list[RunCreated]:
        """The runs that applying it would make now; nothing is changed but that its code is stored."""
        command = self._apply_command(self.draft(plan, params=params, variables=variables), replace=replace)
        if exist_ok and self._equivalent(command):
            return []
        return [event for event in self._controller.preview(command) if isinstance(event, RunCreated)]

    def plans(
        self,
        *,
        active: bool | None = None,
        name: str = "",
        image: str = "",
        in_tags: Iterable[str] = (),
        out_tags: Iterable[str] = (),
        annotations: Mapping[str, str] | None = None,
        filters: Mapping[str, str | Iterable[str]] | None = None,
        limit: int | None = None,
    ) -> list[Plan]:
        """The plans that meet all conditions, newest first."""
        query = PlanQuery(
            active=active,
            name=check_text(name, "name"),
            image=check_text(image, "image"),
            in_tags=tuple(parse_query_tag(tag) for tag in in_tags),
            out_tags=tuple(parse_query_tag(tag) for tag in out_tags),
            annotations=tuple((annotations or {}).items()),
            filters=parse_filters("plans", filters),
        )
        found: list[Plan] = []
        cursor = ""
        while limit is None or len(found) < limit:
            page = self.plan_page(
                query, limit=1_000 if limit is None else min(1_000, limit - len(found)), cursor=cursor
            )
            found += page.items
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    def plan_page(self, query: PlanQuery, *, limit: int = 50, cursor: str = "") -> PlanPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        own = msgspec.structs.replace(query, project=self._project)
        return self._read(lambda: plan_queries.find_plans(self._keeper.index, own, limit=limit, cursor=cursor))

    def plan(self, plan: str | Plan) -> Plan:
        """One plan, by its id, the beginning of one, or its name (the newest that has it)."""
        named = plan.id if isinstance(plan, Plan) else plan
        index, project = self._keeper.index, self._project

        def read() -> Plan:
            whole = plan_queries.resolve_plan(index, named, project=project)
            return plan_queries.get_plan(index, whole, project=project)

        return self._read(read)

    def activate(self, plan: str | Plan) -> Plan:
        """Let its runs start."""
        return self._change(plan, active=True)

    def deactivate(self, plan: str | Plan) -> Plan:
        """Let none of its runs start; those that have begun go on, and new matches are kept for later."""
        return self._change(plan, active=False)

    def change_resources(self, plan: str | Plan, resources: Mapping[str, object]) -> Plan:
        """For runs that start from now on. None takes a resource off, back to its default."""
        return self._change(plan, resources=dict(resources))

    def change_limits(self, plan: str | Plan, *, running: int | None = None, pending: int | None = None) -> Plan:
        """How many of its runs may be under way (0: as many as fit), and how many may wait."""
        _check_limits(running, pending)
        return self._change(plan, running=running, pending=pending)

    def change_service_account(self, plan: str | Plan, name: str) -> Plan:
        """For runs that start from now on; "" takes it off."""
        return self._change(plan, service_account=check_text(name, "service account"))

    def annotate(
        self,
        plan: str | Plan,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        remove_keys: Iterable[str] = (),
    ) -> Plan:
        """Change its annotations, `key=value`: first take off, then add."""
        return self._change(
            plan,
            add_annotations=tuple(map(_pair, add)),
            remove_annotations=tuple(map(_pair, remove)),
            remove_annotation_keys=tuple(remove_keys),
        )

    def change(
        self,
        plan: str | Plan,
        *,
        active: bool | None = None,
        resources: Mapping[str, object] | None = None,
        running: int | None = None,
        pending: int | None = None,
        service_account: str | None = None,
        add_annotations: Iterable[str] = (),
        remove_annotations: Iterable[str] = (),
        remove_annotation_keys: Iterable[str] = (),
    ) -> Plan:
        """Several of these changes in one step; what is None stays as it is."""
        _check_limits(running, pending)
        return self._change(
            plan,
            active=active,
            resources=resources,
            running=running,
            pending=pending,
            service_account=service_account and check_text(service_account, "service account"),
            add_annotations=tuple(map(_pair, add_annotations)),
            remove_annotations=tuple(map(_pair, remove_annotations)),
            remove_annotation_keys=tuple(check_text(key, "annotation") for key in remove_annotation_keys),
        )

    def why(self, plan: str | Plan, data: Named) -> Why:
        """Whether the data may sit in an input of the plan, and if not, what is missing."""
        from raykqi.catalog.reasons import explain

        whole = self.plan(plan)
        return self._read(lambda: explain(self._keeper.index, whole, self._resolve(data, removed=True)))

    def plan_graph(self, plan: str | Plan | None = None) -> PlanFlow:
        """Which plans feed which, by their tags; around one plan, or all of them."""
        from raykqi.catalog.reasons import plan_flow

        start = self.plan(plan).id if plan else ""
        return self._read(lambda: plan_flow(self._keeper.index, start, project=self._project))

    def preview_tag(
        self,
        data: Named | Sequence[Named],
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        remove_keys: Iterable[str] = (),
    ) -> tuple[list[TagChange], list[RunCreated]]:
        """What `tag` would change, and the runs that it would make; nothing is changed."""
        events = self._controller.preview(self._tag_command(data, add, remove, remove_keys))
        changes = [
            TagChange(event.data, event.removed, event.added) for event in events if isinstance(event, TagsChanged)
        ]
        return changes, [event for event in events if isinstance(event, RunCreated)]

    def matches(self, data: Named) -> list[tuple[str, str]]:
        """The plans and inputs that may take the data now."""

        def read() -> list[tuple[str, str]]:
            whole = self._resolve(data)
            return plan_queries.matched_by(self._keeper.index, [whole], project=self._project).get(whole, [])

        return self._read(read)

    # For clients, whose code comes by itself

    def code_with(self, tree: str) -> str:
        """The data of the project that holds exactly this code, or ""."""
        return self._read(lambda: plan_queries.code_with_tree(self._keeper.index, tree, project=self._project))

    def push_code(self, folder: Path, title: str) -> Data:
        """The code of a plan as data of the workspace."""
        return self._upload(None).push_code(folder, check_text(title, "title"))

    def _change(self, plan: str | Plan, **changes: Any) -> Plan:
        if isinstance(plan, str):
            index, project = self._keeper.index, self._project
            alike = self._read(lambda: plan_queries.named_plans(index, plan, project=project, active=True))
            if len(alike) > 1:
                raise AmbiguousId(
                    f"{len(alike)} active plans are called {plan!r}: {', '.join(alike)}",
                    candidates=tuple(alike),
                    hint="Name the one that you mean by its id.",
                )
        id_ = self.plan(plan).id
        command = ChangePlan(self._settings.user, id_, project=self._project, **changes)
        self._controller.submit(command)
        return self.plan(id_)

    def _apply_command(self, draft: Draft, *, replace: bool) -> ApplyPlan:
        from raykqi.workspace.code import capture_code

        if draft.missing:
            raise InvalidInput(
                f"{draft.origin or 'the plan'}: {', '.join(draft.missing)} has no value",
                hint=f"Give it: `--param {draft.missing[0]}=…`, or params= in Python.",
            )
        if not draft.source and draft.definition.code:
            code: Code | None = self._sent_code(draft.definition.code)
        else:
            code = capture_code(draft, self._parts, self._upload(None), self._project)
        definition = msgspec.structs.replace(draft.definition, code=code)
        return ApplyPlan(self._settings.user, definition, draft.settings, replace, self._project)

    def _sent_code(self, code: Code) -> Code:
        """Code that a client has pushed before: it must be what its plan will say that it is."""
        data = self._read(lambda: queries.get_data(self._keeper.index, [self._resolve(code.data)])[0])
        if data.tree.hash != code.tree or data.status != "done":
            raise Conflict(
                f"data {data.id} does not hold the code {code.tree[:12]}", hint="Apply the plan again, with its code."
            )
        return Code(code.tree, data.id, code.source)

    def _equivalent(self, command: ApplyPlan) -> Plan | None:
        from raykqi.catalog.run_facts import plans_with

        digest = command.definition.digest
        ids = self._read(lambda: plans_with(self._keeper.index, project=command.project, digest=digest))
        return self.plan(ids[0]) if ids else None


def _check_limits(running: int | None, pending: int | None) -> None:
    for name, value, least in (("running", running, 0), ("pending", pending, 1)):
        if value is None:
            continue
        if value < least:
            raise InvalidInput(f"a limit of {value} {name} runs is not possible", hint="Give a larger number.")
        if value > MOST_RUNS:
            raise InvalidInput(f"a limit of {value} {name} runs is no limit", hint=f"Give at most {MOST_RUNS:,}.")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = check_text(text, "annotation").partition("=")
    if not equals or not key.strip():
        raise InvalidInput(f"annotation {text!r} is not key=value", hint="Write it as owner=mika.")
    return key.strip(), value
