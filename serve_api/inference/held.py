"""One revision in this replica: its files, the process of its model, and that process again when it died."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from raykqi.domain.endpoint import ANSWERING, Batching, EndpointSpec, Loading, ServingResources
from raykqi.domain.rollout import ReportedRevision, WantedRevision
from raykqi.errors import ModelGone, RaykqiError, StorageError
from raykqi.serving.process import Start
from serve_api.inference.counting import Counter
from serve_api.inference.placing import Places
from serve_api.inference.seams import Launch, Model

__all__ = ["Held", "Made", "Surroundings"]

log = logging.getLogger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0  # seconds between tries to bring a process up again
STEADY = 60.0  # seconds after which a process that died counts as having run well
GRACE = 5.0  # seconds for what the process itself has left to do


class Made(msgspec.Struct, frozen=True):
    """All that decides how a process is; another of these is another process."""

    data: str
    tree: str
    code: str
    tags: tuple[str, ...]
    loading: Loading
    batching: Batching
    resources: ServingResources
    body: int

    @classmethod
    def of(cls, wanted: WantedRevision, spec: EndpointSpec) -> Made:
        own = (wanted.data, wanted.tree, wanted.code, wanted.tags, wanted.loading)
        return cls(*own, spec.batching, spec.resources, spec.limits.body)


class Surroundings(msgspec.Struct, frozen=True):
    """What all revisions of a replica share. `within`: seconds in which a model has to be loaded."""

    places: Places
    launch: Launch
    say: Callable[[str], None]
    within: float


class Held:
    """`changed` is called whenever `state` is another. For one thread: the loop's."""

    def __init__(
        self,
        wanted: WantedRevision,
        made: Made,
        name: str,
        around: Surroundings,
        counter: Counter,
        changed: Callable[[], None],
    ) -> None:
        self.wanted, self.made = wanted, made
        self.counter = counter
        self.headers = [
            (b"raykqi-data", wanted.data.encode("latin-1", "replace")),
            (b"raykqi-revision", b"%d" % wanted.number),
            (b"raykqi-endpoint", name.encode("latin-1", "replace")),
        ]
        self.state: Literal["loading", "ready", "failed"] = "loading"
        self.reason = ""
        self.model: Model | None = None
        self.asking = 0  # requests that are under way
        self.heard = 0.0  # when its process gave an answer
        # What was asked of a process when it died is asked again one by one: only what kills it fails then.
        self.suspects = asyncio.Lock()
        self.is_over = False
        self._name = name
        self._around = around
        self._changed = changed
        self._placed: list[str] = []
        self._moved = asyncio.Event()
        self._task = asyncio.create_task(self._live(), name=f"raykqi-revision-{wanted.number}")

    @property
    def number(self) -> int:
        return self.wanted.number

    @property
    def is_loaded(self) -> bool:
        """Whether a process has memory for it, or is about to."""
        return self.state != "failed" and not self.is_over

    def reported(self) -> ReportedRevision:
        batches = self.model.batches if self.model else 0
        return ReportedRevision(self.number, self.state, self.reason, self.counter.counts(batches))

    async def until_ready(self, within: float) -> bool:
        """Whether it is ready in that time; at once when it will not be."""
        end = time.monotonic() + within
        while self.state == "loading" and not self.is_over:
            self._moved.clear()
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    await self._moved.wait()
            except TimeoutError:
                return False
        return self.state == "ready" and not self.is_over

    def process(self) -> Model:
        """Raises ModelGone when there is none at the moment."""
        if self.model is None:
            raise ModelGone("the process of the model has ended")
        return self.model

    def answered(self) -> None:
        """One request less is under way."""
        self.asking -= 1
        if self.is_over and not self.asking:
            self._moved.set()

    def lost(self, model: Model, why: str) -> None:
        """Nothing is to be asked of that process any more; another begins."""
        if model is self.model:
            self.model = None
            self._set("loading", f"{why}; it is started again")

    def kill(self, model: Model) -> None:
        """It gives no answers: end its process."""
        if model is self.model:
            self.lost(model, "it gave no answer in time")
            self._ending = asyncio.ensure_future(model.close(0))

    async def end(self, patience: float) -> None:
        """After its last request, or that time, its process and its files go."""
        self.is_over = True
        self._moved.set()
        end = time.monotonic() + patience
        while self.asking and time.monotonic() < end:
            self._moved.clear()
            try:
                async with asyncio.timeout(end - time.monotonic()):
                    await self._moved.wait()
            except TimeoutError:
                break
        self._task.cancel()
        await asyncio.wait([self._task])
        model, self.model = self.model, None
        if model:
            self._keep_count(model)
            await model.close(GRACE)
        await self._leave_places()

    def _set(self, state: Literal["loading", "ready", "failed"], reason: str = "") -> None:
        if (state, reason) != (self.state, self.reason):
            if reason or state == "ready":
                self._around.say(f"revision {self.number} is {state}{f': {reason}' if reason else ''}")
            self.state, self.reason = state, reason
            self._moved.set()
            self._changed()

    async def _live(self) -> None:
        pause = 0.0
        while True:
            try:
                model = await self._load()
            except (StorageError, OSError) as error:
                # Others may have it: nothing is said against the model.
                self._set("loading", f"{_said(error)}; it is tried again")
                pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, pause * 2))
            except Exception as error:
                if not isinstance(error, RaykqiError):
                    log.exception("revision %d of %s could not be loaded", self.number, self._name)
                await self._leave_places()
                self._set("failed", _said(error))
                await asyncio.sleep(LONGEST_PAUSE)
                while self.wanted.status not in ANSWERING:  # a new one has had its chance
                    await asyncio.sleep(LONGEST_PAUSE)
                pause = 0.0
                self._set("loading", self.reason)
            else:
                self.model = model
                self.heard = began = time.monotonic()
                self._set("ready")
                how = await model.over()
                self._keep_count(model)
                self.lost(model, f"its process {how}")
                pause = min(LONGEST_PAUSE, pause * 2 or FIRST_PAUSE) if time.monotonic() - began < STEADY else 0.0
                if pause == FIRST_PAUSE:
                    continue  # the first time there is no reason to wait
            await asyncio.sleep(pause)

    async def _load(self) -> Model:
        made = self.made
        folder = await self._place(made.tree)
        code = await self._place(made.code) if made.code else None
        start = Start(
            model=str(folder),
            code=str(code or ""),
            loading=self.wanted.loading,
            batching=made.batching,
            name=self._name,
            revision=self.number,
            data=made.data,
            tags=made.tags,
            threads=max(1, round(made.resources.cpu)),
            memory=made.resources.memory,
            body=made.body,
        )
        return await self._around.launch(start, self._say, self._around.within)

    async def _place(self, tree: str) -> Path:
        taking = asyncio.ensure_future(asyncio.to_thread(self._around.places.take, tree))
        try:
            path = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(lambda done: self._let_go(done, tree))
            raise
        if tree in self._placed:
            await asyncio.to_thread(self._around.places.release, tree)  # it was held already
        else:
            self._placed.append(tree)
        return path

    def _let_go(self, taken: asyncio.Future[Path], tree: str) -> None:
        if taken.exception() is None:
            asyncio.get_running_loop().run_in_executor(None, self._around.places.release, tree)

    async def _leave_places(self) -> None:
        placed, self._placed = self._placed, []
        for tree in placed:
            await asyncio.to_thread(self._around.places.release, tree)

    def _say(self, line: str) -> None:
        self._around.say(f"[{self.number}] {line}")

    def _keep_count(self, model: Model) -> None:
        self.counter.batches += model.batches


def _said(error: BaseException) -> str:
    if isinstance(error, RaykqiError):
        return f"{error.message}. {error.hint}".rstrip(". ") if error.hint else error.message
    return f"{type(error).__name__}: {error}"
