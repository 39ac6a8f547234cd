"""Processes of models as tests start and ask them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from raykqi.serving.process import Answered, Asked, ModelProcess, Start

JSON = {"content-type": "application/json"}
WITHIN = 60.0
ROW = {"inputs": {"x": [[1.0, 2.0, 3.0, 4.0]]}}


class Lines(list[str]):
    """What a process said; some can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._came = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.append(line)
        self._came.set()

    async def wait_for(self, text: str, times: int = 1) -> None:
        async with asyncio.timeout(WITHIN):
            while self.count(text) < times:
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def started(folder: Path, say: Callable[[str], None] = print, **how: Any) -> AsyncIterator[ModelProcess]:
    process = await ModelProcess.start(Start(model=str(folder), **how), say, WITHIN)
    try:
        yield process
    finally:
        await process.close(0)


def asked(body: Any, kind: Any = "predict") -> Asked:
    return Asked(kind, JSON, json.dumps(body).encode())


def told(answer: Answered) -> Any:
    return json.loads(bytes(answer.body))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def children() -> set[int]:
    return {each.pid for each in psutil.Process().children()}


def descriptors() -> list[str]:
    return sorted(os.readlink(each.path).split(":")[0] for each in os.scandir("/proc/self/fd") if os.path.islink(each))


async def until_gone(process: psutil.Process) -> None:
    waiting: Awaitable[object] = asyncio.to_thread(psutil.wait_procs, [process], timeout=WITHIN)
    await waiting
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
