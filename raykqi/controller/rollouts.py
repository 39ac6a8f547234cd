"""Brings endpoints to answer: tells their replicas what to serve, and moves revisions on by what they report.

One thread decides, woken by commits, by reports and by the moment at which something is due. All that it
knows beside the index comes again with the next reports, so that a later controller just goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from raykqi.catalog.endpoint_queries import ServedEndpoint, served_endpoints
from raykqi.controller.applications import Applications, Shape, State
from raykqi.controller.controller import Controller
from raykqi.controller.followers import Followers
from raykqi.controller.gauging import Gauging
from raykqi.controller.staging import Staging
from raykqi.domain.endpoint import Binding, Endpoint, EndpointSpec
from raykqi.domain.endpoint_events import EndpointEvent
from raykqi.domain.events import Event, RunEnded, RunRecorded, TagsChanged
from raykqi.domain.ids import Clock
from raykqi.domain.rollout import Counts, JobOrder, Report, Wanted, WantedRevision
from raykqi.engine.endpoint_commands import HoldEndpoint, MoveRevision
from raykqi.engine.rollout import BY, Measured, kept_ready, next_steps, shares, since
from raykqi.errors import RaykqiError, ServerUnavailable

__all__ = ["Rollouts"]

log = logging.getLogger(__name__)

POLL = 10.0  # seconds for which a replica waits for news at the most
UNKNOWN = 1.0  # the same for one of an endpoint that is not there, which may only just have been made
AGAIN = 2.0  # seconds until storage that refused is tried again
JOBS_AT_ONCE = 4  # of one replica
_NOTHING = EndpointSpec(Binding())
MEASURES = (RunRecorded, RunEnded, TagsChanged)  # what may bring the metric that a gate waits for


class Rollouts:
    def __init__(self, controller: Controller, gauging: Gauging, applications: Applications, *, clock: Clock) -> None:
        self._controller = controller
        self._keeper = controller.keeper
        self._gauging = gauging
        self._clock = clock
        self._followers = Followers()
        self._changed = self._followers.lock
        self._served: dict[str, ServedEndpoint] = {}
        self._wanted: dict[str, Wanted] = {}
        # Of an earlier controller the replicas may have heard of versions, which must not look as if they were these.
        self._version = time.time_ns() // 1_000_000
        self._orders: dict[str, dict[str, JobOrder]] = {}  # by replica and job
        self._is_stale, self._is_due = True, True
        self._has_gates = False
        self._is_read = False
        self._is_over = False
        self._deeds = -1
        self._look_again: datetime | None = None
        self._states: Mapping[str, State] = {}
        self._staging = Staging(applications, self._told)
        self._thread = threading.Thread(target=self._work, name="raykqi-rollouts", daemon=True)

    def open(self) -> None:
        self._thread.start()
        self._staging.open()

    def close(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._staging.close()

    # What others tell, in threads of theirs

    def heard(self, events: Sequence[Event]) -> None:
        """What was committed in this process."""
        is_ours = any(isinstance(event, EndpointEvent) or _says_of_a_model(event) for event in events)
        may_measure = self._has_gates and any(isinstance(event, MEASURES) for event in events)
        if is_ours or may_measure or self._keeper.latest.deeds != self._deeds:
            self.look_around()

    def look_around(self) -> None:
        """Anything may be new."""
        with self._changed:
            self._is_stale = self._is_due = True
            self._changed.notify_all()

    def follow(self, words: bytes) -> bytes:
        """What a replica shall serve: at once if it knows something older, else as soon as there is something new.

        Raises ServerUnavailable while it is not known what there is, which must not look as if there were nothing.
        """
        report = msgspec.msgpack.decode(words, type=Report)
        with self._changed:
            until = time.monotonic() + (POLL if report.endpoint in self._wanted or not self._is_read else UNKNOWN)
            if self._followers.take(report):
                self._is_due = True
                self._changed.notify_all()
            while not report.is_leaving:
                if self._is_read and (news := self._news(report)):
                    self._followers.answered(report)
                    return msgspec.msgpack.encode(news)
                if self._is_over or not self._changed.wait(until - time.monotonic()):
                    break
            self._followers.answered(report)
            if not self._is_read:
                raise ServerUnavailable("it is not known yet what endpoints there are", hint="Try again in a moment.")
            return msgspec.msgpack.encode(self._as_it_is(report))

    def replicas(self, endpoint: str) -> list[Report]:
        """The last words of those that are there."""
        with self._changed:
            return self._followers.of(endpoint)

    def counts(self) -> list[tuple[str, str, int, Counts]]:
        """Name, project and revision, with all that it has done since this controller began."""
        with self._changed:
            totals = self._followers.totals()
            served = dict(self._served)
        return [
            (served[id_].endpoint.name, served[id_].endpoint.project, revision, counts)
            for (id_, revision), counts in totals.items()
            if id_ in served
        ]

    def _news(self, report: Report) -> Wanted | None:
        wanted = self._wanted.get(report.endpoint)
        if wanted is None:  # removed, if the replica has heard of it before
            return self._as_it_is(report) if report.version > 0 and not self._is_stale else None
        if wanted.version != report.version:
            return self._as_it_is(report)
        new_jobs = self._orders.get(report.replica, {}).keys() - set(report.jobs)
        return self._as_it_is(report) if new_jobs else None

    def _as_it_is(self, report: Report) -> Wanted:
        wanted = self._wanted.get(report.endpoint)
        if wanted is None:
            return Wanted(0, report.endpoint, "", "", _NOTHING, reason="there is no such endpoint any more")
        return msgspec.structs.replace(wanted, jobs=tuple(self._orders.get(report.replica, {}).values()))

    def _told(self, states: Mapping[str, State]) -> None:
        with self._changed:
            self._states = states
            self._is_due = True
            self._changed.notify_all()

    # The thread that decides

    def _work(self) -> None:
        while self._wait():
            try:
                self._round()
            except RaykqiError as error:
                log.warning("endpoints are looked at again in %g s: %s", AGAIN, error.message)
                self._later()
            except Exception:
                log.exception("endpoints are looked at again in %g s", AGAIN)
                self._later()

    def _wait(self) -> bool:
        with self._changed:
            while not self._is_due and not self._is_over:
                left = None if self._look_again is None else (self._look_again - self._clock.now()).total_seconds()
                if (left is not None and left <= 0) or self._followers.drop_gone():
                    break
                self._changed.wait(
                    min((each for each in (left, self._followers.pause()) if each is not None), default=None)
                )
            self._is_due = False
            return not self._is_over

    def _later(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, AGAIN)
            self._is_due = self._is_stale = True

    def _round(self) -> None:
        self._read()
        while self._step():
            self._read()
        self._tell()

    def _read(self) -> None:
        with self._changed:
            if not self._is_stale:
                return
            self._is_stale = False
        deeds = self._keeper.latest.deeds
        found = self._keeper.sound(lambda: served_endpoints(self._keeper.index))
        with self._changed:
            self._served = {each.endpoint.id: each for each in found}
            self._deeds = deeds
            self._has_gates = any(each.endpoint.coming and each.endpoint.spec.gate.metric for each in found)

    def _step(self) -> bool:
        """Whether something was committed, so that all has to be read again."""
        now = self._clock.now()
        self._look_again = None
        commands: list[MoveRevision | HoldEndpoint] = []
        for served in self._served.values():
            endpoint = served.endpoint
            with self._changed:
                replicas, doing = len(self._followers.of(endpoint.id)), self._followers.doing(endpoint)
            try:
                measured = self._measured(endpoint)
            except RaykqiError as error:  # of files that cannot be read, which must not hold up other endpoints
                log.warning("endpoint %s is looked at again in %g s: %s", endpoint.name, AGAIN, error.message)
                self._look_again = _earliest(self._look_again, now + timedelta(seconds=AGAIN))
                continue
            following = next_steps(endpoint, replicas=replicas, doing=doing, measured=measured, now=now)
            commands += [
                MoveRevision(BY, endpoint.id, step.revision, step.before, step.status, step.reason)
                for step in following.steps
            ]
            if not following.steps and (due := _earliest(following.look_again, _until_kept(endpoint, now))):
                self._look_again = _earliest(self._look_again, due)
            if (reason := self._held(endpoint, replicas)) != endpoint.reason:
                commands.append(HoldEndpoint(BY, endpoint.id, reason))
        futures = [self._controller.submit_later(command) for command in commands]
        for future in futures:
            future.result()
        if commands:
            with self._changed:
                self._is_stale = True
        return bool(commands)

    def _measured(self, endpoint: Endpoint) -> Measured:
        gate, coming, live = endpoint.spec.gate, endpoint.coming, endpoint.live
        if not gate.metric or coming is None or coming.status != "waiting" or live is None:
            return Measured()
        return Measured(self._gauging.metric(coming.data, gate.metric), self._gauging.metric(live.data, gate.metric))

    def _held(self, endpoint: Endpoint, replicas: int) -> str:
        state = self._states.get(endpoint.name)
        return state.reason if state and not replicas and not endpoint.is_paused else ""

    def _tell(self) -> None:
        now, access = self._clock.now(), self._deeds
        wanted: dict[str, Wanted] = {}
        shapes: list[Shape] = []
        for id_, served in self._served.items():
            fresh = _wanted(served, access, now)
            before = self._wanted.get(id_)
            is_same = before is not None and msgspec.structs.replace(fresh, version=before.version) == before
            if not is_same:
                self._version += 1
            wanted[id_] = before if is_same and before else msgspec.structs.replace(fresh, version=self._version)
            if served.endpoint.revisions and not served.endpoint.is_paused:
                shapes.append(_shape(served))
        with self._changed:
            self._followers.forget(self._served)
            self._wanted = wanted
            self._share_out()
            self._is_read = True
            self._changed.notify_all()
        self._staging.show(shapes)

    def _share_out(self) -> None:
        """Each waiting job to the replica that has the fewest, unless one that is still there has it."""
        before, self._orders = self._orders, {}
        for served in self._served.values():
            there = [
                report.replica
                for report in self._followers.of(served.endpoint.id)
                if any(each.state == "ready" for each in report.revisions)
            ]
            mine: dict[str, dict[str, JobOrder]] = {replica: {} for replica in there}
            waiting = {order.job: order for order in served.jobs}
            for replica in there:
                mine[replica] = {job: waiting.pop(job) for job in before.get(replica, {}) if job in waiting}
            for job, order in waiting.items():
                least = min(there, key=lambda replica: len(mine[replica]), default=None)
                if least is None or len(mine[least]) >= JOBS_AT_ONCE:
                    break
                mine[least][job] = order
            self._orders |= mine


def _says_of_a_model(event: Event) -> bool:
    return isinstance(event, TagsChanged) and any(tag.key.startswith("card.") for tag in (*event.removed, *event.added))


def _wanted(served: ServedEndpoint, access: int, now: datetime) -> Wanted:
    endpoint = served.endpoint
    given = shares(endpoint)
    kept = kept_ready(endpoint, now)
    revisions = tuple(
        WantedRevision(
            number=each.number,
            data=each.data,
            tree=each.tree,
            loading=each.loading,
            status=each.status,
            share=given.get(each.number, 0.0),
            code=served.code.get(each.data, ""),
            tags=served.cards.get(each.data, ()),
        )
        for each in endpoint.revisions
        if not endpoint.is_paused and (each.status in ("loading", "canary", "live") or each is kept)
    )
    return Wanted(
        version=0,
        endpoint=endpoint.id,
        name=endpoint.name,
        project=endpoint.project,
        spec=endpoint.spec,
        revisions=revisions,
        access=access,
        reason="" if revisions else _why_nothing(endpoint),
    )


def _why_nothing(endpoint: Endpoint) -> str:
    if endpoint.is_paused:
        return f"it is paused{': ' if endpoint.reason else ''}{endpoint.reason}"
    last = endpoint.coming or next(iter(endpoint.revisions[::-1]), None)
    return (last and last.reason) or "no model is live yet"


def _shape(served: ServedEndpoint) -> Shape:
    """One that may sleep is kept awake while a model is being loaded or a job waits."""
    endpoint = served.endpoint
    scale = endpoint.spec.scale
    if not scale.least and (served.jobs or any(each.status in ("loading", "canary") for each in endpoint.revisions)):
        scale = msgspec.structs.replace(scale, least=1)
    spec = endpoint.spec
    return Shape(endpoint.id, endpoint.name, endpoint.project, scale, spec.resources, spec.limits.queue)


def _until_kept(endpoint: Endpoint, now: datetime) -> datetime | None:
    live = endpoint.live
    if live is None or kept_ready(endpoint, now) is None:
        return None
    return since(live) + timedelta(seconds=endpoint.spec.guard.seconds)


def _earliest(left: datetime | None, right: datetime | None) -> datetime | None:
    return min((each for each in (left, right) if each is not None), default=None)
