"""The first minute with raykqi, as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import examples.quickstart as quickstart

# Ray Serve describes its settings as an earlier pydantic had it.
STRICT = ["-W", "error", "-W", "ignore:Using extra keyword arguments on:DeprecationWarning"]
ROOT = Path(quickstart.__file__).resolve().parent.parent


def run(folder: Path) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder.with_name("home"))}
    done = subprocess.run(
        [sys.executable, *STRICT, "-m", "examples.quickstart"],
        cwd=folder, env=env, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_the_quickstart_works_again_and_again(tmp_path: Path, times: int) -> None:
    for _ in range(times):
        said = run(tmp_path)
        assert "Traceback" not in said
        assert "gamma 0.05    accuracy 0.98" in said
        assert [said.count(f"✔ {plan}") for plan in ("prepare", "train", "evaluate")] == [1, 2, 2]
        assert "metrics ← ▶ evaluate" in said
        assert '{"label":"3",' in said
        assert "which came to be so:\n  ● type:model" in said
        assert "\n  clean\n" in said
        assert "Next, in this workspace:" in said

    made = tmp_path / ".quickstart"
    picture = ElementTree.parse(made / "lineage.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert any("evaluate" in (element.text or "") for element in picture.iter())
    assert list(tmp_path.iterdir()) == [made]
