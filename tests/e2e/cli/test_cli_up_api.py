"""`raykqi up` with its API: found by the same person's other programs, closed to others, and gone at the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

import raykqi
from raykqi.errors import Unauthenticated
from tests.e2e.cli.conftest import CommandLine, Served
from tests.e2e.cli.program import Program, still_there
from tests.e2e.cli.test_cli_run import UNTIL_STOPPED, apply, run_of

DATA = "/api/v1/projects/default/data"
SOON = 20.0  # "within seconds", on a machine that is busy


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "RAYKQI_USER": "lena", "XDG_STATE_HOME": str(tmp_path / "state")}


class Told:
    """What hooks are told."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        heard = self.statuses

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["status"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    with made.server:
        thread = threading.Thread(target=made.server.serve_forever)
        thread.start()
        yield made
        made.server.shutdown()
        thread.join()


ASKS = f"""{sys.executable} -c '
import json, os, urllib.request
headers = dict(Authorization="Bearer " + os.environ["RAYKQI_TOKEN"])
asked = urllib.request.Request(os.environ["RAYKQI_URL"] + "/api/v1/me", headers=headers)
me = json.load(urllib.request.urlopen(asked))
print(json.dumps(dict((name, me[name]) for name in ("user", "roles", "run"))))
'"""


def get(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def first_ports_of_replicas(pids: list[int]) -> set[int]:
    """As Ray Serve was told: by itself it takes 30000 for every Ray of a machine."""
    told: set[int] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):  # workers come and go
            told.add(int(psutil.Process(pid).environ().get("RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT", 0)))
    return told - {0}


def listening(pids: list[int]) -> set[int]:
    ports: set[int] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            sockets = psutil.Process(pid).net_connections("tcp")
            ports |= {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}
    return ports


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
        apply(bare, "asks", ASKS)
        asking = run_of(bare, "asks")
        up.until(lambda line: "done" in line and asking[:18] in line)
        (said,) = bare("run", "logs", asking).lines
        assert json.loads(said) == {"user": f"run-{asking}", "roles": {"default": "member"}, "run": asking}
        pushed = bare.push("photo.txt")
        assert get(f"{url}{DATA}", token)["items"][0]["id"] == pushed
        pids = up.pids()
        (of_replicas,) = first_ports_of_replicas(pids)
        assert of_replicas in listening(pids)

        assert up.end(signal.SIGINT, within=SOON) == 0

    assert still_there(pids, within=SOON) == []
    assert not record.exists()
    with pytest.raises(urllib.error.URLError):
        get(f"{url}/healthz", token)
    with raykqi.open(bare.folder / ".raykqi") as workspace, pytest.raises(Unauthenticated):
        workspace.caller(token)


@pytest.mark.soak
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


def test_one_that_joined_a_ray_takes_the_api_away_and_leaves_runs_going(
    served: Served, cli: CommandLine, home: dict[str, str], told: Told
) -> None:
    joining = home | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": served.facts["token"]}
    address = served.facts["ray"]
    apply(cli, "endless", UNTIL_STOPPED)
    run = run_of(cli, "endless")
    with Program(cli.folder, "up", "--address", address, "--port", "0", env=joining) as up:
        up.until(lambda line: line.startswith("Runs plans now"))
        url, token = next(line.split()[1] for line in up.lines if line.startswith("api ")).split("/?token=")
        up.until(lambda line: run[:18] in line and "started" in line)
        assert status(f"{url}{DATA}", token) == 200

        assert up.end(signal.SIGINT, within=SOON) == 0
        assert up.lines[-1] == "1 run goes on without us."

    assert cli.ok("run", "show", run, "--json").json["status"] == "running"
    with pytest.raises(urllib.error.URLError):
        get(f"{url}/healthz", token)
    hooks = cli.write("hooks.yaml", json.dumps({"after": [told.url]}))
    detach = ("up", "--address", address, "--detach", "--hooks", hooks, "--json")
    with Program(cli.folder, *detach, env=joining) as detaching:
        assert detaching.process.wait(60) == 0, detaching.errors.read_text()
    cli("run", "stop", run)
    with Program(cli.folder, "run", "wait", run, "--timeout", "60s") as waiting:
        assert waiting.process.wait(90) == 0
    with Program(cli.folder, "up", "--address", address, "--stop", env=joining) as stopping:
        assert stopping.process.wait(60) == 0, stopping.errors.read_text()
    shown = cli.ok("run", "show", run, "--json").json
    assert (shown["status"], shown["attempt"]) == ("done", 1)
    assert "done" in told.statuses
