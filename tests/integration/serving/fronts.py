"""A front with real model processes behind a real server, told what to serve by an object of the test."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn

from raykqi.catalog.endpoint_queries import get_job
from raykqi.controller.receiving import Receiver
from raykqi.domain.access import Caller
from raykqi.domain.endpoint import Binding, EndpointSpec, Job, Loading
from raykqi.domain.rollout import Counts, JobOrder, Report, ReportedRevision, Wanted, WantedRevision
from raykqi.errors import ServerUnavailable, Unauthenticated
from raykqi.opening import Parts
from raykqi.serving.process import ModelProcess
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from serve_api.inference.front import Front
from serve_api.inference.replica import Options, Replica

__all__ = ["ENDPOINT", "NAME", "SPEC", "TOKEN", "Directing", "Fronted", "eventually", "fronted", "listening"]
__all__ += ["served_as", "spec"]

ENDPOINT, NAME, TOKEN = "019b0000-0000-7000-8000-000000000001", "digits", "rk_good"
LONG = 60.0
POLL = 5.0
SPEC = EndpointSpec(Binding(data="x"))


def spec(**changes: Any) -> EndpointSpec:
    return msgspec.structs.replace(SPEC, **changes)


def eventually(holds: Callable[[], object], what: str = "") -> Any:
    deadline, pause = time.monotonic() + LONG, threading.Event()
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        pause.wait(0.02)
    return found


class Directing:
    """The controller of one endpoint, whose word is what the test says last; it commits to a real workspace."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.reports: list[Report] = []
        self.callers = {TOKEN: Caller("rui", roles={"default": "viewer"})}
        self.admitted: list[str] = []
        self.commits = 0
        self.asked_to_store = 0
        self.is_away = False
        self.has_left = False
        self._wanted = Wanted(0, ENDPOINT, NAME, "default", SPEC, reason="nothing was deployed")
        self._receiver = Receiver(parts.controller)
        self._changed = threading.Condition()

    # What the test says and sees

    def show(
        self,
        *revisions: WantedRevision,
        spec: EndpointSpec = SPEC,
        jobs: tuple[JobOrder, ...] = (),
        access: int = 0,
        reason: str = "",
        endpoint: str = ENDPOINT,
    ) -> None:
        with self._changed:
            version = self._wanted.version + 1
            self._wanted = Wanted(version, endpoint, NAME, "default", spec, revisions, jobs, access, reason)
            self._changed.notify_all()

    def change(self, **changes: Any) -> None:
        """Of the last word."""
        with self._changed:
            changed = msgspec.structs.replace(self._wanted, version=self._wanted.version + 1, **changes)
            self._wanted = changed
            self._changed.notify_all()

    def leave(self, *, away: bool) -> None:
        with self._changed:
            self.is_away = away
            self._changed.notify_all()

    @property
    def wanted(self) -> Wanted:
        return self._wanted

    def counts(self, number: int) -> Counts:
        found = self.last(number)
        return found.counts if found else Counts()

    def last(self, number: int) -> ReportedRevision | None:
        """What was said of it last."""
        report = self.reports[-1] if self.reports else None
        return next((each for each in report.revisions if each.number == number), None) if report else None

    def state(self, number: int) -> str:
        found = self.last(number)
        return found.state if found else ""

    # What the replica asks

    async def follow(self, report: bytes) -> bytes:
        return await asyncio.to_thread(self._follow, msgspec.msgpack.decode(report, type=Report))

    async def admit(self, token: str, endpoint: str) -> bytes:
        self._check()
        self.admitted.append(token)
        if token not in self.callers:
            raise Unauthenticated("the token is not valid", hint="Ask for another.")
        return msgspec.msgpack.encode(self.callers[token])

    async def job(self, job: str) -> bytes:
        self._check()
        index = self.parts.keeper.index
        found = await asyncio.to_thread(self.parts.keeper.sound, lambda: get_job(index, job, project=""))
        return msgspec.msgpack.encode(found)

    async def generation(self) -> int:
        self.asked_to_store += 1
        self._check()
        return self.parts.keeper.position.generation

    async def commit(self, commands: bytes) -> bytes:
        self._check()
        self.commits += 1
        return await asyncio.to_thread(self._receiver.commit, commands)

    def _check(self) -> None:
        if self.is_away:
            raise ServerUnavailable("the controller does not answer", hint="Try again.")

    def _follow(self, report: Report) -> bytes:
        with self._changed:
            self._check()
            self.reports.append(report)
            self.has_left |= report.is_leaving
            wanted = self._wanted
            self._changed.notify_all()
            if not report.is_leaving and report.version == wanted.version:
                self._changed.wait_for(lambda: self._has_news(report), POLL)
            self._check()
            return msgspec.msgpack.encode(self._wanted)

    def _has_news(self, report: Report) -> bool:
        return self.is_away or self.has_left or self._wanted.version != report.version


class Fronted:
    """`replica` lives in the loop of the server, whose `url` is the endpoint's."""

    def __init__(
        self,
        url: str,
        replica: Replica,
        controller: Directing,
        workspace: Workspace,
        folder: Path,
        stop: Callable[[], None],
    ) -> None:
        self.stop = stop
        self.url, self.replica = url, replica
        self.controller, self.workspace, self.folder = controller, workspace, folder
        self.client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30, trust_env=False
        )

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def revision(
        self,
        number: int,
        model: Path,
        *,
        share: float = 1.0,
        status: Any = "live",
        loading: Loading | None = None,
    ) -> WantedRevision:
        """The model becomes data."""
        data = self.workspace.push(model, tags=["type:model"])
        return WantedRevision(number, data.id, data.tree.hash, loading or Loading(), status, share)

    def until_ready(self, *numbers: int) -> None:
        eventually(lambda: all(self.controller.state(each) == "ready" for each in numbers), f"ready: {numbers}")

    def job(self, id_: str) -> Job:
        keeper = self.controller.parts.keeper
        return keeper.sound(lambda: get_job(keeper.index, id_, project=""))

    def counted(self, number: int) -> Counts:
        """By the replica, whether it was reported or not."""
        return next(each.counts for each in self.replica.revisions.reported() if each.number == number)

    def pid(self, number: int) -> int:
        """Of the model's process."""
        held = next(each for each in self.replica.revisions.ready if each.number == number)
        assert isinstance(held.model, ModelProcess)
        return held.model.pid


@contextmanager
def fronted(workspace: Workspace, parts: Parts, folder: Path, **options: Any) -> Iterator[Fronted]:
    """At /endpoints/NAME, as Serve passes it on: the whole path, and what of it is the prefix."""
    settings = Settings(user="tester", cache_dir=folder / "cache", storage_timeout=5.0)
    controller = Directing(parts)
    told = Options(ENDPOINT, NAME, "replica-1", "tester", **{"each": 0.1, "within": 60.0, "shutdown": 10.0} | options)
    replica = Replica(told, parts.store, settings, controller, ModelProcess.start)
    with ExitStack() as undo:
        url = undo.enter_context(listening(served_as(Front(replica))))
        made = Fronted(f"{url}/endpoints/{NAME}", replica, controller, workspace, folder, undo.close)
        with made.client:
            yield made


def served_as(front: Front) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = scope | {"root_path": f"/endpoints/{NAME}"}
        await front(scope, receive, send)

    return app


@contextmanager
def listening(app: Any, port: int = 0) -> Iterator[str]:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.listen(256)
        config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            eventually(lambda: server.started or not thread.is_alive(), "the server began")
            assert thread.is_alive()
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()
