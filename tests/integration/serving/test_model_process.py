"""The process in which a model runs: asked many things at a time, stuck, killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from raykqi.domain.endpoint import Batching
from raykqi.errors import ModelGone
from raykqi.serving.process import Asked, ModelProcess, Start
from tests import models
from tests.integration.serving.asking import (
    WITHIN,
    Lines,
    asked,
    run,
    started,
    told,
)


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
            await asyncio.sleep(0)  # all of them are asked
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert (await late).status == 504
            assert "no answer within 0.2 s" in told(await late)["error"]
            assert (await first).status == 504
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


def test_closing_waits_for_what_was_asked(tmp_path: Path) -> None:
    models.slow(tmp_path)

    async def test() -> None:
        process = await ModelProcess.start(Start(model=str(tmp_path)), print, WITHIN)
        waiting = [asyncio.ensure_future(process.ask(asked({"x": [[1.0] * 64]}), WITHIN)) for _ in range(10)]
        await asyncio.sleep(0)
        await process.close(WITHIN)
        assert [each.result().status for each in waiting] == [200] * 10

    run(test())
