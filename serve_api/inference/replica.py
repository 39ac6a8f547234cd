"""One replica of an endpoint: follows the controller, holds what is wanted, reports how that goes, asks models.

While the controller is away it goes on with what it knows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from raykqi.domain.endpoint import Binding, EndpointSpec
from raykqi.domain.rollout import Report, Wanted
from raykqi.errors import ModelFailed, ModelGone, RaykqiError, ServerUnavailable
from raykqi.serving.frames import Answered, Asked, Kind
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from serve_api.inference.access import Access
from serve_api.inference.held import Held, Surroundings
from serve_api.inference.jobs import Jobs
from serve_api.inference.limiting import Rate, Reading
from serve_api.inference.lines import Lines
from serve_api.inference.placing import Places
from serve_api.inference.recording import Recorder
from serve_api.inference.revisions import Revisions
from serve_api.inference.samples import Samples
from serve_api.inference.seams import Controller, Launch, Streamed, TimedOut

__all__ = ["Options", "Replica"]

log = logging.getLogger(__name__)
POLL = 40.0  # seconds after which a question to the controller counts as lost
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between tries to reach it
PROMPT = 3.0  # seconds in which a controller says that there is no such endpoint any more
AT_ONCE = -1  # the version that nobody has: such a report is answered at once
LEAVING = 2.0  # seconds in which the controller is told
FLUSHING = 8.0  # seconds for samples when it ends
_encode = msgspec.msgpack.Encoder().encode
_wanted = msgspec.msgpack.Decoder(Wanted)


class Options(msgspec.Struct, frozen=True):
    """`replica` is a name that no other has, `by` who records samples. `within`: seconds for loading a model.

    `each` is how often counts are reported, `startup` how long it may take to be ready before requests are let in.
    """

    endpoint: str
    name: str
    replica: str
    by: str
    node: str = ""
    within: float = 600.0
    each: float = 1.0
    startup: float = 600.0
    shutdown: float = 15.0


class Replica:
    """Made anywhere; `open` and `close` in the loop that it serves in."""

    def __init__(
        self, options: Options, store: Store, settings: Settings, controller: Controller, launch: Launch
    ) -> None:
        self.options = options
        self.name = options.name
        self.spec = EndpointSpec(Binding())
        self.asking = 0  # requests that are under way
        self.rate = Rate()
        self.reading = Reading()
        self._store, self._settings = store, settings
        self._controller = controller
        self._launch = launch
        self._version = AT_ONCE
        self._following: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Comes back when all that is wanted is ready or has failed, or this takes too long."""
        options = self.options
        self.lines = Lines(self._store, options.endpoint, options.replica)
        self.lines.open()
        self._places = Places(self._store, self._settings)
        around = Surroundings(self._places, self._launch, self.lines.say, options.within)
        self._news = asyncio.Event()
        self.revisions = Revisions(self.name, around, self._news.set)
        self.access = Access(self._controller, self.name)
        recorder = Recorder(self._store, self._controller)
        self.samples = Samples(recorder, self.name, options.by, self.lines.say)
        self.samples.open()
        self.jobs = Jobs(
            self._store, self._settings, self._controller, recorder, self.ask, self.lines.say, self._news.set
        )
        self._following = [
            asyncio.create_task(self._follow(), name="raykqi-follow"),
            asyncio.create_task(self._tell(), name="raykqi-tell"),
        ]
        await self.revisions.until_settled(options.startup)

    async def close(self) -> None:
        """What is under way is finished, what was sampled is stored, and the processes end."""
        for task in self._following:
            task.cancel()
        if self._following:
            await asyncio.wait(self._following)
        with suppress(RaykqiError, TimeoutError):
            async with asyncio.timeout(LEAVING):
                await self._controller.follow(self._report(self._version, is_leaving=True))
        await self.jobs.close()
        await self.revisions.close(self.options.shutdown)
        await self.samples.close(FLUSHING)
        await self.lines.close()
        await asyncio.to_thread(self._places.close)

    def check(self) -> None:
        """Raises when what follows the controller has ended by a defect."""
        if any(task.done() for task in self._following):
            raise RaykqiError("the replica follows the controller no more", hint="Its log says why.")

    # What requests and jobs do

    async def ask(
        self, kind: Kind, headers: Mapping[str, str], body: bytes, number: int | None = None
    ) -> tuple[Answered, Held]:
        """Of the revision whose turn it is, or of that number. Raises why nothing can be asked."""
        asked = Asked(kind, headers, body)
        held = self.revisions.next() if number is None else self.revisions.numbered(number)
        timeout = self.spec.limits.timeout
        if held is None:
            if number is not None:
                raise self.revisions.why_not()
            began = time.monotonic()
            held = await self.revisions.wait(timeout)
            timeout = max(0.001, timeout - (time.monotonic() - began))
        return await self._ask(held, asked, timeout), held

    async def _ask(self, held: Held, asked: Asked, timeout: float) -> Answered:
        held.asking += 1
        began = time.monotonic()
        status = 0  # of whoever goes away before there is an answer, which says nothing of the model
        try:
            try:
                answered = await self._put(held, asked, timeout)
            except ModelGone:
                answered = await self._once_more(held, asked, began + timeout)
            status = answered.status
        except RaykqiError as error:
            status = error.status
            raise
        else:
            return answered
        finally:
            if status:
                held.counter.add(status, time.monotonic() - began)
            held.answered()

    async def _put(self, held: Held, asked: Asked, timeout: float) -> Answered:
        model = held.process()
        began = time.monotonic()
        try:
            answered = await model.ask(asked, timeout)
        except ModelGone as error:
            held.lost(model, error.message)
            raise
        if answered.status != 504:
            held.heard = time.monotonic()
        elif held.heard < began and timeout >= self.spec.limits.timeout:  # and nobody else got an answer
            held.kill(model)
        return answered

    async def _once_more(self, held: Held, asked: Asked, until: float) -> Answered:
        async with held.suspects:
            left = until - time.monotonic()
            if left <= 0 or not await held.until_ready(left):
                if time.monotonic() >= until:
                    raise TimedOut("the model gave no answer in time", hint="Try again in a moment.")
                raise self.revisions.why_not()
            try:
                return await self._put(held, asked, max(0.001, until - time.monotonic()))
            except ModelGone as error:
                raise ModelFailed(f"the model ended twice while it was asked this: {error.message}") from error

    async def stream(self, headers: Mapping[str, str], body: bytes) -> tuple[Streamed, Held]:
        """Whoever has it tells `held` at its end: its counter, and that it was answered."""
        held = self.revisions.next() or await self.revisions.wait(self.spec.limits.timeout)
        asked = Asked("stream", headers, body)
        held.asking += 1
        try:
            return await self._begin(held, asked), held
        except BaseException as error:
            if isinstance(error, RaykqiError):
                held.counter.add(error.status, 0.0)
            held.answered()
            raise

    async def _begin(self, held: Held, asked: Asked) -> Streamed:
        """Until the first piece has come, it can be asked once more."""
        timeout, model = self.spec.limits.timeout, held.model
        try:
            return await held.process().stream(asked, timeout)
        except ModelGone as error:
            if model:
                held.lost(model, error.message)
            async with held.suspects:
                if not await held.until_ready(timeout):
                    raise self.revisions.why_not() from error
                return await held.process().stream(asked, timeout)

    async def why_not(self, headers: Mapping[str, str]) -> ServerUnavailable:
        """Why nothing can be asked, for those who may ask; others only learn that it is so."""
        try:
            await self.access.user(headers)
        except RaykqiError:
            return ServerUnavailable(f"the endpoint {self.name} is not ready", hint="Try again in a moment.")
        return self.revisions.why_not()

    # What passes between this and the controller

    def _report(self, version: int, *, is_leaving: bool = False) -> bytes:
        options = self.options
        report = Report(
            endpoint=options.endpoint,
            replica=options.replica,
            version=version,
            node=options.node,
            revisions=self.revisions.reported(),
            jobs=self.jobs.doing,
            waiting=self.asking,
            is_leaving=is_leaving,
        )
        return _encode(report)

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        is_away = False
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(POLL):
                    words = await self._controller.follow(self._report(self._version))
                wanted = _wanted.decode(words)
                # A controller that has just begun may not know yet what there is, and takes its time to say so.
                is_known = bool(wanted.project) or time.monotonic() - began < PROMPT
                is_news = is_known and self._apply(wanted)
            except (RaykqiError, TimeoutError, OSError, msgspec.DecodeError) as error:
                if not is_away:
                    self.lines.say(f"the controller does not answer, which changes nothing here: {error}")
                is_away, is_news = True, False
            except Exception:
                log.exception("the controller could not be followed")
                is_news = False
            else:
                if is_away:
                    self.lines.say("the controller answers again")
                is_away = False
            if is_news or time.monotonic() - began > 1.0:
                pause = FIRST_PAUSE
            else:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    async def _tell(self) -> None:
        """What happened at once, and counts from time to time; what is lost comes again with the next."""
        told: tuple[object, ...] = ()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.options.each):
                    await self._news.wait()
            self._news.clear()
            now = (self.revisions.reported(), self.jobs.doing)
            if now == told:
                continue
            try:
                async with asyncio.timeout(POLL):
                    wanted = _wanted.decode(await self._controller.follow(self._report(AT_ONCE)))
                if wanted.version > self._version:
                    self._apply(wanted)
            except (RaykqiError, TimeoutError, OSError, msgspec.DecodeError):
                continue  # whoever follows says so
            except Exception:
                log.exception("the controller could not be told")
                continue
            told = now

    def _apply(self, wanted: Wanted) -> bool:
        """Whether it says anything new."""
        is_same = wanted.version == self._version and {order.job for order in wanted.jobs} == set(self.jobs.doing)
        if is_same and wanted.project:
            return False
        if wanted.project:
            self._version = wanted.version
            self.spec = wanted.spec
            limits = wanted.spec.limits
            self.access.set(wanted.project, is_public=wanted.spec.is_public, access=wanted.access)
            self.rate.set(limits.rate)
            self.samples.set(wanted.spec.sampling, wanted.project)
        self.revisions.apply(wanted)
        self.jobs.apply(wanted)
        return bool(wanted.project)  # without, there is no such endpoint, and nothing to wait for
