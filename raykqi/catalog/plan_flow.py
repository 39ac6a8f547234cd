"""What could come of the outputs of a plan, through all plans that are there: to see a cycle before it is made."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from raykqi.catalog.index import Index
from raykqi.domain.tags import Tag

__all__ = ["plans_below"]

_BELOW = """
    SELECT DISTINCT o.plan FROM flow f JOIN plan_tag w ON w.key = f.key AND w.value = f.value
    JOIN plan_port o ON o.number = w.port
    WHERE o.kind = 'input' AND o.data_id = '' AND o.moment IS NULL AND o.project = ?
    GROUP BY f.item, o.number, o.plan, o.needs HAVING count(*) = o.needs
"""
_FLOW = """
    SELECT o.number, w.key, w.value FROM plan_port o JOIN plan_tag w ON w.port = o.number
    WHERE o.kind <> 'input' AND o.plan IN (SELECT unnest(?::BIGINT[]))
"""


def plans_below(index: Index, project: str, outputs: Collection[tuple[Tag, ...]]) -> set[frozenset[Tag]]:
    """The tags of everything that could come of outputs with these tags, through plans that are there."""
    seen_plans: set[int] = set()
    reached = {frozenset(tags) for tags in outputs}
    frontier = list(reached)
    while frontier:
        rows = [(item, *tag) for item, tags in enumerate(frontier) for tag in tags]
        if not rows:
            break
        items, keys, values = zip(*rows, strict=True)
        cursor = index.cursor()
        cursor.register("flow", pa.table({"item": items, "key": keys, "value": values}))
        plans = {plan for (plan,) in cursor.execute(_BELOW, [project]).fetchall()} - seen_plans
        cursor.unregister("flow")
        seen_plans |= plans
        flows: dict[int, set[Tag]] = {}
        for port, key, value in cursor.execute(_FLOW, [list(plans)]).fetchall():
            flows.setdefault(port, set()).add(Tag(key, value))
        frontier = [tags for tags in map(frozenset, flows.values()) if tags not in reached]
        reached.update(frontier)
    return reached
