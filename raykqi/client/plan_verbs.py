"""Plans over HTTP. Files and functions are read here, and their code is sent along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from raykqi.client.asking import Asking, paged
from raykqi.client.filtering import filter_params
from raykqi.client.transport import Params
from raykqi.domain.data import Named, id_of
from raykqi.domain.events import RunCreated
from raykqi.domain.filter_text import parse_filters
from raykqi.domain.ids import check_id_prefix
from raykqi.domain.plan import Plan, PlanPage, PlanQuery
from raykqi.domain.tags import parse_query_tag
from raykqi.domain.text import check_text
from raykqi.domain.why import PlanFlow, Why
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from raykqi.importers.draft import Draft
    from raykqi.importers.functions import PlanFunction

__all__ = ["PlanVerbs"]


class Applied(msgspec.Struct, frozen=True):
    """`plan` is what there is now; with `dry_run`, `runs` are those that it would make."""

    plan: Plan | None = None
    runs: tuple[RunCreated, ...] = ()


class PlanVerbs(Asking):
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
        draft = self.draft(plan, params=params, variables=variables)
        applied = self._apply(draft, replace=replace, exist_ok=exist_ok, dry_run=False).plan
        assert applied is not None
        return applied

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
        draft = self.draft(plan, params=params, variables=variables)
        return list(self._apply(draft, replace=replace, exist_ok=exist_ok, dry_run=True).runs)

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

        def ask(most: int, cursor: str) -> tuple[Sequence[Plan], str]:
            page = self.plan_page(query, limit=most, cursor=cursor)
            return page.items, page.next_cursor

        return list(paged(ask, limit))

    def plan_page(self, query: PlanQuery, *, limit: int = 50, cursor: str = "") -> PlanPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        params: Params = [
            ("active", query.active),
            ("name", query.name or None),
            ("image", query.image or None),
            *(("in_tag", str(tag)) for tag in query.in_tags),
            *(("out_tag", str(tag)) for tag in query.out_tags),
            *(("annotation", f"{key}={value}") for key, value in query.annotations),
            *filter_params(query.filters),
            ("limit", limit),
            ("cursor", cursor or None),
        ]
        return self._transport.get(self._path("plans"), PlanPage, params)

    def plan(self, plan: str | Plan) -> Plan:
        """One plan, by its id, the beginning of one, or its name (the newest that has it)."""
        return self._transport.get(self._plan_path(plan), Plan)

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
        for name, value in (("running", running), ("pending", pending)):
            if value is not None and value < (0 if name == "running" else 1):
                raise InvalidInput(f"a limit of {value} {name} runs is not possible", hint="Give a larger number.")
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
        texts = {"add_annotations": list(add), "remove_annotations": list(remove)}
        for text in (*texts["add_annotations"], *texts["remove_annotations"]):
            check_text(text, "annotation")
        return self._change(plan, **texts, remove_annotation_keys=list(remove_keys))

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
        return self._change(
            plan,
            active=active,
            resources=resources and dict(resources),
            running=running,
            pending=pending,
            service_account=service_account,
            add_annotations=list(add_annotations),
            remove_annotations=list(remove_annotations),
            remove_annotation_keys=list(remove_annotation_keys),
        )

    def why(self, plan: str | Plan, data: Named) -> Why:
        """Whether the data may sit in an input of the plan, and if not, what is missing."""
        asked = [("data", check_id_prefix(id_of(data)))]
        return self._transport.get(f"{self._plan_path(plan)}/why", Why, asked)

    def plan_graph(self, plan: str | Plan | None = None) -> PlanFlow:
        """Which plans feed which, by their tags; around one plan, or all of them."""
        named = plan.id if isinstance(plan, Plan) else plan
        return self._transport.get(self._path("plans", "graph"), PlanFlow, [("plan", named or None)])

    def _plan_path(self, plan: str | Plan) -> str:
        named = plan.id if isinstance(plan, Plan) else check_text(plan, "plan").strip()
        if not named:
            raise InvalidInput("no plan was named", hint="Give an id of a plan, its beginning, or a name.")
        return self._path("plans", named)

    def _change(self, plan: str | Plan, **changes: object) -> Plan:
        wanted = {name: value for name, value in changes.items() if value is not None}
        return self._transport.ask("PATCH", self._plan_path(plan), Plan, body=wanted)

    def _apply(self, draft: Draft, *, replace: bool, exist_ok: bool, dry_run: bool) -> Applied:
        from raykqi.client.code import send_code

        if draft.missing:
            raise InvalidInput(
                f"{draft.origin or 'the plan'}: {', '.join(draft.missing)} has no value",
                hint=f"Give it: `--param {draft.missing[0]}=…`, or params= in Python.",
            )
        sent = send_code(draft, self._transport, self._path)
        body = {"draft": sent, "replace": replace, "exist_ok": exist_ok, "dry_run": dry_run}
        return self._transport.ask("POST", self._path("plans"), Applied, body=body)
