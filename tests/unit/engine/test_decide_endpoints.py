"""Decisions about endpoints: what is known, what is asked, and what comes of it."""

from __future__ import annotations

import msgspec
import pytest

from raykqi.catalog.access_facts import AccessFacts, Contents
from raykqi.catalog.endpoint_facts import JobFacts
from raykqi.catalog.facts import Facts
from raykqi.catalog.quotas import StorageFacts
from raykqi.domain.endpoint import Binding, EndpointSpec, Gate, Loading, Sampling, Scale
from raykqi.domain.endpoint_events import (
    EndpointChanged,
    EndpointDeployed,
    EndpointHeld,
    EndpointRemoved,
    JobEnded,
    JobTaken,
    RevisionMade,
)
from raykqi.domain.events import DataPurged, RunInput, RunRecorded
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag, parse_tags
from raykqi.engine import decide_access, decide_endpoints  # noqa: F401  they register their decisions
from raykqi.engine.access_commands import RemoveProject
from raykqi.engine.commands import Purge, Remove
from raykqi.engine.endpoint_commands import (
    ChangeEndpoint,
    DeployEndpoint,
    EndJob,
    HoldEndpoint,
    MoveRevision,
    Promote,
    RemoveEndpoint,
    RollBack,
    TakeJob,
)
from raykqi.errors import Conflict, DataGone, InUse, InvalidInput, RaykqiError, UnknownId, UploadStale
from tests.unit.engine.endpoints import (
    BY_TAGS,
    NINE,
    NOW,
    ONE,
    THREE,
    TREE,
    TWO,
    Row,
    by_data,
    decided,
    deploy,
    known,
    moves,
    nothing,
)


def test_an_endpoint_bound_to_a_data_gets_its_first_revision_at_once() -> None:
    facts = nothing()

    one, other = decided(deploy(by_data()), facts)

    assert isinstance(one, EndpointDeployed)
    assert isinstance(other, RevisionMade)
    assert (one.name, one.project, one.spec) == ("digits", "lab", by_data())
    assert (other.endpoint, other.revision, other.data, other.status) == (one.endpoint, 1, ONE, "loading")
    assert other.cause == Cause("user", "mika", ONE)
    assert facts.endpoint_names == {"digits": one.endpoint}


def test_which_data_has_the_tags_is_found_afterwards() -> None:
    (event,) = decided(deploy(BY_TAGS), nothing())

    assert isinstance(event, EndpointDeployed)


def test_saying_the_same_again_changes_nothing() -> None:
    assert decided(deploy(by_data()), known((1, ONE, "live", 1), spec=by_data())) == []
    assert decided(deploy(BY_TAGS), known((1, ONE, "live", 1), followed=ONE)) == []


def test_the_same_name_in_the_same_project_says_all_anew() -> None:
    scaled = msgspec.structs.replace(by_data(), scale=Scale(most=3))
    (event,) = decided(deploy(scaled), known((1, ONE, "live", 1), spec=by_data()))
    assert isinstance(event, EndpointDeployed)
    assert (event.endpoint, event.spec.scale.most) == ("e-1", 3)

    _, made = decided(deploy(by_data(TWO)), known((1, ONE, "live", 1), spec=by_data()))
    assert isinstance(made, RevisionMade)
    assert (made.revision, made.data) == (2, TWO)


def test_a_model_that_comes_back_keeps_its_number() -> None:
    facts = known((1, ONE, "retired", 1), (2, TWO, "live", 2), spec=by_data(TWO))

    _, moved = decided(deploy(by_data(ONE)), facts)

    assert moves([moved]) == [(1, "loading", "its model is the one to serve again")]


def test_another_way_to_load_it_makes_another_revision_of_the_same_data() -> None:
    loading = Loading(predictor="model.py:Model")
    spec = msgspec.structs.replace(by_data(), loading=loading)

    _, made = decided(deploy(spec), known((1, ONE, "live", 1), spec=by_data()))

    assert isinstance(made, RevisionMade)
    assert (made.revision, made.data, made.loading) == (2, ONE, loading)


@pytest.mark.parametrize("spec", [by_data(), BY_TAGS])
def test_a_model_that_could_not_be_loaded_is_tried_again_when_it_is_deployed_again(spec: EndpointSpec) -> None:
    failed = known((1, ONE, "failed", 0), spec=spec, followed=ONE)
    assert moves(decided(deploy(spec), failed)) == [(1, "loading", "")]

    withdrawn = known((1, ONE, "withdrawn", 0), spec=spec, followed=ONE)
    assert decided(deploy(spec), withdrawn) == []


def test_what_is_on_its_way_gives_way_to_what_comes_later() -> None:
    facts = known((1, ONE, "loading", 0), spec=by_data())

    _, withdrawn, made = decided(deploy(by_data(TWO)), facts)

    assert moves([withdrawn]) == [(1, "withdrawn", "superseded by revision 2")]
    assert isinstance(made, RevisionMade)


