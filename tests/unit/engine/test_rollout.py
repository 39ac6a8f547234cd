"""What is done next with an endpoint whose replicas report so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from raykqi.domain.endpoint import (
    Binding,
    Canary,
    Endpoint,
    EndpointSpec,
    Gate,
    Guard,
    Loading,
    Move,
    Revision,
    RevisionStatus,
)
from raykqi.domain.rollout import LATENCIES_MS, Counts
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag
from raykqi.engine.rollout import Doing, Measured, Next, Step, kept_ready, next_steps, percentile, shares

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPEC = EndpointSpec(Binding(tags=(Tag("type", "model"),)))


def revision(number: int, status: RevisionStatus, *, at: datetime = NOON, reason: str = "") -> Revision:
    return Revision(
        number, f"data-{number}", f"tree-{number}", Loading(), status, NOON, "mika", Cause("user"), reason,
        (Move(NOON, "mika", "loading"), Move(at, "raykqi", status, reason)),
    )  # fmt: skip


def endpoint(*revisions: Revision, spec: EndpointSpec = SPEC, **more: bool) -> Endpoint:
    return Endpoint("e", "digits", "default", spec, NOON, NOON, "mika", revisions=revisions, **more)


def asked(
    given: Endpoint,
    doing: Mapping[int, Doing] | None = None,
    *,
    replicas: int = 1,
    measured: Measured = Measured(),  # noqa: B008
    after: float = 0.0,
) -> Next:
    now = NOON + timedelta(seconds=after)
    return next_steps(given, replicas=replicas, doing=doing or {}, measured=measured, now=now)


def counted(answers: int, errors: int = 0, *, slow: int = 0) -> Counts:
    """`slow` of the answers took between one and two seconds, the others up to a millisecond."""
    latencies = [0] * (len(LATENCIES_MS) + 1)
    latencies[0], latencies[LATENCIES_MS.index(2000.0)] = answers - slow, slow
    return Counts(answers, errors, latencies=tuple(latencies))


def test_a_model_goes_live_when_every_replica_has_it_ready() -> None:
    coming = endpoint(revision(1, "loading"))

    assert asked(coming, {1: Doing(ready=1)}, replicas=2).steps == []
    assert asked(coming, {1: Doing(ready=2)}, replicas=2).steps == [Step(1, "loading", "live")]


def test_without_replicas_nothing_is_known_of_a_model() -> None:
    assert asked(endpoint(revision(1, "loading")), replicas=0).steps == []


def test_a_model_that_cannot_be_loaded_fails_and_the_old_one_stays() -> None:
    given = endpoint(revision(1, "live"), revision(2, "loading"))

    steps = asked(given, {2: Doing(failed=("opset 99 is too new",))}).steps

    assert steps == [Step(2, "loading", "failed", "opset 99 is too new")]


def test_with_a_canary_it_gets_a_share_first_and_the_first_model_of_all_gets_everything() -> None:
    spec = msgspec.structs.replace(SPEC, canary=Canary(share=0.1))

    assert asked(endpoint(revision(1, "loading"), spec=spec), {1: Doing(1)}).steps == [Step(1, "loading", "live")]
    given = endpoint(revision(1, "live"), revision(2, "loading"), spec=spec)
    assert asked(given, {2: Doing(1)}).steps == [Step(2, "loading", "canary", "gets 0.1 of requests")]
    assert shares(endpoint(revision(1, "live"), revision(2, "canary"), spec=spec)) == {1: 0.9, 2: 0.1}


def test_a_canary_goes_live_after_its_time_and_its_requests() -> None:
    spec = msgspec.structs.replace(SPEC, canary=Canary(share=0.1, seconds=60, requests=20))
    given = endpoint(revision(1, "live"), revision(2, "canary"), spec=spec)

    early = asked(given, {2: Doing(1, (), counted(50))}, after=59)
    assert early.steps == []
    assert early.look_again == NOON + timedelta(seconds=60)
    assert asked(given, {2: Doing(1, (), counted(19))}, after=61).steps == []
    assert asked(given, {2: Doing(1, (), counted(20))}, after=61).steps == [
        Step(2, "canary", "live", "did well for 20 requests")
    ]


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (counted(20, 3), "3 of 20 requests failed, more than 0.1 of them"),
        (counted(100, slow=2), "1 in 100 requests took 1000 ms or longer, more than 500 ms"),
    ],
)
def test_a_canary_that_does_badly_is_taken_back(counts: Counts, reason: str) -> None:
    spec = msgspec.structs.replace(SPEC, canary=Canary(share=0.1), guard=Guard(errors=0.1, latency_ms=500))
    given = endpoint(revision(1, "live"), revision(2, "canary"), spec=spec)

    assert asked(given, {2: Doing(1, (), counts)}).steps == [Step(2, "canary", "withdrawn", reason)]


def test_few_requests_say_nothing() -> None:
    given = endpoint(revision(1, "retired"), revision(2, "live"))

    assert asked(given, {2: Doing(1, (), counted(19, 19))}).steps == []


def test_a_live_model_that_does_badly_gives_way_to_the_one_before() -> None:
    given = endpoint(revision(1, "retired"), revision(2, "live"))

    steps = asked(given, {2: Doing(1, (), counted(20, 5))}, after=30).steps

    assert steps == [
        Step(2, "live", "withdrawn", "5 of 20 requests failed, more than 0.1 of them"),
        Step(1, "retired", "live", "revision 2 was taken back: 5 of 20 requests failed, more than 0.1 of them"),
    ]


def test_after_its_time_a_live_model_is_watched_no_more_and_the_one_before_is_let_go() -> None:
    given = endpoint(revision(1, "retired"), revision(2, "live"))

    assert asked(given, {2: Doing(1, (), counted(20, 5))}, after=61).steps == []
    before = kept_ready(given, NOON + timedelta(seconds=59))
    assert before is not None
    assert before.number == 1
    assert kept_ready(given, NOON + timedelta(seconds=61)) is None


def test_the_first_model_of_all_has_nothing_to_give_way_to() -> None:
    assert asked(endpoint(revision(1, "live")), {1: Doing(1, (), counted(20, 20))}).steps == []


def test_a_step_back_that_was_half_written_is_ended() -> None:
    given = endpoint(revision(1, "retired"), revision(2, "withdrawn"))

    assert asked(given).steps == [Step(1, "retired", "live", "the one after it was taken back")]


def test_a_paused_endpoint_is_left_as_it_is() -> None:
    assert asked(endpoint(revision(1, "loading"), is_paused=True), {1: Doing(1)}).steps == []


GATED = msgspec.structs.replace(SPEC, gate=Gate(metric="accuracy"))


@pytest.mark.parametrize(
    ("gate", "measured", "step"),
    [
        (
            Gate("accuracy"),
            Measured(None, 0.9),
            Step(2, "waiting", "waiting", "waits until accuracy of its model is measured"),
        ),
        (Gate("accuracy"), Measured(0.91, 0.9), Step(2, "waiting", "loading", "accuracy is 0.91")),
        (
            Gate("accuracy"),
            Measured(0.9, 0.9),
            Step(2, "waiting", "withdrawn", "accuracy 0.9 is not better than 0.9 of revision 1"),
        ),
        (
            Gate("accuracy", least=0.02),
            Measured(0.91, 0.9),
            Step(2, "waiting", "withdrawn", "accuracy 0.91 is not 0.02 better than 0.9 of revision 1"),
        ),
        (Gate("loss", goal="lower"), Measured(0.3, 0.4), Step(2, "waiting", "loading", "loss is 0.3")),
        (Gate("accuracy"), Measured(0.5, None), Step(2, "waiting", "loading", "accuracy is 0.5")),
        (
            Gate("accuracy", approvers=("aya", "mika")),
            Measured(0.91, 0.9),
            Step(2, "waiting", "waiting", "waits for the word of aya or mika"),
        ),
    ],
)
def test_a_gate_opens_for_better_models_and_for_those_who_are_named(gate: Gate, measured: Measured, step: Step) -> None:
    given = endpoint(revision(1, "live"), revision(2, "waiting"), spec=msgspec.structs.replace(SPEC, gate=gate))

    assert asked(given, measured=measured).steps == [step]


def test_why_a_model_waits_is_told_once() -> None:
    waiting = revision(2, "waiting", reason="waits until accuracy of its model is measured")

    assert asked(endpoint(revision(1, "live"), waiting, spec=GATED)).steps == []


def test_a_pinned_endpoint_takes_nothing_new() -> None:
    assert asked(endpoint(revision(1, "live"), revision(2, "waiting"), is_pinned=True)).steps == []


def test_a_percentile_is_what_it_took_at_the_least() -> None:
    assert percentile(counted(100, slow=2), 0.99) == 1000.0
    assert percentile(counted(100, slow=0), 0.99) == 0.0
    assert percentile(Counts(), 0.99) == 0.0
