"""What is known of an endpoint, and short ways to ask for decisions about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from raykqi.catalog.endpoint_facts import EndpointFacts, RevisionFacts
from raykqi.catalog.facts import DataFacts, Facts
from raykqi.domain.data import TreeRef
from raykqi.domain.endpoint import Binding, EndpointSpec, RevisionStatus
from raykqi.domain.endpoint_events import (
    RevisionMoved,
)
from raykqi.domain.events import Event
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.tags import parse_tags
from raykqi.engine import decide_access, decide_endpoints  # noqa: F401  they register their decisions
from raykqi.engine.decide import decide
from raykqi.engine.endpoint_commands import (
    DeployEndpoint,
)

__all__ = ["BY_TAGS", "FOUR", "NINE", "NOW", "ONE", "THREE", "TREE", "TWO", "Row", "by_data", "decided", "deploy"]
__all__ += ["known", "moves", "nothing"]

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ONE, TWO, THREE, FOUR, NINE = (f"01939c1c-0000-7000-8000-{number:012x}" for number in (1, 2, 3, 4, 9))
TREE = TreeRef("f" * 64, 10, 1)
BY_TAGS = EndpointSpec(Binding(tags=parse_tags(["type:model", "stage:prod"])))
Row = tuple[int, str, RevisionStatus, int]  # number, data, status, when it was live last


def by_data(data: str = ONE) -> EndpointSpec:
    return EndpointSpec(Binding(data))


def known(*rows: Row, spec: EndpointSpec = BY_TAGS, pinned: bool = False, followed: str = "") -> Facts:
    """Endpoint e-1, digits, with these revisions; the data ONE and TWO are there, THREE was purged."""
    endpoint = EndpointFacts("e-1", "digits", "lab", spec, is_pinned=pinned, followed=followed)
    for number, data, status, lived in rows:
        endpoint.revisions[number] = RevisionFacts(number, data, spec.loading, status, "", lived, data != THREE)
    data = {id_: DataFacts("lab", "done", "done") for id_ in (ONE, TWO)}
    data[THREE] = DataFacts("lab", "purged", "done")
    return Facts(
        data, generation=4, condemned=frozenset(), endpoints={"e-1": endpoint}, endpoint_names={"digits": "e-1"}
    )


def nothing() -> Facts:
    facts = known()
    facts.endpoints, facts.endpoint_names = {}, {}
    return facts


def decided(command: object, facts: Facts) -> list[Event]:
    return decide(command, facts, NOW, IdMaker(SystemClock()))


def deploy(spec: EndpointSpec, name: str = "digits", project: str = "lab") -> DeployEndpoint:
    return DeployEndpoint("mika", name, spec, project)


def moves(events: Iterable[Event]) -> list[tuple[int, str, str]]:
    return [(each.revision, each.status, each.reason) for each in events if isinstance(each, RevisionMoved)]
