"""What a replica needs of others: the controller, and processes that hold models. Both have several makers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

from raykqi.errors import InvalidInput, ServerUnavailable
from raykqi.serving.frames import Answered, Asked
from raykqi.serving.predictor import About
from raykqi.serving.process import Start

__all__ = ["Controller", "Launch", "Model", "NotAllowed", "Streamed", "TimedOut"]


class TimedOut(ServerUnavailable):
    status = 504


class NotAllowed(InvalidInput):
    """`allow` are the methods that the path takes."""

    status = 405

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, hint=f"It takes {allow}.")
        self.allow = allow


class Controller(Protocol):
    """Raises ServerUnavailable while it is away; what is passed are msgpack values."""

    async def follow(self, report: bytes) -> bytes:
        """A Report for a Wanted, when that is another or a while has gone by."""
        ...

    async def admit(self, token: str, endpoint: str) -> bytes:
        """The Caller that a token stands for. Raises Unauthenticated when it stands for nobody."""
        ...

    async def job(self, job: str) -> bytes:
        """The Job of this id. Raises UnknownId when there is none."""
        ...

    async def generation(self) -> int:
        """Which collection of unused objects was the last, for those who are about to store some."""
        ...

    async def commit(self, commands: bytes) -> bytes:
        """A parcel of commands for the parcel of their answers."""
        ...


class Streamed(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def close(self) -> None: ...


class Model(Protocol):
    """A process with a loaded, warm model. Raises ModelGone when the process has died."""

    @property
    def about(self) -> About: ...

    @property
    def batches(self) -> int: ...

    async def ask(self, asked: Asked, within: float) -> Answered: ...

    async def stream(self, asked: Asked, within: float) -> Streamed: ...

    async def over(self) -> str:
        """Comes back when the process has ended; how it did."""
        ...

    async def close(self, grace: float) -> None: ...


Launch = Callable[[Start, Callable[[str], None], float], Awaitable[Model]]
