"""Samples of requests and answers as data, for those who asked for it: evaluation, retraining, looking at.

Taking one costs a request an append. Lines are made, stored and recorded beside requests; what cannot be stored after
some tries is dropped, and the log says how much. Headers are never part of a sample.
"""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, NamedTuple

import msgspec

from raykqi.domain.endpoint import Sampling
from raykqi.domain.events import RunInput
from raykqi.domain.tags import Tag
from raykqi.engine.commands import NewOutput, RecordRun
from raykqi.serving.frames import Body
from raykqi.storage.outcome import Pushed
from serve_api.inference.recording import Recorder, why

__all__ = ["PLAN", "Sample", "Samples", "line_of"]

PLAN = "raykqi#served"
FILE = "samples.jsonl"
PARTS = 1_000_000  # shares are counted in
PATIENCE = 30.0  # seconds for which a file is tried to be stored
MOST_BYTES = 32 * 1024 * 1024  # of one file, and of what waits besides
LOOK = 0.5  # seconds between looks whether a file is old enough


class Sample(NamedTuple):
    """Bodies as they went over the line; None where one was too large."""

    at: float
    revision: int
    data: str
    seconds: float
    status: int
    request: Body | None
    request_type: str
    request_packed: bool
    request_head: int  # bytes of JSON before the tensors; 0: there are none
    answer: Body | None
    answer_type: str
    answer_packed: bool
    answer_head: int


class _File:
    __slots__ = ("began", "samples", "size")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.samples: list[Sample] = []
        self.size = 0


class Samples:
    """For one thread: the loop's."""

    def __init__(self, recorder: Recorder, name: str, by: str, say: Callable[[str], None]) -> None:
        self._recorder = recorder
        self._name, self._by, self._say = name, by, say
        self._sampling = Sampling()
        self._project = ""
        self._part = self._credit = 0
        self._files: dict[str, _File] = {}  # by the model that answered
        self._sending: set[asyncio.Task[None]] = set()
        self._under_way = 0  # bytes
        self.dropped = 0
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._rotate(), name="raykqi-samples")

    def set(self, sampling: Sampling, project: str) -> None:
        if (sampling, project) != (self._sampling, self._project):
            self._flush()
            self._sampling, self._project = sampling, project
            self._part = round(sampling.share * PARTS)

    def is_next(self) -> bool:
        """Whether this request is one of the share."""
        if not self._part:
            return False
        self._credit += self._part
        if self._credit < PARTS:
            return False
        self._credit -= PARTS
        return True

    def take(
        self,
        revision: int,
        data: str,
        seconds: float,
        status: int,
        request: Body,
        asked_with: Mapping[str, str],
        answer: Body,
        answered_with: Mapping[str, str],
    ) -> None:
        most = self._sampling.body
        sample = Sample(
            time.time(),
            revision,
            data,
            seconds,
            status,
            *_kept(request, asked_with, most),
            *_kept(answer, answered_with, most),
        )
        file = self._files.get(data)
        if file is None:
            file = self._files[data] = _File()
        file.samples.append(sample)
        file.size += len(sample.request or b"") + len(sample.answer or b"")
        if len(file.samples) >= self._sampling.rows or file.size >= MOST_BYTES:
            self._send(data, self._files.pop(data))

    async def close(self, patience: float) -> None:
        """Store what there is, as far as that goes now."""
        if self._task:
            self._task.cancel()
        self._flush()
        if self._sending:
            await asyncio.wait(self._sending, timeout=patience)
        for task in self._sending:
            task.cancel()

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(min(LOOK, self._sampling.seconds))
            old = time.monotonic() - self._sampling.seconds
            for data in [data for data, file in self._files.items() if file.began <= old]:
                self._send(data, self._files.pop(data))

    def _flush(self) -> None:
        files, self._files = self._files, {}
        for data, file in files.items():
            self._send(data, file)

    def _send(self, data: str, file: _File) -> None:
        if self._under_way + file.size > MOST_BYTES and self._sending:
            self._drop(file, "earlier ones still wait for the storage")
            return
        self._under_way += file.size
        task = asyncio.create_task(self._store(data, file, self._sampling, self._project))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _store(self, data: str, file: _File, sampling: Sampling, project: str) -> None:
        own = (Tag("type", "sample"), Tag("endpoint", self._name))
        tags = tuple(dict.fromkeys((*sampling.tags, *own)))

        def record(pushed: Pushed, generation: int) -> RecordRun:
            return RecordRun(
                by=self._by,
                plan=PLAN,
                outputs=(NewOutput("samples", pushed.tree, tags),),
                inputs=(RunInput("model", data),),
                reused=pushed.reused,
                generation=generation,
                project=project,
                readable=None,
            )

        try:
            lines = await asyncio.to_thread(_lines, file.samples, frozenset(sampling.leave_out), sampling.body)
            await self._recorder.record({FILE: lines}, record, patience=PATIENCE)
        except Exception as error:
            self._drop(file, why(error))
        finally:
            self._under_way -= file.size

    def _drop(self, file: _File, reason: str) -> None:
        self.dropped += len(file.samples)
        self._say(f"{len(file.samples)} samples were dropped, {self.dropped} in all: {reason}")


