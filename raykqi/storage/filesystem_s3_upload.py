"""A large object sent in parts, a few at a time, and shown only when all have arrived."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from raykqi.errors import ObjectMissing, StorageError, StorageUnavailable
from raykqi.storage.filesystem_s3_client import Answer, S3Client
from raykqi.storage.filesystem_s3_errors import UploadForgotten
from raykqi.storage.retry import Attempts

__all__ = ["PART", "PARTS_IN_FLIGHT", "cut", "cut_file", "upload_parts"]

PART = 16 << 20
PARTS_IN_FLIGHT = 8  # of one store: bounds its memory to so many parts, and one more a thread
MOST_PARTS = 10_000  # S3's limit

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
        self._slots.acquire()
        try:
            self._raise_failure()
            number = len(self._sent) + 1
            future = self._client.submit(self._send(number, part))
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda _: self._slots.release())
        self._sent.append(future)

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


PartSource = Callable[[], Iterable[bytes]]
