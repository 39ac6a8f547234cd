"""What is known of replicas that come and go."""

from __future__ import annotations

from datetime import UTC, datetime

from raykqi.controller.followers import Followers
from raykqi.domain.endpoint import Binding, Endpoint, EndpointSpec, Loading, Revision
from raykqi.domain.rollout import Counts, Report, ReportedRevision
from raykqi.domain.run import Cause

AT = datetime(2026, 1, 1, tzinfo=UTC)
LIVE = Revision(1, "d", "t", Loading(), "live", AT, "mika", Cause("user", "mika"))
ENDPOINT = Endpoint(
    "e", "digits", "default", EndpointSpec(Binding(data="d")), AT, AT, "mika", revisions=(LIVE,)
)  # fmt: skip


def report(replica: str, answers: int, *, is_leaving: bool = False) -> Report:
    done = ReportedRevision(1, "ready", "", Counts(answers, latencies=(answers,)))
    return Report("e", replica, 1, revisions=(done,), is_leaving=is_leaving)


def test_what_replicas_did_that_have_left_is_kept_as_one_sum() -> None:
    followers = Followers()
    followers.take(report("stays", 1))
    for number in range(100):
        followers.take(report(f"r{number}", 2))
        followers.take(report(f"r{number}", 3, is_leaving=True))

    assert followers.totals() == {("e", 1): Counts(301, latencies=(301,))}
    assert len(followers._counts["e", 1]) == 2
    assert [each.replica for each in followers.of("e")] == ["stays"]


def test_what_was_done_since_counts_on_when_a_replica_leaves() -> None:
    followers = Followers()
    followers.take(report("r1", 10))
    assert followers.doing(ENDPOINT)[1].counts.answers == 0
    followers.take(report("r1", 14))
    assert followers.doing(ENDPOINT)[1].counts.answers == 4

    followers.take(report("r1", 15, is_leaving=True))

    assert followers.doing(ENDPOINT)[1].counts.answers == 5


def test_a_word_that_was_overtaken_by_the_last_one_brings_no_replica_back() -> None:
    followers = Followers()
    followers.take(report("r1", 3, is_leaving=True))

    assert not followers.take(report("r1", 2))

    assert followers.of("e") == []
    assert followers.totals() == {("e", 1): Counts(3, latencies=(3,))}
