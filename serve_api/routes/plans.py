"""Plans: what is run on which data. A plan comes as the text of a plan file, or as a draft that a client has read."""

from __future__ import annotations

import msgspec

from raykqi.domain.events import RunCreated
from raykqi.domain.filter_text import by_field, parse_filters
from raykqi.domain.plan import Definition, Plan, PlanInput, PlanOutput, PlanPage, PlanQuery
from raykqi.domain.tags import Tag, parse_query_tag
from raykqi.domain.text import check_text
from raykqi.domain.why import PlanFlow, Why
from raykqi.errors import InvalidInput
from raykqi.importers.draft import Draft
from raykqi.importers.planfile import read_sent_plan
from serve_api.asking import Asked
from serve_api.routes.data import Limit
from serve_api.routing import PROJECT, Routes

__all__ = ["routes"]

routes = Routes("plans", prefix=PROJECT)
YAML = ("application/yaml", "text/yaml", "application/x-yaml", "text/plain")
_EXAMPLE = Draft(
    Definition(
        name="train",
        command=("python", "train.py", "{inputs.images}", "{outputs.model}"),
        inputs=(PlanInput("images", "/in/images", (Tag("type", "images"),)),),
        outputs=(PlanOutput("model", "/out/model", (Tag("type", "model"),)),),
    )
)


class PlansListed(msgspec.Struct, frozen=True):
    """`annotation` as `key=value`, `filter` as `field:expression`. All conditions must hold."""

    active: bool | None = None
    name: str = ""
    image: str = ""
    in_tag: tuple[str, ...] = ()
    out_tag: tuple[str, ...] = ()
    annotation: tuple[str, ...] = ()
    filter: tuple[str, ...] = ()
    limit: Limit = 50
    cursor: str = ""


class PlanWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`replace` switches off earlier plans of the name; `exist_ok` takes a plan that is there for the same."""

    draft: Draft
    replace: bool = False
    exist_ok: bool = False
    dry_run: bool = False


class HowApplied(msgspec.Struct, frozen=True):
    """For plans that come as text: `param` as `name=value`, `variable` for what `${NAME}` stands for."""

    replace: bool = False
    exist_ok: bool = False
    dry_run: bool = False
    param: tuple[str, ...] = ()
    variable: tuple[str, ...] = ()


class HowRead(msgspec.Struct, frozen=True):
    param: tuple[str, ...] = ()
    variable: tuple[str, ...] = ()


class DraftWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    draft: Draft


class Applied(msgspec.Struct, frozen=True):
    """`plan` is what there is now; with `dry_run`, `runs` are those that it would make."""

    plan: Plan | None = None
    runs: tuple[RunCreated, ...] = ()


class PlanEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is. In `resources`, null takes one off."""

    active: bool | None = None
    resources: dict[str, str | int | float | None] | None = None
    running: int | None = None
    pending: int | None = None
    service_account: str | None = None
    add_annotations: tuple[str, ...] = ()
    remove_annotations: tuple[str, ...] = ()
    remove_annotation_keys: tuple[str, ...] = ()


class WhyAsked(msgspec.Struct, frozen=True):
    data: str


class GraphAsked(msgspec.Struct, frozen=True):
    """Around one plan, or all of them."""

    plan: str = ""


@routes.get("/plans", needs="viewer")
def list_plans(asked: Asked, query: PlansListed) -> PlanPage:
    """The plans that meet all conditions, newest first"""
    wanted = PlanQuery(
        active=query.active,
        name=check_text(query.name, "name"),
        image=check_text(query.image, "image"),
        in_tags=tuple(map(parse_query_tag, query.in_tag)),
        out_tags=tuple(map(parse_query_tag, query.out_tag)),
        annotations=tuple(_pairs(query.annotation, "annotation").items()),
        filters=parse_filters("plans", by_field(query.filter, ":")),
    )
    return asked.workspace.plan_page(wanted, limit=query.limit, cursor=query.cursor)


