"""What code of users finds around it, all the way from the push of data to the result, by way of a cluster."""

from __future__ import annotations

import pytest

from raykqi.domain.run import Exit
from tests.integration.chaos import user_functions
from tests.integration.chaos.nodes import SECRET
from tests.integration.chaos.served import Served

HIDDEN = ("RAY_", "AWS_", "PYTEST_")
SCRIPT = 'env > {outputs.made}/env; printf "[%s]" "$CUDA_VISIBLE_DEVICES" > {outputs.made}/gpu'
INPUT, OUTPUT = {"/in": ["to:surroundings"]}, {"/made": ["by:command"]}


def content(served: Served, tag: str, name: str) -> list[str]:
    return [b"".join(served.ws.cat(data, name)).decode() for data in served.ws.find(tag)]


@pytest.mark.parametrize("launcher", ["process", pytest.param("sandbox", marks=pytest.mark.soak)])
def test_user_code_sees_no_token_no_secret_of_ray_and_no_gpu(served: Served, launcher: str) -> None:
    served.bench.launcher = launcher
    served.bench.plan(SCRIPT, inputs=INPUT, outputs=OUTPUT)
    served.ws.apply(user_functions.surroundings)
    served.serve()

    served.bench.push("to:surroundings")
    runs = served.wait()

    assert [(run.status, run.exit) for run in runs] == [("done", Exit(0))] * 2
    for by in ("by:command", "by:function"):
        (environment,) = content(served, by, "env")
        assert [line for line in environment.splitlines() if SECRET in line or line.startswith(HIDDEN)] == []
        assert content(served, by, "gpu") == ["[]"]
    served.assert_nothing_is_left()


def test_four_quarters_share_one_gpu_at_the_same_time(served: Served) -> None:
    """Each waits for the other three, and so for a GPU that holds all four."""
    meeting = served.folder.parent / "meeting"
    meeting.mkdir()
    script = f"touch {meeting}/$RAYKQI_RUN\nuntil [ $(ls {meeting} | wc -l) = 4 ]; do sleep 0.1; done\n{SCRIPT}"
    quarter = "resources: {cpu: 0.25, memory: 0, gpu: 0.25}"
    served.bench.plan(script, inputs=INPUT, outputs=OUTPUT, more=quarter)
    served.serve()

    for _ in range(4):
        served.bench.push("to:surroundings")
    runs = served.wait()

    assert [(run.status, run.node) for run in runs] == [("done", "second")] * 4
    assert content(served, "by:command", "gpu") == ["[0]"] * 4
    served.assert_nothing_is_left()
