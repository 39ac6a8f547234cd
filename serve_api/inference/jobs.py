"""Requests that are answered later: taken as data, done one after another, their results data as well.

A job that could not be done because nothing is ready, or because the controller is away, is tried again; the
controller gives it to another replica when this one is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from raykqi.domain.endpoint import Job
from raykqi.domain.endpoint_events import JobTaken
from raykqi.domain.rollout import JobOrder, Wanted
from raykqi.domain.tags import Tag
from raykqi.engine.endpoint_commands import EndJob, TakeJob
from raykqi.errors import (
    InvalidInput,
    ModelFailed,
    RaykqiError,
    ServerError,
    StorageError,
    StorageUnavailable,
    UnknownId,
)
from raykqi.serving.frames import Answered, Kind
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.open_file import open_file
from raykqi.storage.outcome import Pushed
from raykqi.storage.trees import read_tree
from serve_api.inference.held import Held
from serve_api.inference.recording import Recorder, why
from serve_api.inference.seams import Controller, TimedOut

__all__ = ["REQUEST", "RESULT", "Found", "Jobs", "kind_of"]

REQUEST, RESULT, HEADERS = "request", "result", "headers.json"
AT_ONCE = 2
AGAIN = 2.0  # seconds until a job that could not be done is tried again
PATIENCE = 15.0  # of whoever leaves a job
LONG = 3_600.0  # seconds for which a result is tried to be stored
SAID = ("content-type", "inference-header-content-length", "content-encoding")
KINDS: tuple[Kind, ...] = ("predict", "label", "infer")
_jobs = msgspec.msgpack.Decoder(Job)
_headers = msgspec.json.Decoder(dict[str, str])


class Asking(Protocol):
    """Asks a revision that is ready, as requests do."""

    async def __call__(self, kind: Kind, headers: Mapping[str, str], body: bytes) -> tuple[Answered, Held]: ...


class Found(NamedTuple):
    """A job, and when it is done its result."""

    job: Job
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Jobs:
    """For one thread: the loop's. `changed` is called when it does other jobs than before."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        controller: Controller,
        recorder: Recorder,
        ask: Asking,
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._store, self._settings = store, settings
        self._controller, self._recorder = controller, recorder
        self._ask, self._say, self._changed = ask, say, changed
        self._endpoint = self._name = self._project = ""
        self._mine: dict[str, asyncio.Task[None]] = {}  # also those that are over, until nobody orders them
        self._turn = asyncio.Semaphore(AT_ONCE)

    @property
    def doing(self) -> tuple[str, ...]:
        return tuple(self._mine)

    def apply(self, wanted: Wanted) -> None:
        self._endpoint, self._name, self._project = wanted.endpoint, wanted.name, wanted.project
        ordered = {order.job: order for order in wanted.jobs}
        before = set(self._mine)
        for job in before - ordered.keys():
            self._mine.pop(job).cancel()  # it has ended, or another does it
        for job in ordered.keys() - before:
            self._mine[job] = asyncio.create_task(self._do(ordered[job]), name=f"raykqi-job-{job}")
        if before != set(self._mine):
            self._changed()

    async def close(self) -> None:
        """What is not done yet is another's."""
        tasks = list(self._mine.values())
        self._mine.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def take(self, kind: Kind, headers: Mapping[str, str], body: bytes, by: str) -> str:
        """Keep the request; the id of the job."""
        content_type = headers.get("content-type", "application/json")
        if headers.get("content-encoding") or headers.get("inference-header-content-length"):
            raise InvalidInput("a job takes a plain body", hint="Send it without compression or binary tensors.")

        def taken(pushed: Pushed, generation: int) -> TakeJob:
            return TakeJob(
                by=by,
                endpoint=self._endpoint,
                request=pushed.tree,
                kind=kind,
                content_type=content_type,
                tags=(Tag("type", "request"), Tag("endpoint", self._name)),
                reused=pushed.reused,
                generation=generation,
                project=self._project,
            )

        events = await self._recorder.record({REQUEST: body}, taken, patience=PATIENCE)
        return next(event.job for event in events if isinstance(event, JobTaken))

    async def find(self, id_: str) -> Found:
        job = _jobs.decode(await self._controller.job(id_))
        if job.endpoint != self._endpoint:
            raise UnknownId(f"there is no job {id_}", hint="Ask the endpoint at which it was left.")
        if job.status != "done" or not job.tree:
            return Found(job)
        files = await asyncio.to_thread(self._read, job.tree)
        headers = _headers.decode(files[HEADERS]) if HEADERS in files else {"content-type": "application/octet-stream"}
        return Found(job, headers, files.get(RESULT, b""))

    async def _do(self, order: JobOrder) -> None:
        said = ""
        async with self._turn:
            while True:
                try:
                    await self._try(order)
                except (ServerError, StorageError) as error:
                    if (reason := why(error)) != said:  # it may be tried for days
                        self._say(f"job {order.job} is tried again: {reason}")
                    said = reason
                except RaykqiError as error:
                    self._say(f"job {order.job} could not be ended: {why(error)}")
                    return  # it was ended before, or is no more
                else:
                    return
                await asyncio.sleep(AGAIN)

    async def _try(self, order: JobOrder) -> None:
        try:
            files = await asyncio.to_thread(self._read, order.tree)
            answered, held = await self._ask(kind_of(order.kind), {"content-type": order.content_type}, files[REQUEST])
        except (RaykqiError, KeyError) as error:
            is_away = isinstance(error, ServerError | StorageUnavailable) and not isinstance(error, TimedOut)
            if is_away:
                raise
            await self._recorder.tell(self._ended(order, reason=why(error)), patience=LONG)
            return
        if answered.status >= 300:
            ended = self._ended(order, revision=held.number, reason=_reason(answered))
            await self._recorder.tell(ended, patience=LONG)
            return
        said = {name: answered.headers[name] for name in SAID if name in answered.headers}
        files = {RESULT: bytes(answered.body), HEADERS: msgspec.json.encode(said)}

        def done(pushed: Pushed, generation: int) -> EndJob:
            return self._ended(order, revision=held.number, pushed=pushed, generation=generation)

        await self._recorder.record(files, done, patience=LONG)

    def _ended(
        self, order: JobOrder, *, revision: int = 0, reason: str = "", pushed: Pushed | None = None, generation: int = 0
    ) -> EndJob:
        return EndJob(
            by=f"endpoint-{self._name}",
            endpoint=self._endpoint,
            job=order.job,
            revision=revision,
            result=pushed.tree if pushed else None,
            tags=(Tag("type", "result"), Tag("endpoint", self._name)) if pushed else (),
            reused=pushed.reused if pushed else frozenset(),
            generation=generation,
            reason=reason,
        )

    def _read(self, tree_hash: str) -> dict[str, bytes]:
        tree = read_tree(self._store, tree_hash)
        wanted = [entry.path for entry in tree if entry.kind == "file" and entry.path in (REQUEST, RESULT, HEADERS)]
        return {path: b"".join(open_file(self._store, tree, path, settings=self._settings)) for path in wanted}


def kind_of(text: str) -> Kind:
    for kind in KINDS:
        if kind == text:
            return kind
    raise InvalidInput(f"there are no jobs of the kind {text!r}", hint=f"Choose from {', '.join(KINDS)}.")


def _reason(answered: Answered) -> str:
    """In the words of the model, if it gave some."""
    try:
        said = msgspec.json.decode(bytes(answered.body))
        text = said.get("error") or said.get("detail") if isinstance(said, dict) else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = ""
    return str(text or ModelFailed(f"the model answered with status {answered.status}").message)[:2_000]
