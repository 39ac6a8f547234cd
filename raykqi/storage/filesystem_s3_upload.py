"""A large object sent in parts, a few at a time, and shown only when all have arrived."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

from raykqi.errors import ObjectMissing, StorageError, StorageUnavailable
from raykqi.storage.filesystem_s3_client import Answer, S3Client
from raykqi.storage.filesystem_s3_errors import UploadForgotten
from raykqi.storage.retry import Attempts

__all__ = ["PART", "PARTS_IN_FLIGHT", "copy_in_parts", "cut", "cut_file", "upload_parts"]

PART = 16 << 20
PARTS_IN_FLIGHT = 8  # of one store: bounds its memory to so many parts, and one more a thread
MOST_PARTS = 10_000  # S3's limit
COPY_PART = 1 << 30

_TOKEN = "raykqi-upload"


def cut(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Chunks of any size as parts; they grow late, so that a stream of unknown length fits into S3's limit."""
    buffer = bytearray()
    number = 0
    for piece in parts:
        buffer += piece
        while len(buffer) >= (size := _part_size(number)):
            yield bytes(memoryview(buffer)[:size])
            del buffer[:size]
            number += 1
    if buffer:
        yield bytes(buffer)


def cut_file(path: Path, size: int) -> Iterator[bytes]:
    part = max(PART, -(-size // (MOST_PARTS - 1)))
    with path.open("rb", buffering=0) as file:
        while piece := file.read(part):
            yield piece


def upload_parts(client: S3Client, slots: threading.Semaphore, key: str, parts: Iterable[bytes]) -> None:
    """Whole or not at all: whatever goes wrong, the upload is aborted and the object is as before."""
    upload = _Upload(client, slots, key)
    try:
        for part in parts:
            upload.add(part)
        upload.complete()
    except BaseException:
        upload.abort()
        raise


def copy_in_parts(client: S3Client, slots: threading.Semaphore, key: str) -> None:
    """An object onto itself, within the server: what is too large to be copied by one request."""
    found = client.run(client.ask_patiently("head_object", key))
    size, etag = int(found["ContentLength"]), str(found["ETag"])
    upload = _Upload(client, slots, key)
    try:
        for start in range(0, size, COPY_PART):
            upload.add_copy(start, min(start + COPY_PART, size), etag)
        upload.complete()
    except BaseException:
        upload.abort()
        raise


class _Upload:
    def __init__(self, client: S3Client, slots: threading.Semaphore, key: str) -> None:
        self._client = client
        self._slots = slots
        self._key = key
        self._token = uuid.uuid4().hex
        self._sent: list[concurrent.futures.Future[Answer]] = []
        begun = client.run(client.ask_patiently("create_multipart_upload", key, Metadata={_TOKEN: self._token}))
        self._id = str(begun["UploadId"])

    def add(self, part: bytes) -> None:
        self._begin(functools.partial(self._send, len(self._sent) + 1, part))

    def add_copy(self, start: int, end: int, etag: str) -> None:
        self._begin(functools.partial(self._copy, len(self._sent) + 1, f"bytes={start}-{end - 1}", etag))

    def _begin(self, request: Callable[[], Coroutine[Any, Any, Answer]]) -> None:
        self._slots.acquire()
        try:
            self._raise_failure()
            future = self._client.submit(request())
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda _: self._slots.release())
        self._sent.append(future)

    async def _copy(self, number: int, span: str, etag: str) -> Answer:
        answer = await self._client.ask_patiently(
            "upload_part_copy",
            self._key,
            UploadId=self._id,
            PartNumber=number,
            CopySource={"Bucket": self._client.place.bucket, "Key": self._key},
            CopySourceIfMatch=etag,
            CopySourceRange=span,
        )
        copied: Answer = answer["CopyPartResult"]
        return copied

    async def _send(self, number: int, part: bytes) -> Answer:
        attempts = Attempts(self._client.timeout)
        while True:
            try:
                return await self._client.ask("upload_part", self._key, part, UploadId=self._id, PartNumber=number)
            except UploadForgotten:
                raise
            except StorageUnavailable as error:
                await asyncio.sleep(attempts.pause_after(error))
                await self._require_upload()

    async def _require_upload(self) -> None:
        """A server that forgot the upload may hang up on a large part before its answer to it is heard."""
        try:
            await self._client.ask("list_parts", self._key, UploadId=self._id, MaxParts=1)
        except UploadForgotten:
            raise
        except StorageError:
            return

    def complete(self) -> None:
        parts = [{"PartNumber": number, "ETag": f.result()["ETag"]} for number, f in enumerate(self._sent, 1)]
        try:
            self._client.run(
                self._client.ask_patiently(
                    "complete_multipart_upload", self._key, UploadId=self._id, MultipartUpload={"Parts": parts}
                )
            )
        except UploadForgotten:
            # An earlier attempt may have completed it though its answer was lost.
            if not self._is_there():
                raise

    def abort(self) -> None:
        for future in self._sent:
            future.cancel()
        with contextlib.suppress(StorageError):
            self._client.run(self._client.ask("abort_multipart_upload", self._key, UploadId=self._id))

    def _is_there(self) -> bool:
        try:
            found = self._client.run(self._client.ask_patiently("head_object", self._key))
        except ObjectMissing:
            return False
        return bool(found.get("Metadata", {}).get(_TOKEN) == self._token)

    def _raise_failure(self) -> None:
        for future in self._sent:
            if future.done() and future.exception() is not None:
                future.result()


def _part_size(number: int) -> int:
    if number < 4_000:
        return PART
    return 4 * PART if number < 8_000 else 16 * PART