def test_a_rolled_back_endpoint_stays_so_until_it_is_bound_to_something_else() -> None:
    rows: tuple[Row, ...] = ((1, ONE, "live", 2), (2, TWO, "retired", 1))
    scaled = msgspec.structs.replace(by_data(TWO), scale=Scale(most=3))
    assert len(decided(deploy(scaled), known(*rows, spec=by_data(TWO), pinned=True))) == 1

    _, freed = decided(deploy(BY_TAGS), known(*rows, spec=by_data(TWO), pinned=True))
    assert isinstance(freed, EndpointChanged)
    assert freed.pinned is False


@pytest.mark.parametrize(
    ("gate", "live", "status"),
    [
        (Gate(metric="accuracy"), True, "waiting"),
        (Gate(metric="accuracy"), False, "loading"),
        (Gate(approvers=("aya",)), True, "waiting"),
        (Gate(approvers=("aya",)), False, "waiting"),
        (Gate(), True, "loading"),
    ],
)
def test_a_new_model_waits_at_the_gate(gate: Gate, live: bool, status: str) -> None:
    spec = msgspec.structs.replace(by_data(TWO), gate=gate)
    facts = known(*([(1, ONE, "live", 1)] if live else []), spec=by_data())

    made = decided(deploy(spec), facts)[-1]

    assert isinstance(made, RevisionMade)
    assert made.status == status
    assert bool(made.reason) == (status == "waiting")


def test_what_was_live_before_passes_no_gate_again() -> None:
    spec = msgspec.structs.replace(by_data(ONE), gate=Gate(metric="accuracy", approvers=("aya",)))

    events = decided(deploy(spec), known((1, ONE, "retired", 1), (2, TWO, "live", 2), spec=by_data(TWO)))

    assert moves(events) == [(1, "loading", "its model is the one to serve again")]


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        (deploy(by_data(THREE)), DataGone, f"{THREE} was purged"),
        (deploy(by_data(NINE)), UnknownId, f"there is no data {NINE}"),
        (deploy(by_data(), project="other"), Conflict, "taken by an endpoint of another project"),
        (deploy(by_data(), name="Digits"), InvalidInput, "no name of an endpoint"),
        (deploy(EndpointSpec(Binding())), InvalidInput, "one data or to tags"),
        (deploy(msgspec.structs.replace(BY_TAGS, scale=Scale(3, 2))), InvalidInput, "scale.most"),
    ],
)
def test_an_endpoint_that_could_not_serve_is_refused(
    command: DeployEndpoint, error: type[RaykqiError], words: str
) -> None:
    with pytest.raises(error, match=words):
        decided(command, known())


def test_data_that_is_still_being_made_is_no_model() -> None:
    facts = known()
    facts.data[ONE].status = "processing"

    with pytest.raises(Conflict, match="processing"):
        decided(deploy(by_data()), facts)


def test_an_endpoint_does_not_follow_its_own_samples() -> None:
    sampling = Sampling(share=0.1, tags=parse_tags(["stage:prod"]))
    spec = EndpointSpec(Binding(tags=parse_tags(["type:sample", "stage:prod"])), sampling=sampling)

    with pytest.raises(InvalidInput, match="own samples"):
        decided(deploy(spec), nothing())
    assert decided(deploy(msgspec.structs.replace(spec, sampling=Sampling())), nothing())


def test_pausing_twice_is_pausing_once() -> None:
    facts = known((1, ONE, "live", 1))

    assert decided(ChangeEndpoint("mika", "e-1", paused=True, reason="bad data"), facts) == [
        EndpointChanged(NOW, "mika", "e-1", paused=True, reason="bad data")
    ]
    assert decided(ChangeEndpoint("mika", "e-1", paused=True), facts) == []
    assert decided(ChangeEndpoint("mika", "e-1", paused=False), facts) == [
        EndpointChanged(NOW, "mika", "e-1", paused=False)
    ]


def test_one_bound_to_a_data_that_follows_again_serves_that_data_again() -> None:
    facts = known((1, ONE, "live", 2), (2, TWO, "retired", 1), spec=by_data(TWO), pinned=True)

    changed, *moved = decided(ChangeEndpoint("mika", "e-1", pinned=False), facts)

    assert changed == EndpointChanged(NOW, "mika", "e-1", pinned=False)
    assert [each[:2] for each in moves(moved)] == [(2, "loading")]


def test_why_it_is_held_is_told_once() -> None:
    facts = known()

    assert decided(HoldEndpoint("raykqi", "e-1", "no GPU"), facts) == [EndpointHeld(NOW, "e-1", "no GPU")]
    assert decided(HoldEndpoint("raykqi", "e-1", "no GPU"), facts) == []


