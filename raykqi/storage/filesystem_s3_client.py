"""Requests to one bucket: s3fs keeps the session and its thread, this sends single requests over it.

s3fs's own methods cannot list from a key on, hide which request failed and retry by themselves; so
requests are made one by one here, once each, and repeated under the one policy of `retry`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import os
import re
import threading
import time
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import s3fs

from raykqi.errors import ObjectMissing, StorageError, StorageUnavailable
from raykqi.settings import Settings
from raykqi.storage.filesystem_s3_errors import AlreadyThere, Place, RangeEmpty, UploadForgotten, explain
from raykqi.storage.retry import Attempts

__all__ = ["Answer", "S3Client"]

T = TypeVar("T")
Answer = dict[str, Any]

_PIECE = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class S3Client:
    def __init__(self, bucket: str, settings: Settings) -> None:
        self.place = Place(settings.s3_endpoint or "the AWS endpoint", bucket)
        self.timeout = settings.storage_timeout
        self._settings = settings
        self._lock = threading.Lock()
        self._filesystem: s3fs.S3FileSystem | None = None
        self._process = 0
        self._bucket_seen = False

    def submit(self, request: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        return asyncio.run_coroutine_threadsafe(request, self._connected().loop)

    def run(self, request: Coroutine[Any, Any, T]) -> T:
        """Wait for the request; an interrupt here (Ctrl-C) also ends it there."""
        future = self.submit(request)
        try:
            return future.result()
        finally:
            future.cancel()

    async def ask(self, operation: str, key: str, body: bytes | None = None, **parameters: Any) -> Answer:
        """One request, tried once."""
        if key:
            parameters["Key"] = key
        try:
            client = await self._connected().set_session()
            request = getattr(client, operation)
            if body is None:
                answer: Answer = await request(Bucket=self.place.bucket, **parameters)
            else:
                sent = _Sent(body)
                waiting = request(Bucket=self.place.bucket, Body=sent, **parameters)
                answer = await sent.watch(waiting, 2 * _read_timeout(self._settings))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise explain(error, self.place, operation, key) from error
        self._bucket_seen = True
        return answer

    async def presign(self, operation: str, key: str, seconds: int, **parameters: Any) -> str:
        """A URL that makes this request with the credentials of this session. Asks no server."""
        try:
            client = await self._connected().set_session()
            url: str = await client.generate_presigned_url(
                operation, Params={"Bucket": self.place.bucket, "Key": key, **parameters}, ExpiresIn=seconds
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise explain(error, self.place, operation, key) from error
        return url

    async def ask_patiently(self, operation: str, key: str, body: bytes | None = None, **parameters: Any) -> Answer:
        """One request, repeated while its fault may pass."""
        try:
            return await self._repeat(operation, key, body, **parameters)
        except ObjectMissing:
            await self._require_bucket()
            raise

    async def fetch(self, key: str, start: int, end: int | None, etag: str = "") -> tuple[bytes, int, str]:
        """A range of an object, the object's size, and its ETag; goes on where a connection broke."""
        attempts = Attempts(self.timeout)
        received = _Received(start, end, etag)
        while True:
            before = len(received.data)
            try:
                await self._receive(key, received)
                return bytes(received.data), received.size, received.etag
            except RangeEmpty:
                return bytes(received.data), received.size, received.etag
            except ObjectMissing:
                await self._require_bucket()
                raise
            except AlreadyThere as error:
                raise _replaced(self.place.of(key)) from error
            except StorageUnavailable as error:
                if len(received.data) > before:
                    attempts.progressed()
                await asyncio.sleep(attempts.pause_after(error))

    def close(self) -> None:
        with self._lock:
            filesystem, self._filesystem = self._filesystem, None
        creator = getattr(filesystem, "_s3creator", None)
        if filesystem is not None and creator is not None and self._process == os.getpid():
            asyncio.run_coroutine_threadsafe(creator.__aexit__(None, None, None), filesystem.loop).result(5)

    async def _repeat(self, operation: str, key: str, body: bytes | None = None, **parameters: Any) -> Answer:
        attempts = Attempts(self.timeout)
        while True:
            try:
                return await self.ask(operation, key, body, **parameters)
            except UploadForgotten:
                raise
            except StorageUnavailable as error:
                await asyncio.sleep(attempts.pause_after(error))

    async def _receive(self, key: str, received: _Received) -> None:
        answer = await self.ask("get_object", key, **received.wanted())
        received.begin(answer, self.place.of(key))
        try:
            async with answer["Body"] as body:
                while piece := await body.read(_PIECE):
                    received.data += piece
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise explain(error, self.place, "get_object", key) from error
        if len(received.data) < received.expected:
            raise StorageUnavailable(
                f"get_object {self.place.of(key)} at {self.place.endpoint} ended after {len(received.data)} of "
                f"{received.expected} bytes"
            )

    async def _require_bucket(self) -> None:
        """An answer «not there» to a HEAD request leaves open whether even the bucket exists."""
        if self._bucket_seen:
            return
        try:
            await self._repeat("head_bucket", "")
        except ObjectMissing as error:
            raise StorageError(
                f"there is no bucket {self.place.bucket!r} at {self.place.endpoint}",
                hint=f"Make it first (aws s3 mb s3://{self.place.bucket}), or correct the URL or RAYKQI_S3_ENDPOINT.",
            ) from error

    def _connected(self) -> s3fs.S3FileSystem:
        """The session; a forked child needs its own, since threads do not survive a fork."""
        if self._filesystem is not None and self._process == os.getpid():
            return self._filesystem
        with self._lock:
            if self._filesystem is None or self._process != os.getpid():
                self._filesystem = _connect(self._settings)
                self._process = os.getpid()
            return self._filesystem


