"""How the process of a model begins and ends: loaded badly, kept within bounds, leaving nothing behind."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed
from raykqi.serving.process import ModelProcess, Start
from tests import models
from tests.integration.serving.asking import (
    WITHIN,
    Lines,
    asked,
    children,
    descriptors,
    run,
    started,
    told,
    until_gone,
)


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