def test_an_endpoint_that_is_removed_retires_its_revisions_and_ends_its_jobs() -> None:
    facts = known((1, ONE, "live", 1), (2, TWO, "loading", 0))
    facts.jobs["j-1"] = JobFacts("j-1", "e-1", "waiting", ONE)

    events = decided(RemoveEndpoint("mika", "e-1", "old"), facts)

    assert moves(events) == [(1, "retired", "the endpoint was removed"), (2, "retired", "the endpoint was removed")]
    assert events[2:] == [
        JobEnded(NOW, "j-1", "e-1", reason="the endpoint was removed"),
        EndpointRemoved(NOW, "mika", "e-1", "old"),
    ]
    with pytest.raises(UnknownId):
        decided(RemoveEndpoint("mika", "e-1"), facts)
    assert decided(MoveRevision("raykqi", "e-1", 1, "retired", "live"), facts) == []


@pytest.mark.parametrize(
    "command",
    [
        ChangeEndpoint("mika", "e-1", paused=True, project="other"),
        RemoveEndpoint("mika", "e-1", project="other"),
        Promote("mika", "e-1", project="other"),
        RollBack("mika", "e-1", project="other"),
        TakeJob("mika", "e-1", TREE, "predict", "application/json", project="other"),
    ],
)
def test_an_endpoint_of_another_project_is_not_there(command: object) -> None:
    with pytest.raises(UnknownId, match="there is no endpoint e-1"):
        decided(command, known((1, ONE, "live", 1)))


def take(**changes: object) -> TakeJob:
    job = TakeJob("taro", "e-1", TREE, "predict", "application/json", (Tag("type", "request"),), generation=4)
    return msgspec.structs.replace(job, **changes)


def end(**changes: object) -> EndJob:
    ended = EndJob("raykqi", "e-1", "j-1", 1, TREE, (Tag("type", "answer"),), generation=4)
    return msgspec.structs.replace(ended, **changes)


def with_job() -> Facts:
    facts = known((1, ONE, "live", 1))
    facts.jobs["j-1"] = JobFacts("j-1", "e-1", "waiting", TWO)
    return facts


def test_a_job_and_its_request_are_written_down_together() -> None:
    recorded, taken = decided(take(), known((1, ONE, "live", 1)))

    assert isinstance(recorded, RunRecorded)
    assert isinstance(taken, JobTaken)
    (output,) = recorded.outputs
    assert (recorded.plan, recorded.project, recorded.by) == ("raykqi#uploaded", "lab", "taro")
    assert (output.name, output.tree, output.tags) == ("request", TREE, (Tag("type", "request"),))
    assert (taken.endpoint, taken.request, taken.kind) == ("e-1", output.data, "predict")


def test_the_result_of_a_job_is_made_of_its_request_and_the_model() -> None:
    recorded, ended = decided(end(), with_job())

    assert isinstance(recorded, RunRecorded)
    assert recorded.plan == "raykqi#served"
    assert recorded.inputs == (RunInput("request", TWO), RunInput("model", ONE))
    assert ended == JobEnded(NOW, "j-1", "e-1", 1, recorded.outputs[0].data)


def test_a_job_that_has_ended_is_left_as_it_is() -> None:
    facts = with_job()
    decided(end(), facts)

    assert decided(end(), facts) == []
    assert decided(end(job="j-9"), facts) == []


def test_a_job_that_came_to_nothing_ends_with_the_reason() -> None:
    assert decided(end(result=None, reason="the model failed on it"), with_job()) == [
        JobEnded(NOW, "j-1", "e-1", 1, reason="the model failed on it")
    ]


def test_a_result_for_which_there_is_no_room_ends_the_job_with_the_reason() -> None:
    facts = with_job()
    facts.storage = {"lab": StorageFacts(limit=5, held=0)}

    (ended,) = decided(end(), facts)

    assert isinstance(ended, JobEnded)
    assert (ended.result, ended.reason[:11]) == ("", "project lab")


def test_a_request_that_was_removed_meanwhile_does_not_cost_the_answer() -> None:
    facts = with_job()
    facts.data[TWO].status = "removed"

    recorded, _ = decided(end(), facts)

    assert isinstance(recorded, RunRecorded)
    assert recorded.inputs == (RunInput("model", ONE),)


@pytest.mark.parametrize("command", [take(generation=3), end(generation=3)])
def test_what_was_stored_before_a_collection_is_not_relied_upon(command: object) -> None:
    facts = with_job()

    with pytest.raises(UploadStale):
        decided(command, facts)
    assert facts.jobs["j-1"].status == "waiting"


@pytest.mark.parametrize("command", [Purge("mika", (ONE,), "big"), Remove("mika", (ONE,), "old")])
def test_a_model_that_answers_cannot_be_given_up(command: object) -> None:
    facts = known((1, ONE, "live", 1))
    facts.served = {ONE: ["digits", "shop"]}

    with pytest.raises(InUse, match="the model of the endpoint digits, shop\nServe another model first"):
        decided(command, facts)
    facts.served = {}
    assert decided(Purge("mika", (ONE,), "big"), facts) == [DataPurged(NOW, "mika", ONE, "big")]


def test_a_project_with_endpoints_cannot_be_removed() -> None:
    facts = known()
    facts.access = AccessFacts({"lab"}, contents={"lab": Contents(endpoints=2)})

    with pytest.raises(InUse, match="it holds 2 endpoints"):
        decided(RemoveProject("mika", "lab"), facts)
