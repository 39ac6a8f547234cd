"""A plan on folders right here, without a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raykqi.domain.plan import Definition, Launcher, PlanInput, PlanOutput
from raykqi.domain.run import Exit
from raykqi.execution.here import run_here
from raykqi.settings import Settings


@pytest.fixture(params=["process", "sandbox"])
def launcher(request: pytest.FixtureRequest) -> Launcher:
    return request.param  # type: ignore[no-any-return]


def run(tmp_path: Path, launcher: Launcher, *command: str, code: Path | None = None, **more: Any) -> tuple[Exit, bytes]:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("one\n")
    definition = Definition(
        inputs=(PlanInput("dataset", "/in/dataset"),),
        outputs=(PlanOutput("model", "/out/model"),),
        command=command or None,
        launcher=launcher,
        **more,
    )
    said: list[bytes] = []
    folders = {"dataset": tmp_path / "data"}, {"model": tmp_path / "model"}
    end = run_here(
        definition, *folders, {"rate": 2}, Settings(cache_dir=tmp_path / "cache"), code=code, say=said.append
    )
    return end, b"".join(said)


def test_a_command_works_on_the_given_folders(tmp_path: Path, launcher: Launcher) -> None:
    end, said = run(
        tmp_path,
        launcher,
        "sh",
        "-c",
        "cp {inputs.dataset}/a {outputs.model}/b; echo {params.rate}; touch {inputs.dataset}/x; exit 5",
    )

    assert end.code == 5
    assert said.startswith(b"2\n")
    assert (tmp_path / "model" / "b").read_text() == "one\n"
    assert not (tmp_path / "data" / "x").exists()


def test_a_function_is_called_with_the_given_folders(tmp_path: Path, launcher: Launcher) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "work.py").write_text(
        "def f(dataset, model, rate):\n"
        "    print('working')\n"
        "    (model / 'n').write_text((dataset / 'a').read_text() * rate)\n"
    )

    end, said = run(tmp_path, launcher, function="work:f", code=code)

    assert (end, said) == (Exit(0), b"working\n")
    assert (tmp_path / "model" / "n").read_text() == "one\none\n"


def test_a_plan_over_its_time_is_ended(tmp_path: Path, launcher: Launcher) -> None:
    end, _ = run(tmp_path, launcher, "sleep", "300", timeout=0.2)

    assert end == Exit(124, "timed out after 0.2 s")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, launcher: Launcher) -> None:
    definition = Definition(inputs=(PlanInput("dataset"),), command=("true",), launcher=launcher)

    end = run_here(definition, {"dataset": tmp_path / "none"}, {}, {}, Settings(cache_dir=tmp_path / "cache"))

    assert end.code == 255
    assert f"{tmp_path}/none is no folder" in end.message
