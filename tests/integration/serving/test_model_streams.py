"""Answers in pieces out of the process of a model."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from raykqi.errors import ModelError, ModelGone
from tests import models
from tests.integration.serving.asking import (
    WITHIN,
    Lines,
    asked,
    run,
    started,
    told,
)

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
