"""Why a plan takes data or does not, and which plans feed which."""

from __future__ import annotations

import msgspec

from raykqi.catalog.index import Index
from raykqi.catalog.plan_queries import matched_by
from raykqi.catalog.queries import get_data
from raykqi.domain.data import Data
from raykqi.domain.plan import Definition, Plan, PlanInput
from raykqi.domain.tags import SYSTEM_ID, SYSTEM_TIMESTAMP, Tag, show_instant
from raykqi.domain.why import InputReason, PlanFlow, PlanLink, PlanNode, Why

__all__ = ["explain", "plan_flow"]

_RUNS = """
    SELECT DISTINCT r.id::VARCHAR FROM run_input i JOIN run r ON r.number = i.run JOIN data d ON d.number = i.data
    WHERE r.plan = ? AND d.id = ?::UUID AND i.name <> '(code)' ORDER BY ALL
"""
_OTHERS = """
    SELECT o.name, count(m.data) FROM plan_port o JOIN plan p ON p.number = o.plan
    LEFT JOIN matched m ON m.port = o.number WHERE p.id = ? AND o.kind = 'input' GROUP BY o.name
"""
_LINKS = """
    SELECT s.id, f.name, t.id, i.name
    FROM plan_port f JOIN plan s ON s.number = f.plan
    JOIN plan_tag ft ON ft.port = f.number
    JOIN plan_tag it ON it.key = ft.key AND it.value = ft.value
    JOIN plan_port i ON i.number = it.port AND i.kind = 'input' AND i.data_id = '' AND i.moment IS NULL
    JOIN plan t ON t.number = i.plan AND t.project = s.project
    WHERE f.kind <> 'input' AND s.project = ?
    GROUP BY s.id, f.name, f.number, t.id, i.name, i.number, i.needs HAVING count(*) = i.needs
    ORDER BY ALL
"""
_PLANS = "SELECT id, definition, active FROM plan WHERE project = ? ORDER BY number"


def explain(index: Index, plan: Plan, data: str) -> Why:
    (found,) = get_data(index, [data], project=plan.project)
    fitting = matched_by(index, [data], project=plan.project)
    matched = {name for id_, name in fitting.get(data, []) if id_ == plan.id}
    others = dict(index.rows(_OTHERS, [plan.id]))
    inputs = tuple(_reason(given, found, given.name in matched, others) for given in plan.definition.inputs)
    runs = tuple(id_ for (id_,) in index.rows(_RUNS, [plan.id, data]))
    return Why(plan.id, data, bool(matched), _say(plan, found, inputs, runs), inputs, runs)


def plan_flow(index: Index, start: str, *, project: str = "default") -> PlanFlow:
    """All plans of the project, or those that feed `start` or are fed by it, at whatever distance."""
    links = [PlanLink(*row) for row in index.rows(_LINKS, [project])]
    wanted: set[str] | None = None
    if start:
        wanted = _reached(start, links, forward=True) | _reached(start, links, forward=False)
    nodes = []
    for id_, text, active in index.rows(_PLANS, [project]):
        if wanted is not None and id_ not in wanted:
            continue
        definition = msgspec.json.decode(text, type=Definition)
        nodes.append(
            PlanNode(
                id_,
                definition.title,
                active,
                tuple(given.name for given in definition.inputs),
                tuple(output.name for output in definition.outputs),
            )
        )
    there = {node.id for node in nodes}
    kept = tuple(link for link in links if link.source in there and link.target in there)
    return PlanFlow(tuple(nodes), kept, start)


def _reached(start: str, links: list[PlanLink], *, forward: bool) -> set[str]:
    onward: dict[str, set[str]] = {}
    for link in links:
        near, far = (link.source, link.target) if forward else (link.target, link.source)
        onward.setdefault(near, set()).add(far)
    reached, waiting = {start}, [start]
    while waiting:
        for far in onward.get(waiting.pop(), set()) - reached:
            reached.add(far)
            waiting.append(far)
    return reached


def _reason(given: PlanInput, data: Data, is_match: bool, others: dict[str, int]) -> InputReason:
    missing = [tag for tag in given.tags if tag not in data.tags]
    reason = ""
    if given.id and given.id != data.id:
        missing.append(Tag(SYSTEM_ID, given.id))
    if given.timestamp and (data.timestamp is None or show_instant(data.timestamp) != show_instant(given.timestamp)):
        missing.append(Tag(SYSTEM_TIMESTAMP, show_instant(given.timestamp)))
    if not missing and not is_match:
        reason = f"the data is {data.status}"
    return InputReason(given.name, is_match, tuple(missing), reason, others.get(given.name, 0) - is_match)


def _say(plan: Plan, data: Data, inputs: tuple[InputReason, ...], runs: tuple[str, ...]) -> str:
    matching = [given.name for given in inputs if given.is_match]
    if not matching:
        if data.status != "done":
            return f"no: the data is {data.status}, and only data that is done is taken"
        nearest = min(inputs, key=lambda given: len(given.missing))
        return f"no: input {nearest.name} also wants {', '.join(map(str, nearest.missing))}"
    if runs:
        return f"yes, as {' and '.join(matching)}: it is in {len(runs)} run{'s' if len(runs) > 1 else ''}"
    empty = [given.name for given in inputs if not given.is_match and given.others == 0]
    if empty:
        return f"it fits {' and '.join(matching)}, but nothing is there for {' and '.join(empty)} yet"
    if plan.definition.join:
        keys = ", ".join(plan.definition.join)
        return f"it fits {' and '.join(matching)}, but no data for the other inputs agrees on {keys}"
    if plan.backlog:
        return f"it fits {' and '.join(matching)}; its runs are held back until fewer wait (limits.pending)"
    newest = next(
        (given for given in plan.definition.inputs if given.name in matching and given.take == "latest"), None
    )
    if newest:
        return f"it fits {newest.name}, but newer data does too, and only the latest is taken"
    return f"it fits {' and '.join(matching)}"