class _Sent(io.BytesIO):
    """Bytes on their way out. HTTP clients limit the time of reading but not of writing, so a server
    that takes no more of a body would hold the request for ever: this notices when nobody asks for more.

    It is a file because aiohttp warns of large plain bytes, since writing them blocks its loop.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._taken = time.monotonic()

    def read(self, size: int | None = -1, /) -> bytes:
        self._taken = time.monotonic()
        return super().read(size)

    async def watch(self, request: Awaitable[Answer], patience: float) -> Answer:
        answering = asyncio.ensure_future(request)
        try:
            while (left := self._taken + patience - time.monotonic()) > 0:
                done, _ = await asyncio.wait({answering}, timeout=left)
                if done:
                    return answering.result()
        finally:
            answering.cancel()
        raise TimeoutError(f"the server took nothing more for {patience:.0f} s")


class _Received:
    """What has come of one range, and what to ask for next."""

    def __init__(self, start: int, end: int | None, etag: str) -> None:
        self.start, self.end, self.etag = start, end, etag
        self.data = bytearray()
        self.expected = 0
        self.size = 0

    def wanted(self) -> dict[str, Any]:
        position = self.start + len(self.data)
        condition = {"IfMatch": self.etag} if self.etag else {}
        if position == 0 and self.end is None:
            return condition
        return {"Range": f"bytes={position}-{'' if self.end is None else self.end - 1}", **condition}

    def begin(self, answer: Answer, name: str) -> None:
        position = self.start + len(self.data)
        length = int(answer.get("ContentLength") or 0)
        told = _CONTENT_RANGE.match(str(answer.get("ContentRange", "")))
        first, last, total = (int(number) for number in told.groups()) if told else (0, length - 1, length)
        if first != position or (self.end is not None and last >= self.end):
            raise StorageError(
                f"the server answered with bytes {first} to {last} to a request for those from {position} on",
                hint="Use a server that supports ranged reads.",
            )
        etag = str(answer.get("ETag", ""))
        if self.etag and etag != self.etag:  # some servers ignore the condition
            raise _replaced(name)
        self.etag = etag
        self.expected = len(self.data) + last - first + 1
        self.size = total


def _replaced(name: str) -> StorageError:
    return StorageError(f"{name} was replaced while it was read", hint="Read it again.")


def _connect(settings: Settings) -> s3fs.S3FileSystem:
    config: dict[str, Any] = {
        "connect_timeout": min(10.0, settings.storage_timeout),
        "read_timeout": _read_timeout(settings),
        "max_pool_connections": settings.transfer_threads + 8,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        # Newer checksums than the signature's are refused by many servers; raykqi verifies its own hashes.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        # URLs that are given away must bind their headers too, which older signatures do not.
        "signature_version": "s3v4",
    }
    if settings.s3_endpoint:
        config["s3"] = {"addressing_style": "path"}
    return s3fs.S3FileSystem(
        endpoint_url=settings.s3_endpoint,
        config_kwargs=config,
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def _read_timeout(settings: Settings) -> float:
    return max(1.0, min(60.0, settings.storage_timeout / 2))
