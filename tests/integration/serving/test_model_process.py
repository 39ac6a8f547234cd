"""The process in which a model runs: asked, loaded badly, killed, kept within its memory, ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from raykqi.domain.endpoint import Batching, Loading
from raykqi.errors import ModelError, ModelFailed, ModelGone
from raykqi.serving.process import Answered, Asked, ModelProcess, Start
from tests import models

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


def test_many_requests_at_a_time_are_each_answered_with_their_own(tmp_path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(models.mlp(tmp_path), providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(3).normal(size=(300, 4)).astype(np.float32)
    (wanted,) = session.run(None, {"x": rows})

    async def test() -> None:
        async with started(tmp_path) as process:
            assert process.about.platform == "onnxruntime_onnx"
            answers = await asyncio.gather(*(process.ask(asked({"x": [row.tolist()]}), WITHIN) for row in rows))
        got = np.array([told(each)["outputs"]["probabilities"][0] for each in answers])
        np.testing.assert_allclose(got, wanted, rtol=1e-5)

    run(test())


def test_alone_the_result_is_that_of_onnxruntime_bit_for_bit(tmp_path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(models.mlp(tmp_path), providers=["CPUExecutionProvider"])

    async def test() -> None:
        async with started(tmp_path) as process:
            for rows in (1, 5, 64):
                x = np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)
                (wanted,) = session.run(None, {"x": x})
                answer = await process.ask(asked({"x": x.tolist()}), WITHIN)
                assert np.array_equal(np.array(told(answer)["outputs"]["probabilities"], np.float32), wanted)

    run(test())


def test_large_bodies_pass_both_ways(tmp_path: Path) -> None:
    models.custom(
        tmp_path, body="class Predictor:\n    def predict(self, inputs):\n        return inputs.content[::-1]\n"
    )
    body = os.urandom(20_000_000)

    async def test() -> None:
        async with started(tmp_path) as process:
            several = [
                process.ask(Asked("predict", {"content-type": "image/x"}, body[at:]), WITHIN)
                for at in (0, 1, 19_999_990)
            ]
            answers = await asyncio.gather(*several)
        for at, answer in zip((0, 1, 19_999_990), answers, strict=True):
            assert answer.status == 200
            assert answer.body == body[at:][::-1]

    run(test())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (models.failing_init, "the vocabulary is missing"),
        (models.corrupt, "model.onnx"),
        (Path.exists, "no model"),
        (lambda folder: models.custom(folder, body="import os\nprint('bye')\nos._exit(7)\n"), "ended with code 7: bye"),
        (lambda folder: models.custom(folder, body="import os\nos.kill(os.getpid(), 11)\n"), "was killed by SIGSEGV"),
        (lambda folder: models.custom(folder, body="raise SystemExit(4)\n"), "SystemExit: 4"),
        (lambda folder: models.custom(folder, body="def f(:\n"), "SyntaxError"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path, make: Callable[[Path], object], reason: str) -> None:
    make(tmp_path)
    before = children()

    async def test() -> None:
        with pytest.raises(ModelFailed) as failed:
            await ModelProcess.start(Start(model=str(tmp_path)), print, WITHIN)
        assert reason in str(failed.value)

    run(test())
    assert children() == before


def test_a_model_that_takes_too_long_to_load_is_given_up(tmp_path: Path) -> None:
    models.custom(tmp_path, body="import threading\nprint('loading', flush=True)\nthreading.Event().wait()\n")
    before = children()

    async def test() -> None:
        with pytest.raises(ModelFailed, match=r"not ready within 3 s: loading"):
            await ModelProcess.start(Start(model=str(tmp_path)), print, 3)

    run(test())
    assert children() == before


def test_a_start_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    models.custom(tmp_path, body="import threading\nprint('loading', flush=True)\nthreading.Event().wait()\n")
    before = children()

    async def test() -> None:
        lines = Lines()
        starting = asyncio.ensure_future(ModelProcess.start(Start(model=str(tmp_path)), lines, WITHIN))
        await lines.wait_for("loading")
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    run(test())
    assert children() == before


WAITING = (
    "import threading\n"
    "class Predictor:\n"
    "    def predict(self, inputs):\n"
    "        print('asked', flush=True)\n"
    "        if inputs == 'wait':\n"
    "            threading.Event().wait()\n"
    "        return inputs\n"
)


def test_all_that_wait_are_told_when_the_process_is_killed(tmp_path: Path) -> None:
    models.custom(tmp_path, body=WAITING)

    async def test() -> None:
        lines = Lines()
        async with started(tmp_path, lines) as process:
            waiting = [asyncio.ensure_future(process.ask(asked("wait"), WITHIN)) for _ in range(5)]
            await lines.wait_for("asked")
            os.kill(process.pid, signal.SIGKILL)

            results = await asyncio.gather(*waiting, return_exceptions=True)

            assert [type(each) for each in results] == [ModelGone] * 5
            assert "was killed by SIGKILL" in str(results[0])
            assert "SIGKILL" in await process.over()
            assert process.is_gone
            assert process.waiting == 0
            with pytest.raises(ModelGone):
                await process.ask(asked("more"), WITHIN)

    run(test())


def test_a_request_that_ends_the_process_is_told_with_its_code(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "import os\nclass Predictor:\n    def predict(self, inputs):\n"
            "        print('going', flush=True)\n        os._exit(5)\n"
        ),
    )

    async def test() -> None:
        async with started(tmp_path) as process:
            with pytest.raises(ModelGone, match="ended with code 5: going"):
                await process.ask(asked("x"), WITHIN)

    run(test())


def test_a_request_that_takes_too_long_is_a_504_and_those_behind_it_that_are_late_never_run(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "import os, threading\n"
            "class Predictor:\n"
            "    def predict(self, inputs):\n"
            "        print('ran', inputs, flush=True)\n"
            "        if inputs == 'wait':\n"
            "            with open(self.fifo) as fifo:\n"
            "                fifo.read()\n"
            "        return inputs\n"
            "    def __init__(self, model):\n"
            "        self.fifo = model / 'fifo'\n"
        ),
    )
    os.mkfifo(tmp_path / "fifo")

    async def test() -> None:
        lines = Lines()
        async with started(tmp_path, lines) as process:
            first = asyncio.ensure_future(process.ask(asked("wait"), 1.0))
            await lines.wait_for("ran wait")
            late = asyncio.ensure_future(process.ask(asked("late"), 0.2))
            cancelled = asyncio.ensure_future(process.ask(asked("cancelled"), WITHIN))
            kept = asyncio.ensure_future(process.ask(asked("kept"), WITHIN))
            assert (await late).status == 504
            assert "no answer within 0.2 s" in told(await late)["error"]
            assert (await first).status == 504
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert process.silent_for > 0.5

            (tmp_path / "fifo").write_text("go on")

            assert told(await kept)["outputs"] == "kept"
            assert process.waiting == 0
        assert [each for each in lines if each.startswith("ran")] == ["ran wait", "ran kept"]

    run(test())


def test_only_the_request_at_fault_of_a_batch_fails(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "class Predictor:\n"
            "    def predict(self, inputs):\n"
            "        return self.predict_batch([inputs])[0]\n"
            "    def predict_batch(self, several):\n"
            "        print('batch', len(several), flush=True)\n"
            "        return [1 / each for each in several]\n"
        ),
    )

    async def test() -> None:
        lines = Lines()
        async with started(tmp_path, lines, batching=Batching(latency_ms=10_000)) as process:
            numbers = [float(each) for each in range(-20, 20)]
            answers = await asyncio.gather(*(process.ask(asked(each), WITHIN) for each in numbers))
        assert [each.status for each in answers] == [500 if number == 0 else 200 for number in numbers]
        assert told(answers[0])["outputs"] == 1 / -20
        assert "ZeroDivisionError" in told(answers[20])["error"]
        assert max(int(each.split()[1]) for each in lines if each.startswith("batch")) > 1

    run(test())


def test_a_model_that_prints_much_still_answers(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "class Predictor:\n    def predict(self, inputs):\n"
            "        for _ in range(20_000):\n            print('x' * 50)\n        return 1\n"
        ),
    )

    async def test() -> None:
        lines = Lines()
        async with started(tmp_path, lines) as process:
            answers = await asyncio.gather(*(process.ask(asked("x"), WITHIN) for _ in range(3)))
        assert [each.status for each in answers] == [200] * 3
        assert 500 <= len(lines) < 20_000

    run(test())


def test_the_process_sees_nothing_of_the_secrets_of_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAYKQI_TOKEN", "AWS_SECRET_ACCESS_KEY", "RAY_ADDRESS", "SOME_PASSWORD"):
        monkeypatch.setenv(name, "secret")
    models.custom(
        tmp_path,
        body=(
            "import os\nclass Predictor:\n    def predict(self, inputs):\n"
            "        return dict(os.environ) | {'nice': os.getpriority(os.PRIO_PROCESS, 0)}\n"
        ),
    )

    async def test() -> None:
        loading = Loading(environment={"HF_HOME": "/somewhere"}, provider="cpu")
        async with started(tmp_path, loading=loading, threads=3) as process:
            seen = told(await process.ask(asked(1), WITHIN))["outputs"]
        assert "secret" not in seen.values()
        assert not [name for name in seen if name.startswith(("RAY_", "AWS_", "RAYKQI_"))]
        assert (seen["HF_HOME"], seen["OMP_NUM_THREADS"], seen["CUDA_VISIBLE_DEVICES"]) == ("/somewhere", "3", "")
        assert seen["PATH"] == os.environ["PATH"]
        assert seen["nice"] == 0

    run(test())


def test_a_model_keeps_within_its_memory(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=("class Predictor:\n    def predict(self, inputs):\n        return len(bytearray(inputs))\n"),
    )

    async def test() -> None:
        async with started(tmp_path, memory=400 * 2**20) as process:
            fitting = await process.ask(asked(10 * 2**20), WITHIN)
            greedy = await process.ask(asked(900 * 2**20), WITHIN)
            again = await process.ask(asked(1), WITHIN)
        assert [fitting.status, greedy.status, again.status] == [200, 500, 200]
        assert "MemoryError" in told(greedy)["error"]

    run(test())


def test_a_model_beyond_its_memory_is_not_loaded(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    with (tmp_path / "model.onnx.data").open("wb") as weights:
        weights.truncate(3 * 2**30)

    async def test() -> None:
        with pytest.raises(ModelFailed, match=r"needs 3\.0 GiB of memory of the 1\.0 GiB that the endpoint may have"):
            await ModelProcess.start(Start(model=str(tmp_path), memory=2**30), print, WITHIN)

    run(test())


def test_a_model_beyond_the_memory_of_the_node_is_not_loaded(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    with (tmp_path / "model.onnx.data").open("wb") as weights:
        weights.truncate(8 * 2**40)

    async def test() -> None:
        with pytest.raises(ModelFailed, match=r"needs 8,192\.0 GiB of memory of the .* GiB that are free on this node"):
            await ModelProcess.start(Start(model=str(tmp_path)), print, WITHIN)

    run(test())


STREAMING = (
    "class Predictor:\n"
    "    def predict(self, inputs):\n"
    "        return inputs\n"
    "    def stream(self, inputs):\n"
    "        try:\n"
    "            for at in range(inputs['pieces']):\n"
    "                if at == inputs.get('bad'):\n"
    "                    raise ValueError('no more')\n"
    "                yield b'x' * inputs['size']\n"
    "        finally:\n"
    "            print('ended', flush=True)\n"
)


def test_streams_take_turns_with_each_other_and_with_requests(tmp_path: Path) -> None:
    models.custom(tmp_path, body=STREAMING)

    async def test() -> None:
        async with started(tmp_path) as process:
            long = await process.stream(asked({"pieces": 5000, "size": 4000}, "stream"), WITHIN)
            short = await process.stream(asked({"pieces": 3, "size": 10}, "stream"), WITHIN)
            assert (long.status, long.headers) == (200, {"content-type": "application/octet-stream"})
            assert b"".join([piece async for piece in short]) == b"x" * 30
            assert told(await process.ask(asked("between"), WITHIN))["outputs"] == "between"
            assert process.waiting == 1
            assert sum([len(piece) async for piece in long]) == 20_000_000
            assert process.waiting == 0

    run(test())


def test_a_stream_that_nobody_reads_is_held_back(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "class Predictor:\n"
            "    made = 0\n"
            "    def predict(self, inputs):\n"
            "        return self.made\n"
            "    def stream(self, inputs):\n"
            "        for self.made in range(1, 101):\n"
            "            yield b'x' * 100_000\n"
        ),
    )

    async def test() -> None:
        async with started(tmp_path) as process:
            stream = await process.stream(asked(1, "stream"), WITHIN)
            made = [told(await process.ask(asked(1), WITHIN))["outputs"] for _ in range(40)]
            assert made[-1] == 11  # a window's worth, of which none was taken
            assert sum([len(piece) async for piece in stream]) == 10_000_000

    run(test())


def test_a_stream_that_nobody_reads_on_ends_in_the_model(tmp_path: Path) -> None:
    models.custom(tmp_path, body=STREAMING)

    async def test() -> None:
        lines = Lines()
        async with started(tmp_path, lines) as process:
            stream = await process.stream(asked({"pieces": 10**9, "size": 100_000}, "stream"), WITHIN)
            stream.close()
            await lines.wait_for("ended")
            assert process.waiting == 0

    run(test())


def test_a_stream_that_fails_is_a_500_before_its_first_piece_and_breaks_off_after_it(tmp_path: Path) -> None:
    models.custom(tmp_path, body=STREAMING)

    async def test() -> None:
        async with started(tmp_path) as process:
            early = await process.stream(asked({"pieces": 3, "size": 10, "bad": 0}, "stream"), WITHIN)
            assert early.status == 500
            assert "ValueError: no more" in json.loads(b"".join([piece async for piece in early]))["error"]
            late = await process.stream(asked({"pieces": 3, "size": 10, "bad": 2}, "stream"), WITHIN)
            got = b""
            with pytest.raises(ModelError, match="ValueError: no more"):
                async for piece in late:
                    got += piece
            assert got == b"x" * 20

    run(test())


def test_a_stream_breaks_off_when_the_process_dies(tmp_path: Path) -> None:
    models.custom(tmp_path, body=STREAMING)

    async def test() -> None:
        async with started(tmp_path) as process:
            stream = await process.stream(asked({"pieces": 10**9, "size": 100_000}, "stream"), WITHIN)
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(ModelGone):
                async for _ in stream:
                    pass

    run(test())


def test_closing_waits_for_what_was_asked(tmp_path: Path) -> None:
    models.slow(tmp_path)

    async def test() -> None:
        process = await ModelProcess.start(Start(model=str(tmp_path)), print, WITHIN)
        waiting = [asyncio.ensure_future(process.ask(asked({"x": [[1.0] * 64]}), WITHIN)) for _ in range(10)]
        await asyncio.sleep(0)
        await process.close(WITHIN)
        assert [each.result().status for each in waiting] == [200] * 10

    run(test())


def test_nothing_is_left_of_processes_that_were_closed(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "import subprocess\nclass Predictor:\n"
            "    def __init__(self):\n        self.child = subprocess.Popen(['sleep', '1000'])\n"
            "    def predict(self, inputs):\n        return self.child.pid\n"
        ),
    )

    async def test() -> None:
        async with started(tmp_path) as process:
            grandchild = psutil.Process(told(await process.ask(asked(1), WITHIN))["outputs"])
        await until_gone(grandchild)
        before = descriptors()
        async with started(tmp_path):
            pass
        assert descriptors() == before

    before = children()
    run(test())
    assert children() == before


def test_the_process_dies_with_its_parent(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    code = (
        "import asyncio, sys\n"
        "from raykqi.serving.process import ModelProcess, Start\n"
        "async def main():\n"
        "    process = await ModelProcess.start(Start(model=sys.argv[1]), print, 60)\n"
        "    print(process.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )

    async def test() -> None:
        parent = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            str(tmp_path),
            stdout=asyncio.subprocess.PIPE,
        )
        assert parent.stdout
        process = psutil.Process(int(await asyncio.wait_for(parent.stdout.readline(), WITHIN)))
        parent.kill()
        await parent.wait()
        await until_gone(process)

    run(test())


def children() -> set[int]:
    return {each.pid for each in psutil.Process().children()}


def descriptors() -> list[str]:
    return sorted(os.readlink(each.path).split(":")[0] for each in os.scandir("/proc/self/fd") if os.path.islink(each))


async def until_gone(process: psutil.Process) -> None:
    waiting: Awaitable[object] = asyncio.to_thread(psutil.wait_procs, [process], timeout=WITHIN)
    await waiting
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
