"""The process in which a model runs, as the replica has it: started, asked, streamed from, ended.

Whatever the model does to its process ends that one alone, and is told with the reason. Everything here belongs to the
event loop that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed, ModelGone
from raykqi.serving.connection import Connection, Streamed
from raykqi.serving.death import MemoryKills, how_it_ended
from raykqi.serving.frames import ABOUT, FAILED, START, Answered, Asked, Frame, frame
from raykqi.serving.predictor import About
from raykqi.serving.said import Said
from raykqi.serving.start import Start
from raykqi.settings import environment_of_models

__all__ = ["Answered", "Asked", "ModelProcess", "Start", "Streamed"]

PACKAGE = Path(__file__).parents[2]


class ModelProcess:
    """Made by `start` alone, which comes back when the model is loaded and has answered its sample."""

    def __init__(self, how: Start, say: Callable[[str], None]) -> None:
        self._how = how
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Future[About] = self._loop.create_future()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self.about: About
        self._connection = Connection(self._heard, self._lost)
        self._said = Said(say)
        self._kills = MemoryKills()
        self._process: subprocess.Popen[bytes] | None = None
        self._watched = -1
        self._is_closing = False

    @classmethod
    async def start(cls, how: Start, say: Callable[[str], None], within: float) -> ModelProcess:
        """Raises ModelFailed with the reason, and leaves no process then."""
        made = cls(how, say)
        try:
            await made._launch()
            async with asyncio.timeout(within):
                await asyncio.wait((made._told, made._over), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await made.close(0)
            raise ModelFailed(f"the model was not ready within {within:g} s{made._said.last()}") from None
        except BaseException:
            await made.close(0)
            raise
        if not made._told.done():
            reason = await made._over
            await made.close(0)
            raise ModelFailed(f"the process that loads the model {reason}")
        if made._told.exception():
            await made.close(0)
        made.about = made._told.result()
        return made

    @property
    def waiting(self) -> int:
        """Requests that are not answered yet."""
        return self._connection.waiting

    @property
    def batches(self) -> int:
        """How often the model ran; requests that were answered together count once."""
        return self._connection.batches

    @property
    def is_gone(self) -> bool:
        return self._over.done()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def silent_for(self) -> float:
        """Seconds in which nothing came although requests wait."""
        return time.monotonic() - self._connection.heard_at if self.waiting else 0.0

    async def ask(self, asked: Asked, within: float) -> Answered:
        """A mistake of the asker, a failure of the model and a time-out are answers; ModelGone when it died."""
        return await self._connection.ask(asked, within)

    async def stream(self, asked: Asked, within: float) -> Streamed:
        """Comes back within that time with the first piece; whoever does not read to the end closes it."""
        return await self._connection.stream(asked, within)

    async def over(self) -> str:
        """Waits until the process has ended; how it did."""
        return await asyncio.shield(self._over)

    async def close(self, grace: float) -> None:
        """What was asked may be answered within `grace`; then the process is ended."""
        self._is_closing = True
        if grace > 0 and not self._over.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._connection.idle()
        self._connection.close()
        if self._process is None:
            return
        self._kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._over
        self._said.close()

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        reader, writer = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "raykqi.serving.worker", str(theirs.fileno()), str(os.getpid())],
                env=_environment(self._how.loading, self._how.threads),
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            os.close(reader)
            raise ModelFailed(f"no process could be started for the model: {error}") from error
        finally:
            theirs.close()
            os.close(writer)
        self._watched = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._watched, self._ended)
        await self._loop.connect_read_pipe(lambda: self._said, open(reader, "rb", buffering=0))  # noqa: SIM115
        await self._loop.create_connection(lambda: self._connection, sock=ours)
        self._connection.send(frame(START, body=msgspec.msgpack.encode(self._how)))

    def _heard(self, each: Frame) -> None:
        if self._told.done():
            return
        if each.what == ABOUT:
            self._told.set_result(msgspec.msgpack.decode(each.body, type=About))
        elif each.what == FAILED:
            self._told.set_exception(ModelFailed(bytes(each.body).decode(errors="replace")))

    def _lost(self) -> None:
        """Without a connection the process is of no use; mostly it has ended already."""
        if not self._over.done():
            self._loop.call_later(0 if self._is_closing else 1.0, self._kill)

    def _kill(self) -> None:
        """Its whole session: what it started goes too."""
        if self._process is not None and not self._over.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _ended(self) -> None:
        assert self._process is not None
        self._loop.remove_reader(self._watched)
        os.close(self._watched)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        # What it wrote last may still lie in the pipe and in the socket.
        self._loop.call_later(0.05, self._finish, code)

    def _finish(self, code: int) -> None:
        if self._over.done():
            return
        reason = how_it_ended(code, self._kills.counted(), self._how.memory) + self._said.last()
        self._over.set_result(reason)
        self._connection.fail(ModelGone("the model was ended" if self._is_closing else f"the model's process {reason}"))
        self._connection.close()


def _environment(loading: Loading, threads: int) -> dict[str, str]:
    given = environment_of_models()
    places = [str(PACKAGE), *filter(None, given.get("PYTHONPATH", "").split(os.pathsep))]
    given["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(places))
    given["PYTHONUNBUFFERED"] = "1"
    given["PYTHONDONTWRITEBYTECODE"] = "1"  # the model's folder is read-only and shared
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        given[name] = str(max(1, threads))
    if loading.provider == "cpu":
        given["CUDA_VISIBLE_DEVICES"] = ""
    return given | loading.environment