@routes.post(
    "/plans",
    needs="member",
    status=201,
    also=(200,),
    once=True,
    body=PlanWanted,
    takes=YAML,
    example=PlanWanted(_EXAMPLE),
)
def apply_plan(asked: Asked, query: HowApplied, body: PlanWanted | bytes) -> Applied:
    """From now on, data that matches its inputs is run"""
    wanted = body
    if isinstance(wanted, bytes):
        draft = _read(wanted, query.param, query.variable)
        wanted = PlanWanted(draft, query.replace, query.exist_ok, query.dry_run)
    draft = _sent(wanted.draft)
    if wanted.dry_run:
        asked.answer_status = 200
        runs = asked.workspace.preview_apply(draft, replace=wanted.replace, exist_ok=wanted.exist_ok)
        return Applied(None, tuple(runs))
    plan = asked.workspace.apply(draft, replace=wanted.replace, exist_ok=wanted.exist_ok)
    asked.answer_headers["Location"] = f"/api/v1/projects/{asked.project}/plans/{plan.id}"
    return Applied(plan)


@routes.post("/plans/check", needs="viewer", body=DraftWanted, takes=YAML, example=DraftWanted(_EXAMPLE))
def check_plan(asked: Asked, query: HowRead, body: DraftWanted | bytes) -> Draft:
    """Whether a plan keeps all rules, and how it is understood; nothing is changed"""
    draft = _read(body, query.param, query.variable) if isinstance(body, bytes) else body.draft
    return asked.workspace.draft(_sent(draft))


@routes.get("/plans/graph", needs="viewer")
def graph_of_plans(asked: Asked, query: GraphAsked) -> PlanFlow:
    """Which plans feed which, by their tags"""
    return asked.workspace.plan_graph(query.plan or None)


@routes.get("/plans/{plan:path}/why", needs="viewer")
def why_plan(asked: Asked, plan: str, query: WhyAsked) -> Why:
    """Whether the data may sit in an input of the plan, and if not, what is missing"""
    return asked.workspace.why(plan, query.data)


@routes.get("/plans/{plan:path}", needs="viewer", tagged=True)
def show_plan(asked: Asked, plan: str) -> Plan:
    """One plan, by its id, the beginning of one, or its name"""
    return asked.workspace.plan(plan)


@routes.patch("/plans/{plan:path}", needs="member", conditional=True, tagged=True, example=PlanEdit(active=False))
def change_plan(asked: Asked, plan: str, body: PlanEdit) -> Plan:
    """Switch it off or on, change its resources, limits or annotations: for runs that start from now on"""
    return asked.workspace.change(
        plan,
        active=body.active,
        resources=body.resources,
        running=body.running,
        pending=body.pending,
        service_account=body.service_account,
        add_annotations=body.add_annotations,
        remove_annotations=body.remove_annotations,
        remove_annotation_keys=body.remove_annotation_keys,
    )


def _read(body: bytes, params: tuple[str, ...], variables: tuple[str, ...]) -> Draft:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidInput("the plan is no text in UTF-8", hint="Send a plan file (YAML).") from None
    return read_sent_plan(text, params=_pairs(params, "param"), variables=_pairs(variables, "variable"))


def _sent(draft: Draft) -> Draft:
    """A folder or a repository in it would be one that the server reads."""
    if draft.source or draft.source_files or "working_dir" in draft.definition.runtime_env:
        raise InvalidInput("a draft that is sent names no source", hint="Send its code first: `POST …/code`.")
    return msgspec.structs.replace(draft, origin="", warnings=())


def _pairs(texts: tuple[str, ...], what: str) -> dict[str, str]:
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise InvalidInput(f"{what} {text!r} is not name=value", hint="Write it as lr=0.1.")
    return {name: value for name, _, value in (check_text(text, what).partition("=") for text in texts)}
