"""Function plans: called inside of a worker process, many short ones in one go.

Each call gets the paths of its inputs, empty folders for its outputs, and its params; what it prints
is its log. Short calls leave nothing on the way that costs a durable write: their outputs are stored
together at the end, a log is stored when there is one, and only calls that take longer have a beat.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import FrameType

from raykqi.domain.beat import Beat, Phase
from raykqi.domain.order import LONG_FUNCTION, Ended, Order, Stored
from raykqi.domain.run import Exit, Usage
from raykqi.errors import RaykqiError
from raykqi.execution.batch import SmallFolder, StoredFolder, read_small, store_small
from raykqi.execution.beat import BeatWriter, listed, read_progress
from raykqi.execution.capture import captured
from raykqi.execution.command import Names, fill
from raykqi.execution.ending import TIMED_OUT, explain_failure, with_problems
from raykqi.execution.folders import folder_name, remove_folder
from raykqi.execution.function_inputs import write_input
from raykqi.execution.function_loading import FunctionLoader
from raykqi.execution.logs import LogShipper, chunk_key
from raykqi.execution.storing import Output, store_outputs
from raykqi.settings import Settings, environment_replaced
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.receipts import write_receipt

__all__ = ["run_functions"]

LOOK = 0.25  # seconds between looks how long a call has taken
INTERRUPTED = 130
SMALL_LOG = 1 << 20
SUCCESS, NOTHING = Exit(0), Usage()
_loader = FunctionLoader()


def run_functions(
    orders: Sequence[Order],
    settings: Settings,
    *,
    folder: Path | str,
    gpus: tuple[str, ...] = (),
    node: str = "",
) -> list[Ended]:
    """How each of them ended. Never raises for what they do, but `os._exit` in one ends the process."""
    base = (Path(folder) if str(folder) else settings.cache_dir / "runs").absolute()
    own = base / f"functions-{os.urandom(8).hex()}"
    try:
        store = _store(orders[0].workspace, settings)
        own.mkdir(parents=True, exist_ok=True)
        calls = [_Call(order, own / str(at), store, settings, gpus, node) for at, order in enumerate(orders)]
        with contextlib.closing(_Watcher()) as watcher:
            for call in calls:
                with watcher.watching(call):
                    call.carry_out()
        return _stored(calls, store, settings)
    except Exception as error:
        exit_ = explain_failure(error)
        return [Ended(order.attempt, exit_, node=node, generation=order.generation) for order in orders]
    finally:
        remove_folder(own)


@lru_cache(4)
def _store(url: str, settings: Settings) -> Store:
    return open_store(url, settings)


@dataclass
class _Call:
    order: Order
    folder: Path
    store: Store
    settings: Settings
    gpus: tuple[str, ...]
    node: str
    exit: Exit = SUCCESS
    usage: Usage = NOTHING
    outputs: list[Output] = field(default_factory=list)
    began: float = 0.0
    watched: _Watch | None = None

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    @property
    def progress(self) -> Path:
        return self.folder.with_suffix(".progress")

    def carry_out(self) -> None:
        self.began = time.monotonic()
        cpu = _cpu_seconds()
        try:
            self.folder.mkdir()
            arguments = self._arguments()
            with captured(self.log):
                self.exit = self._call(arguments)
        except Exception as error:
            self.exit = explain_failure(error)
            with contextlib.suppress(OSError), open(self.log, "ab") as log:
                log.write(f"[raykqi] {self.exit.message}\n".encode(errors="replace"))
        finally:
            wall = time.monotonic() - self.began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            self.usage = Usage(round(wall, 3), round(_cpu_seconds() - cpu, 3), peak)

    def ended(self, stored: Sequence[Stored], reused: frozenset[str], problems: Sequence[str]) -> Ended:
        exit_ = with_problems(self.exit, problems)
        return Ended(self.order.attempt, exit_, tuple(stored), self.usage, self.node, reused, self.order.generation)

    def _arguments(self) -> dict[str, object]:
        """Inputs and outputs lie side by side: as arguments of one function their names differ."""
        arguments: dict[str, object] = {}
        for at, wanted in enumerate(self.order.inputs):
            place = self.folder / folder_name(wanted.name, at)
            if wanted.is_many:
                place.mkdir()
                for each in wanted.trees:
                    write_input(self.store, each.tree, place / each.data, self.settings)
            else:
                write_input(self.store, wanted.trees[0].tree, place, self.settings)
            arguments[wanted.name] = place
        for at, output in enumerate(self.order.outputs):
            place = self.folder / folder_name(output.name, len(self.order.inputs) + at)
            place.mkdir()
            self.outputs.append(Output(output.name, output.data, place, str(place)))
            arguments[output.name] = place
        return arguments | dict(self.order.params)

    def _call(self, arguments: dict[str, object]) -> Exit:
        definition = self.order.definition
        function = _loader.load(definition, self.store, self.settings, scratch=self.settings.cache_dir)
        names = Names({}, {}, {name: str(value) for name, value in self.order.params.items()})
        attempt = self.order.attempt
        variables = {
            **{name: fill(value, names) for name, value in definition.env.items()},
            **self.order.env,
            "RAYKQI_RUN": attempt.run,
            "RAYKQI_ATTEMPT": str(attempt.number),
            "RAYKQI_PROGRESS": str(self.progress),
            "CUDA_VISIBLE_DEVICES": ",".join(self.gpus),
        }
        with environment_replaced(variables), _inside(self.folder), _limited(definition.timeout):
            return _called(function, arguments)


class _TimedOut(BaseException):
    pass


class _Watcher:
    """Looks after the calls of one batch, and gives each that takes long a log and a beat."""

    def __init__(self) -> None:
        self._call: _Call | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch functions", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def watching(self, call: _Call) -> Iterator[None]:
        self._call = call
        try:
            yield
        finally:
            with self._lock:
                self._call = None

    def close(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(LOOK):
            with self._lock:
                call = self._call
                if call and not call.watched and call.log.exists() and time.monotonic() - call.began >= LONG_FUNCTION:
                    call.watched = _Watch(call)


class _Watch:
    """The log and the beat of a call that takes longer, while it runs."""

    def __init__(self, call: _Call) -> None:
        attempt = call.order.attempt
        self._call = call
        self.log = LogShipper(call.store, attempt.run, attempt.number, call.log, timeout=call.settings.storage_timeout)
        self._beat = BeatWriter(call.store, attempt.run, attempt.number, self._now, call.progress)
        self.log.start()
        self._beat.start()

    def finish(self) -> None:
        self.log.finish()
        self._beat.finish()

    def _now(self) -> Beat:
        call = self._call
        progress, text = read_progress(call.progress)
        files, more = listed({output.name: output.folder for output in call.outputs})
        usage = call.usage if call.usage.wall else Usage(round(time.monotonic() - call.began, 3))
        phase: Phase = "completing" if call.usage.wall else "running"
        return Beat(datetime.now(UTC), phase, usage, progress, text, os.getpid(), call.node, files, more)


def _called(function: Callable[..., object], arguments: dict[str, object]) -> Exit:
    try:
        result = function(**arguments)
        if inspect.iscoroutine(result):
            result.close()
            return Exit(1, "TypeError: the function is asynchronous, which plans cannot be")
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            code = (left.code or 0) & 0xFF
            return Exit(code, f"exited with code {code}" if code else "")
        print(left.code, file=sys.stderr)
        return Exit(1, f"SystemExit: {left.code}"[:500])
    except _TimedOut as late:
        return Exit(TIMED_OUT, str(late))
    except KeyboardInterrupt:
        return Exit(INTERRUPTED, "interrupted")
    except BaseException as error:
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, trace)
        said = "".join(traceback.format_exception_only(error)).strip().splitlines()
        return Exit(1, said[-1][:500] if said else type(error).__name__)
    return Exit(0)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """What a function writes under a relative name is its own."""
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(folder)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


@contextlib.contextmanager
def _limited(timeout: float) -> Iterator[None]:
    """Interrupts the function when its time is over; only a main thread can be interrupted."""
    if not timeout or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_number: int, _frame: FrameType | None) -> None:
        raise _TimedOut(f"timed out after {timeout:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, timeout, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _stored(calls: Sequence[_Call], store: Store, settings: Settings) -> list[Ended]:
    """Small outputs of all the calls together, the others one by one."""
    small: dict[tuple[int, str], SmallFolder] = {}
    large: dict[int, list[Output]] = {}
    for at, call in enumerate(calls):
        logged = _finish_log(call)
        for output in [*call.outputs, *logged]:
            content = _small(output)
            if content is None:
                large.setdefault(at, []).append(output)
            else:
                small[at, output.data] = content
    together: dict[tuple[int, str], StoredFolder] = {}
    refused = ""
    try:
        together = dict(zip(small, store_small(store, list(small.values()), settings), strict=True))
    except RaykqiError as error:
        refused = f"its outputs could not be stored: {explain_failure(error).message}"
    result = []
    for at, call in enumerate(calls):
        stored = [Stored(data, kept.tree) for (of, data), kept in together.items() if of == at]
        reused = {key for (of, _), kept in together.items() if of == at for key in kept.reused}
        problems = [refused] if refused else []
        if at in large:
            memory = call.folder.with_suffix(".stat")
            rest = store_outputs(store, large[at], settings=settings, memory=memory, say=_unsaid)
            stored += rest.stored
            reused |= rest.reused
            problems += rest.problems
        ended = call.ended(stored, frozenset(reused), problems)
        if call.watched:
            with contextlib.suppress(Exception):
                write_receipt(store, ended)
        result.append(ended)
    return result


def _small(output: Output) -> SmallFolder | None:
    if output.name == "(log)":
        data = output.folder.read_bytes() if output.folder.stat().st_size < SMALL_LOG else None
        return None if data is None else SmallFolder([("log", "file", 0o644)], {"log": data})
    try:
        return read_small(output.folder)
    except FileNotFoundError:
        return SmallFolder()
    except OSError:
        return None


def _finish_log(call: _Call) -> list[Output]:
    """The log of a short call is one chunk, if it said anything; it is an output when the plan wants that."""
    attempt = call.order.attempt
    call.log.touch()
    size = call.log.stat().st_size
    if call.watched:
        call.watched.finish()
    elif size:
        shipper = LogShipper(call.store, attempt.run, attempt.number, call.log, timeout=call.settings.storage_timeout)
        if size < SMALL_LOG:
            call.store.put(chunk_key(attempt.run, attempt.number, 0), call.log.read_bytes())
        else:
            shipper.start()
            shipper.finish()
    if not call.order.log:
        return []
    named = call.folder.with_suffix(".logs") / "log"
    if size >= SMALL_LOG:
        named.parent.mkdir()
        call.log.rename(named)
    return [Output("(log)", call.order.log, named if size >= SMALL_LOG else call.log, "log")]


def _unsaid(_text: str) -> None:
    """The log is stored already."""
