"""POST requests to the outside, with what came of them as a value: nothing here raises for what a server does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import httpx

__all__ = ["THREADS", "Answer", "Poster"]

THREADS = "raykqi-post"  # what the names of threads that post begin with
MOST_BYTES = 2**20  # that are read of an answer
SHOWN_CHARS = 200


class Answer(NamedTuple):
    """`problem` says why there is no answer, in words."""

    status: int = 0
    content_type: str = ""
    body: bytes = b""
    problem: str = ""

    @property
    def is_good(self) -> bool:
        return not self.problem and 200 <= self.status < 300

    @property
    def kind(self) -> str:
        """`answered 503`, or why nothing did."""
        return self.problem or f"answered {self.status}"

    def __str__(self) -> str:
        """The same, with the beginning of what was said."""
        said = " ".join(self.body[: 4 * SHOWN_CHARS].decode(errors="replace").split()).replace("\0", "")
        said = said if len(said) <= SHOWN_CHARS else said[: SHOWN_CHARS - 1] + "…"
        return f"{self.kind}: {said}" if said and not self.problem else self.kind


class Poster:
    """Safe to use from many threads."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._is_closed = False

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        import httpx

        deadline = time.monotonic() + self._timeout
        try:
            with self._opened().stream("POST", url, content=body, headers=dict(headers)) as response:
                read = bytearray()
                for chunk in response.iter_bytes(65_536):
                    read += chunk[: MOST_BYTES - len(read)]
                    if time.monotonic() > deadline:
                        return Answer(problem=f"did not finish its answer in {self._timeout:g} s")
                    if len(read) >= MOST_BYTES:
                        break
                return Answer(response.status_code, response.headers.get("content-type", ""), bytes(read))
        except httpx.TimeoutException:
            return Answer(problem=f"did not answer in {self._timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, OSError) as error:
            # A RuntimeError comes of a client that is closed meanwhile.
            return Answer(problem=f"could not be reached: {_one_line(error)}")

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._client:
                self._client.close()

    def _opened(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._is_closed:
                raise RuntimeError("nothing is posted any more")
            if self._client is None:
                logging.getLogger("httpx").addFilter(_says_no_url)
                headers = {"User-Agent": "raykqi", "Content-Type": "application/json"}
                self._client = httpx.Client(timeout=self._timeout, headers=headers)
            return self._client


def _says_no_url(record: logging.LogRecord) -> bool:
    """URLs may hold what is secret, and httpx would log each of them."""
    return not (record.threadName or "").startswith(THREADS)


def _one_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:SHOWN_CHARS]
