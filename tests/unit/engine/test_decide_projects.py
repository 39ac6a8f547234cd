"""The last line of defence: a decision refuses what is of another project as if it were not there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raykqi.catalog.facts import Consumer, DataFacts, Facts
from raykqi.catalog.quotas import StorageFacts
from raykqi.catalog.run_facts import OutputFacts, PlanFacts, RunFacts
from raykqi.domain.data import TreeRef
from raykqi.domain.events import DataRemoved, Event, RunInput, RunRecorded, TagsChanged
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.plan import Definition, PlanInput, PlanSettings
from raykqi.domain.tags import Tag
from raykqi.engine import decide_plans, decide_runs  # noqa: F401  they register their decisions
from raykqi.engine.commands import ChangeTags, Command, NewOutput, Purge, RecordRun, Remove
from raykqi.engine.decide import decide
from raykqi.engine.run_commands import ChangePlan, RemoveRuns, RetryRuns, ReuseRun, StopRuns
from raykqi.errors import Conflict, InUse, QuotaExceeded, UnknownId

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TREE = TreeRef("ab" * 32, 10, 1)
OTHER = TreeRef("cd" * 32, 30, 1)
NOTE = Tag("note", "1")


def facts() -> Facts:
    """Data `d`, plan `p` and run `r`, all of lab-2; beside them `own`, `own run` of lab-1."""
    known = Facts(
        {"d": DataFacts("lab-2", "done", "done"), "own": DataFacts("lab-1", "done", "done")},
        generation=3,
        condemned=frozenset(),
    )
    known.runs = {
        "r": RunFacts("r", "p", "lab-2", "waiting", 0, 0, ""),
        "own run": RunFacts("own run", "q", "lab-1", "waiting", 0, 0, ""),
    }
    definition = Definition((PlanInput("in"),), command=("true",))
    known.plans = {"p": PlanFacts("p", "lab-2", definition, PlanSettings(), "")}
    return known


def decided(command: Command, known: Facts | None = None) -> list[Event]:
    return decide(command, known or facts(), NOW, IdMaker(SystemClock()))


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (ChangeTags("hana", ("own", "d"), add=(NOTE,), project="lab-1"), "data d"),
        (Purge("hana", ("d",), "why", project="lab-1"), "data d"),
        (Remove("hana", ("d",), "why", project="lab-1"), "data d"),
        (ChangePlan("hana", "p", active=False, project="lab-1"), "plan p"),
        (StopRuns("hana", ("r",), fail=True, project="lab-1"), "run r"),
        (RetryRuns("hana", ("r",), project="lab-1"), "run r"),
        (RemoveRuns("hana", ("r",), project="lab-1"), "run r"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_of_another_project_is_refused_as_unknown(command: Command, named: str) -> None:
    known = facts()

    with pytest.raises(UnknownId) as refused:
        decided(command, known)

    assert refused.value.message == f"there is no {named}"
    assert known == facts()


def test_what_the_system_does_itself_is_bound_to_no_project() -> None:
    (event,) = decided(ChangeTags("raykqi", ("d",), add=(NOTE,)))

    assert isinstance(event, TagsChanged)


def record(*inputs: str, readable: frozenset[str] | None = frozenset(), tree: TreeRef = TREE) -> RecordRun:
    return RecordRun(
        "hana",
        "raykqi#uploaded",
        (NewOutput("/upload", tree),),
        tuple(RunInput(name, name) for name in inputs),
        generation=3,
        project="lab-1",
        readable=readable,
    )


def test_inputs_are_of_the_project_or_of_one_that_may_be_read() -> None:
    assert isinstance(decided(record("own"))[0], RunRecorded)
    assert isinstance(decided(record("own", "d", readable=frozenset({"lab-2"})))[0], RunRecorded)
    assert isinstance(decided(record("d", readable=None))[0], RunRecorded)
    for readable in (frozenset[str](), frozenset({"lab-3"})):
        with pytest.raises(UnknownId, match="there is no data d"):
            decided(record("d", readable=readable))


def test_a_run_takes_outputs_of_no_run_of_another_project() -> None:
    known = facts()
    known.runs["r"].status = "done"
    known.runs["r"].outputs = [OutputFacts("out", "d", "done", TREE)]

    with pytest.raises(Conflict, match="run r is of another project"):
        decided(ReuseRun("raykqi", "own run", "r"), known)


def test_what_others_made_of_data_is_no_reason_to_keep_it_and_is_not_named() -> None:
    known = facts()
    known.data["own"].consumers = [Consumer("r", "done", frozenset({"d"}), "lab-2")]
    assert isinstance(decided(Remove("hana", ("own",), "why", project="lab-1"), known)[0], DataRemoved)

    known = facts()
    known.data["own"].consumers = [Consumer("r", "running", frozenset({"d"}), "lab-2")]
    with pytest.raises(InUse) as refused:
        decided(Purge("hana", ("own",), "why", project="lab-1"), known)
    assert refused.value.message == "data own cannot be purged: a run of another project uses it and is running"


# Storage


def with_storage(held: int, *trees: str) -> Facts:
    known = facts()
    known.storage = {"lab-1": StorageFacts(100, held, set(trees))}
    return known


def test_up_to_the_limit_data_are_recorded() -> None:
    known = with_storage(90)

    assert len(decided(record(), known)) == 1
    with pytest.raises(QuotaExceeded, match="project lab-1 holds 100 B of at most 100 B: there is no room for 30 B"):
        decided(record(tree=OTHER), known)
    assert len(decided(record(), known)) == 1  # the same content again


def test_what_does_not_fit_changes_nothing() -> None:
    known = with_storage(91)

    with pytest.raises(QuotaExceeded):
        decided(record(), known)

    assert known == with_storage(91)


def test_content_that_the_project_has_takes_no_room() -> None:
    assert len(decided(record(), with_storage(100, TREE.hash))) == 1


def test_other_projects_are_not_bound_by_it() -> None:
    known = facts()
    known.storage = {"lab-2": StorageFacts(0, 0)}

    assert len(decided(record(), known)) == 1