def _kept(body: Body, headers: Mapping[str, str], most: int) -> tuple[Body | None, str, bool, int]:
    head = headers.get("inference-header-content-length", "")
    return (
        body if len(body) <= most else None,
        headers.get("content-type", ""),
        headers.get("content-encoding", "") == "gzip",
        int(head) if head.isdecimal() else 0,
    )


def _lines(samples: list[Sample], leave_out: frozenset[str], most: int) -> bytes:
    return b"".join(line_of(sample, leave_out, most) for sample in samples)


def line_of(sample: Sample, leave_out: frozenset[str], most: int = MOST_BYTES) -> bytes:
    """`time revision data latency status request response`; of a body that was too large, also when it was unpacked,
    or is not JSON although fields shall be left out, nothing. What is no JSON and no text is
    `{"base64": "…", "type": "…"}`.
    """
    at = datetime.fromtimestamp(sample.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    asked = sample.request, sample.request_type, sample.request_packed, sample.request_head
    answered = sample.answer, sample.answer_type, sample.answer_packed, sample.answer_head
    line = {
        "time": at,
        "revision": sample.revision,
        "data": sample.data,
        "latency": round(sample.seconds * 1e3, 3),
        "status": sample.status,
        "request": _shown(*asked, leave_out, most),
        "response": _shown(*answered, leave_out, most),
    }
    return msgspec.json.encode(line) + b"\n"


def _shown(body: Body | None, kind: str, is_packed: bool, head: int, leave_out: frozenset[str], most: int) -> Any:
    if body is None:
        return None
    plain = bytes(body)
    if is_packed:
        unpacked = _unpacked(plain, most)
        if unpacked is None:
            return None
        plain = unpacked
    if head:
        return _parsed(plain[:head], leave_out) if leave_out else _coded(plain, kind)
    media = kind.partition(";")[0].strip().lower()
    if not media or "json" in media:
        try:
            return _without(msgspec.json.decode(plain), leave_out) if plain else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    if leave_out:
        return None
    if media.startswith("text/"):
        return plain.decode(errors="replace")
    return _coded(plain, kind)


def _parsed(text: bytes, leave_out: frozenset[str]) -> Any:
    try:
        return _without(msgspec.json.decode(text), leave_out)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _coded(body: bytes, kind: str) -> dict[str, str]:
    return {"base64": b64encode(body).decode(), "type": kind}


def _unpacked(body: bytes, most: int) -> bytes | None:
    try:
        with gzip.open(BytesIO(body)) as file:
            plain = file.read(most + 1)
    except (OSError, EOFError, zlib.error):
        return None
    return plain if len(plain) <= most else None


def _without(value: Any, names: frozenset[str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        return {name: _without(each, names) for name, each in value.items() if name not in names}
    if isinstance(value, list):
        return [_without(each, names) for each in value]
    return value
