"""`raykqi up` with its API: found by the same person's other programs, closed to others, and gone at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.conftest import CommandLine
from tests.e2e.cli.program import Program, still_there
from tests.e2e.cli.test_cli_run import apply, run_of

DATA = "/api/v1/projects/default/data"
SOON = 20.0  # "within seconds", on a machine that is busy


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "RAYKQI_USER": "lena", "XDG_STATE_HOME": str(tmp_path / "state")}


def get(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_it_serves_the_api_runs_plans_and_leaves_nothing_behind(
    bare: CommandLine, home: dict[str, str], tmp_path: Path
) -> None:
    with Program(bare.folder, "up", "--no-dashboard", "--cpus", "2", "--port", "0", env=home) as up:
        up.until(lambda line: line.startswith("Runs plans now"))
        url, token = next(line.split()[1] for line in up.lines if line.startswith("api ")).split("/?token=")
        (record,) = (tmp_path / "state" / "raykqi" / "servers").glob("*.json")
        assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert json.loads(record.read_text()) == {
            "url": url,
            "token": token,
            "workspace": record.stem,
            "pid": up.process.pid,
        }
        assert get(f"{url}{DATA}", token)["items"] == []

        apply(bare, "quick", "true")
        quick = run_of(bare, "quick")
        up.until(lambda line: "done" in line and quick[:18] in line)
        pushed = bare.push("photo.txt")
        assert get(f"{url}{DATA}", token)["items"][0]["id"] == pushed
        pids = up.pids()

        assert up.end(signal.SIGINT, within=SOON) == 0

    assert still_there(pids, within=SOON) == []
    assert not record.exists()
    with pytest.raises(urllib.error.URLError):
        get(f"{url}/healthz", token)


def test_its_token_ends_with_it_and_it_may_be_started_again(bare: CommandLine, home: dict[str, str]) -> None:
    bare.ok("init")
    tokens = []
    for _ in range(2):
        with Program(bare.folder, "up", "--no-dashboard", "--cpus", "1", "--port", "0", "--json", env=home) as up:
            up.until(lambda line: '"api_token"' in line)
            facts = up.said()[0]
            tokens.append(facts["api_token"])
            for token, expected in zip(tokens, ([200], [401, 200])[len(tokens) - 1], strict=True):
                assert status(f"{facts['api']}{DATA}", token) == expected
            assert up.end(signal.SIGTERM, within=SOON) == 0


def test_a_taken_port_is_told_or_avoided(bare: CommandLine, home: dict[str, str]) -> None:
    bare.ok("init")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        with Program(bare.folder, "up", "--port", port, env=home) as up:
            assert up.process.wait(SOON) == 4

    assert f"port {port} of 127.0.0.1 cannot be used" in up.errors.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "tokens and data would go over the network unencrypted at 0.0.0.0"),
        (["--tls-cert", "lab.pem"], "a certificate needs its key"),
        (["--tls-cert", "lab.pem", "--tls-key", "lab.key"], "there is no file lab.pem"),
        (["--port", "65536"], "65536 is no port"),
    ],
)
def test_an_unsafe_or_impossible_place_is_refused(bare: CommandLine, arguments: list[str], message: str) -> None:
    bare.ok("init")

    refused = bare("up", *arguments)

    assert refused.code == 2
    assert message in refused.err
    assert os.listdir(bare.folder) == [".raykqi"]


def status(url: str, token: str) -> int:
    try:
        get(url, token)
    except urllib.error.HTTPError as error:
        return error.code
    return 200
