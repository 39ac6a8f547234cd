"""The command line, run in this process over a workspace in a folder of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.main import main
from raykqi.opening import create_workspace, open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from tests.architecture.source import ROOT

if TYPE_CHECKING:
    from tests.e2e.cli.program import Program


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """What `--json` says on stderr, which is one object and nothing else."""
        found: dict[str, Any] = json.loads(self.err)["error"]
        return found


class CommandLine:
    """`folder` is the current directory; the workspace is `.raykqi` in it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        self._patch.setattr(sys, "stdin", io.StringIO(stdin))
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
        out.flush()
        assert isinstance(out.buffer, io.BytesIO)
        return Result(code, out.buffer.getvalue(), err.getvalue())

    def ok(self, *arguments: str, stdin: str = "") -> Result:
        result = self(*arguments, stdin=stdin)
        assert (result.code, result.err) == (0, "")
        return result

    def process(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        """The same in a process of its own."""
        return subprocess.run(
            command(*arguments), cwd=self.folder, env=environment(env), capture_output=True, check=False, timeout=60
        )

    def write(self, path: str, text: str = "x") -> str:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return path

    def push(self, path: str, *options: str) -> str:
        """Push a file of that name, made if it is not there; its id."""
        if not (self.folder / path).exists():
            self.write(path, f"content of {path}")
        return self.ok("data", "push", path, *options).lines[0]


@dataclass(frozen=True)
class Served:
    """`facts` is what `raykqi up --json` said first."""

    folder: Path
    up: Program
    facts: dict[str, Any]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *arguments]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **(changes or {})}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Where no workspace is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYKQI_USER", "lena")
    return CommandLine(tmp_path, monkeypatch)


# What must look the same at a server, each time that the suite runs and in the soak tests.
OVER_HTTP = ("test_cli_data",)
OVER_HTTP_IN_SOAK = ("test_cli_lineage", "test_cli_plan")
# What looks into the folder of the workspace, names it, or stores links that no server takes.
ONLY_HERE = (
    "test_a_format_is_the_same_text_as_in_python",
    "test_every_format_can_be_printed",
    "test_links_out_of_the_data_are_written_only_when_allowed",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cli" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        kinds: list[object] = ["here"]
        if module in OVER_HTTP + OVER_HTTP_IN_SOAK and metafunc.function.__name__ not in ONLY_HERE:
            kinds.append(pytest.param("http", marks=[] if module in OVER_HTTP else pytest.mark.soak))
        metafunc.parametrize("cli", kinds, indirect=True)


@pytest.fixture
def cli(
    request: pytest.FixtureRequest, bare: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CommandLine]:
    """With an empty workspace: in the folder, or at a server whose address and token are in the environment."""
    if request.param == "here":
        bare.ok("init")
        yield bare
        return
    from tests.integration.over_http import serving_http

    folder = tmp_path_factory.mktemp("server")
    settings = Settings(user="server", cache_dir=folder / "cache")
    create_workspace(str(folder / "store"), settings)
    with Workspace(open_parts(str(folder / "store"), settings), settings) as workspace:
        workspace.add_user("lena", is_admin=True)
        _, token = workspace.issue_token("tests", user="lena")
        with serving_http(workspace) as url, pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAYKQI_URL", url)
            patch.setenv("RAYKQI_TOKEN", token)
            yield bare


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A workspace whose plans a `raykqi up` of its own runs, shared by the tests: use plans and tags of your own."""
    from tests.e2e.cli.program import Program

    folder = tmp_path_factory.mktemp("served")
    home = {"HOME": str(folder / "home"), "RAYKQI_USER": "lena"}
    with Program(folder, "up", "--no-api", "--no-dashboard", "--cpus", "4", "--json", env=home) as up:
        up.until(lambda line: '"own_ray"' in line)
        yield Served(folder, up, up.said()[0])
        assert up.end(signal.SIGINT) == 0


@pytest.fixture
def running(served: Served, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line in the workspace that is served."""
    monkeypatch.chdir(served.folder)
    monkeypatch.setenv("RAYKQI_USER", "lena")
    return CommandLine(served.folder, monkeypatch)
