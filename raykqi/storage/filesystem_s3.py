"""Objects in a bucket of an S3 server: AWS, MinIO, Ceph, R2, rclone and whatever else speaks it.

An object appears whole or not at all, since the server shows it only when the request is complete.
Exclusive creation needs `If-None-Match: *`; servers that ignore it are found by a probe.
Nothing is remembered of listings or sizes: each question is a request.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from raykqi.domain.transfer import Presigned
from raykqi.errors import ObjectExists, ObjectMissing, RaykqiError, StorageDenied, StorageError, StorageUnavailable
from raykqi.settings import Settings
from raykqi.storage.filesystem import TEMPORARY, ObjectInfo, Store, check_key, check_range, is_key
from raykqi.storage.filesystem_s3_client import Answer, S3Client
from raykqi.storage.filesystem_s3_errors import AlreadyThere, NotSupported, UploadForgotten, explain_code
from raykqi.storage.filesystem_s3_upload import PARTS_IN_FLIGHT, copy_in_parts, cut, cut_file, upload_parts
from raykqi.storage.retry import Attempts

__all__ = ["S3Store"]

WHOLE = 32 << 20  # objects up to this size are sent in one request
WINDOW = 4 << 20  # bytes a request when reading ahead
AHEAD = 3  # requests in flight beyond the one being used
STALE_UPLOAD = 7 * 24 * 3600.0  # seconds after which an unfinished upload is given up
DELETE_BATCH = 1000  # S3's limit


class S3Store(Store):
    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        self.url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = S3Client(bucket, settings)
        self._slots = threading.Semaphore(PARTS_IN_FLIGHT)
        self._probe_lock = threading.Lock()
        self._exclusive: bool | None = None

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        check_range(start, end)
        if end is not None and end == start:
            self.info(key)
            return b""
        data, _, _ = self._client.run(self._client.fetch(self._full(key), start, end))
        return data

    def put(self, key: str, data: bytes) -> None:
        full = self._full(key)
        if len(data) <= WHOLE:
            self._ask("put_object", full, bytes(data))
        else:
            self._upload(full, lambda: cut(data[at : at + WINDOW] for at in range(0, len(data), WINDOW)))

    def create(self, key: str, data: bytes) -> None:
        full = self._full(key)
        if self.creates_exclusively:
            written = self._client.run(self._create(full, bytes(data)))
        else:
            written = self._client.run(self._create_unguarded(full, bytes(data)))
        if not written:
            raise ObjectExists(f"{self.url}/{key} already exists with other bytes")

    def put_file(self, key: str, path: Path) -> None:
        size = path.stat().st_size
        if size <= WHOLE:
            self.put(key, path.read_bytes())
        else:
            self._upload(self._full(key), lambda: cut_file(path, size))

    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        full = self._full(key)
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for part in parts:
                size += len(part)
                yield part

        pieces = cut(counted())
        first = next(pieces, b"")
        second = next(pieces, None)
        if second is None:
            self._ask("put_object", full, first)
        else:
            upload_parts(self._client, self._slots, full, _chained(first, second, pieces))
        return size

    def read(self, key: str, start: int = 0, end: int | None = None, chunk: int = 4 << 20) -> Iterator[bytes]:
        check_range(start, end)
        full = self._full(key)
        if end is not None and end == start:
            self.info(key)
            return
        window = max(WINDOW // chunk, 1) * chunk
        stop = start + window if end is None else min(end, start + window)
        data, size, etag = self._client.run(self._client.fetch(full, start, stop))
        ahead: collections.deque[concurrent.futures.Future[tuple[bytes, int, str]]] = collections.deque()
        windows = _windows(stop, size if end is None else min(end, size), window)
        try:
            while True:
                while len(ahead) < AHEAD and (following := next(windows, None)):
                    ahead.append(self._client.submit(self._client.fetch(full, *following, etag)))
                yield from (data[at : at + chunk] for at in range(0, len(data), chunk))
                if not ahead:
                    return
                data, _, _ = ahead[0].result()
                ahead.popleft()
        finally:
            for future in ahead:
                future.cancel()

    def info(self, key: str) -> ObjectInfo:
        found = self._ask("head_object", self._full(key))
        return ObjectInfo(key, int(found["ContentLength"]), found["LastModified"].timestamp())

    def exists(self, key: str) -> bool:
        try:
            self.info(key)
        except ObjectMissing:
            return False
        return True

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        folder = f"{check_key(prefix.rstrip('/'))}/" if prefix else ""
        for found in self._pages(folder, after):
            key = str(found["Key"])[len(self._prefix) :]
            if not key.startswith(TEMPORARY) and is_key(key):
                yield ObjectInfo(key, int(found["Size"]), found["LastModified"].timestamp())

    def delete(self, keys: Iterable[str]) -> None:
        waiting = iter(keys)
        while batch := [self._full(key) for key in itertools.islice(waiting, DELETE_BATCH)]:
            self._delete(batch)

    def touch(self, key: str) -> bool:
        full = self._full(key)
        source = {"Bucket": self._client.place.bucket, "Key": full}
        try:
            # Copied onto itself: S3 allows that only if something changes, so the metadata does.
            self._ask(
                "copy_object",
                full,
                CopySource=source,
                MetadataDirective="REPLACE",
                Metadata={"raykqi-touched": str(int(time.time()))},
            )
        except ObjectMissing:
            return False
        except (StorageUnavailable, StorageDenied):
            raise
        except StorageError:
            # Servers copy up to 5 GiB by one request, and refuse more.
            copy_in_parts(self._client, self._slots, full)
        return True

    def local_path(self, key: str) -> Path | None:
        check_key(key)
        return None

    def presign_get(self, key: str, expires: float, start: int = 0, end: int | None = None) -> Presigned | None:
        check_range(start, end)
        if start == 0 and end is None:
            return self._presign("GET", "get_object", key, expires)
        span = f"bytes={start}-{'' if end is None else end - 1}"
        return self._presign("GET", "get_object", key, expires, {"Range": span}, Range=span)

    def presign_put(self, key: str, size: int, expires: float) -> Presigned | None:
        headers = {"Content-Length": str(size)}
        return self._presign("PUT", "put_object", key, expires, headers, ContentLength=size)

    @property
    def creates_exclusively(self) -> bool:
        if self._exclusive is None:
            with self._probe_lock:
                if self._exclusive is None:
                    self._exclusive = self._probe()
        return self._exclusive

    def sweep_leftovers(self) -> int:
        """Abort uploads that nobody has finished for a week; a server that cannot list them has none.

        Only below a prefix: unfinished uploads in a whole bucket may be another program's.
        """
        if not self._prefix:
            return 0
        oldest = time.time() - STALE_UPLOAD
        try:
            found = self._ask("list_multipart_uploads", "", Prefix=self._prefix)
        except UploadForgotten:  # what rclone says when it knows of none
            return 0
        except StorageUnavailable:
            raise
        except StorageError:
            return 0
        stale = [each for each in found.get("Uploads", []) if each["Initiated"].timestamp() < oldest]
        for each in stale:
            with suppress(ObjectMissing, UploadForgotten):
                self._ask("abort_multipart_upload", each["Key"], UploadId=each["UploadId"])
        return len(stale)

    def close(self) -> None:
        self._client.close()

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _ask(self, operation: str, key: str, body: bytes | None = None, **parameters: Any) -> Answer:
        return self._client.run(self._client.ask_patiently(operation, key, body, **parameters))

    def _presign(
        self,
        method: str,
        operation: str,
        key: str,
        expires: float,
        headers: dict[str, str] | None = None,
        **parameters: Any,
    ) -> Presigned:
        signing = self._client.presign(operation, self._full(key), max(1, round(expires)), **parameters)
        return Presigned(method, self._client.run(signing), headers or {})

    def _upload(self, full: str, parts: Callable[[], Iterable[bytes]]) -> None:
        """Parts that can be had again are sent again when the server forgot the upload."""
        attempts = Attempts(self._client.timeout)
        while True:
            try:
                return upload_parts(self._client, self._slots, full, parts())
            except UploadForgotten as error:
                attempts.wait_after(error)

    async def _create(self, full: str, data: bytes) -> bool:
        attempts = Attempts(self._client.timeout)
        while True:
            try:
                await self._client.ask("put_object", full, data, IfNoneMatch="*")
            except (AlreadyThere, StorageUnavailable) as error:
                # Refused, or unknown: a lost answer may have been a success, even this call's own.
                there = await self._read_back(full)
                if there is not None:
                    return there == data
                await asyncio.sleep(attempts.pause_after(_passing(error)))
            else:
                return True

    async def _create_unguarded(self, full: str, data: bytes) -> bool:
        """The best a server without conditions allows: two callers at once may both be told it worked."""
        there = await self._read_back(full)
        if there is not None:
            return there == data
        await self._client.ask_patiently("put_object", full, data)
        attempts = Attempts(self._client.timeout)
        while (there := await self._read_back(full)) is None:
            # Nothing is not somebody else's bytes: a server may need a moment to show what it took.
            unseen = StorageUnavailable(f"{self._client.place.of(full)} is not there though it was written")
            await asyncio.sleep(attempts.pause_after(unseen))
        return there == data

    async def _read_back(self, full: str) -> bytes | None:
        try:
            data, _, _ = await self._client.fetch(full, 0, None)
        except ObjectMissing:
            return None
        return data

    def _probe(self) -> bool:
        full = f"{self._prefix}{TEMPORARY}probe-{uuid.uuid4().hex}"
        try:
            self._ask("put_object", full, b"1", IfNoneMatch="*")
            self._ask("put_object", full, b"2", IfNoneMatch="*")
        except AlreadyThere:
            return True
        except NotSupported:
            return False
        finally:
            with suppress(StorageError):
                self._ask("delete_object", full)
        return False

    def _pages(self, folder: str, after: str) -> Iterator[Answer]:
        """Objects page by page; the next page is under way while one is used."""
        start: dict[str, Any] = {"StartAfter": self._prefix + after} if after else {}
        page = self._submit_page(folder, **start)
        try:
            while True:
                found = page.result()
                more = found.get("NextContinuationToken") if found.get("IsTruncated") else None
                if more:
                    page = self._submit_page(folder, ContinuationToken=more)
                yield from found.get("Contents", [])
                if not more:
                    return
        finally:
            page.cancel()

    def _submit_page(self, folder: str, **parameters: Any) -> concurrent.futures.Future[Answer]:
        return self._client.submit(
            self._client.ask_patiently("list_objects_v2", "", Prefix=self._prefix + folder, **parameters)
        )

    def _delete(self, batch: Sequence[str]) -> None:
        """A server may fail on some of the keys: those are tried again while the fault may pass."""
        attempts = Attempts(self._client.timeout)
        while True:
            objects = [{"Key": full} for full in batch]
            answer = self._ask("delete_objects", "", Delete={"Objects": objects, "Quiet": True})
            failed = [(str(each.get("Key", "")), self._refusal(each)) for each in answer.get("Errors", [])]
            passing = {full: error for full, error in failed if isinstance(error, StorageUnavailable)}
            for _, error in failed:
                if not isinstance(error, (StorageUnavailable, ObjectMissing)):
                    raise error
            if not passing:
                return
            batch = list(passing)
            attempts.wait_after(passing[batch[0]])

    def _refusal(self, refused: Answer) -> RaykqiError:
        code, text = str(refused.get("Code", "")), str(refused.get("Message", ""))
        return explain_code(code, text, 0, self._client.place, "delete_objects", str(refused.get("Key", "")))


def _passing(error: StorageError) -> StorageUnavailable:
    return error if isinstance(error, StorageUnavailable) else StorageUnavailable(error.message, hint=error.hint)


def _windows(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, size):
        yield at, min(at + size, end)


def _chained(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest
