"""A command acts in its own project, as itself, for as long as it runs and no longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from raykqi.domain.access import Caller
from raykqi.domain.resources import Resources
from raykqi.domain.run_token import RunToken, sign_run_token
from raykqi.errors import Unauthenticated
from raykqi.execution.local_nodes import LocalNodes
from raykqi.server import Server
from raykqi.storage.access_key import KEY, read_access_key
from tests.integration.lab import Lab
from tests.integration.runs.bench import GIB, Bench

URL = "http://127.0.0.1:8000"
SAYS = 'printf "%s\\n" "$RAYKQI_URL" "$RAYKQI_PROJECT" "$RAYKQI_TOKEN" > "{folder}/said"; read -r code < "{folder}/go"'


class Talking:
    """Runs whose commands say what they were given, and end when they are told how."""

    def __init__(self, lab: Lab, *, url: str = URL) -> None:
        self.bench = Bench(lab)
        for name in ("said", "go"):
            os.mkfifo(lab.folder / name)
        self.folder = lab.folder
        nodes = LocalNodes(lab.settings, lab.folder / "runs", total=Resources(cpu=4000, memory=8 * GIB))
        self.server = Server(self.bench.opened.parts, lab.settings, nodes, api_url=url)
        self.bench.server = self.server

    def begin(self, *, more: str = "") -> tuple[str, str, str]:
        """Start one run; the URL, project and token that its command has."""
        self.bench.plan(SAYS.replace("{folder}", str(self.folder)) + "\nexit $code", more=more)
        self.bench.push("a:1")
        return self.said()

    def said(self) -> tuple[str, str, str]:
        url, project, token = Path(self.folder / "said").read_text().split("\n")[:3]
        return url, project, token

    def end(self, code: int = 0) -> None:
        Path(self.folder / "go").write_text(f"{code}\n")


@pytest.fixture
def talking(lab: Lab) -> Iterator[Talking]:
    made = Talking(lab)
    yield made
    made.bench.close()


def test_a_command_acts_while_it_runs_and_no_longer(talking: Talking) -> None:
    ws = talking.bench.ws
    url, project, token = talking.begin()
    run = talking.bench.only_run()

    assert (url, project) == (URL, "default")
    assert ws.caller(token) == Caller(f"run-{run.id}", roles={"default": "member"}, run=run.id)

    talking.end()
    talking.bench.until(run, "done")
    with pytest.raises(Unauthenticated, match="the token is not valid"):
        ws.caller(token)


def test_an_earlier_attempt_cannot_act(talking: Talking) -> None:
    ws = talking.bench.ws
    _, _, first = talking.begin(more="retries: 1\nbackoff: 0")
    talking.end(1)
    _, _, second = talking.said()

    assert ws.caller(second).run == talking.bench.only_run().id
    with pytest.raises(Unauthenticated):
        ws.caller(first)
    talking.end()


def test_a_run_is_nobody_where_it_does_not_belong(talking: Talking) -> None:
    ws = talking.bench.ws
    talking.begin()
    run = talking.bench.only_run()
    key = read_access_key(talking.bench.opened.parts.store)
    soon = datetime.now(UTC) + timedelta(hours=1)
    good = RunToken(run.id, 1, "default", soon)
    assert ws.caller(sign_run_token(good, key)).run == run.id

    for wrong in (
        RunToken(run.id, 1, "lab", soon),
        RunToken(run.id, 2, "default", soon),
        RunToken(run.id, 1, "default", datetime.now(UTC) - timedelta(seconds=1)),
        RunToken("01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33", 1, "default", soon),
        RunToken(run.plan, 1, "default", soon),
    ):
        with pytest.raises(Unauthenticated):
            ws.caller(sign_run_token(wrong, key))
    with pytest.raises(Unauthenticated):
        ws.caller(sign_run_token(good, b"x" * 32))
    talking.end()


def test_a_token_lasts_no_longer_than_its_command_may(talking: Talking) -> None:
    _, _, token = talking.begin(more="timeout: 1h")

    expires = datetime.fromtimestamp(int(token.split(".")[3]), UTC)

    assert timedelta(hours=1) < expires - datetime.now(UTC) <= timedelta(hours=2)
    talking.end()


def test_without_a_server_to_talk_to_there_is_no_token(lab: Lab) -> None:
    talking = Talking(lab, url="")

    assert talking.begin() == ("", "", "")

    talking.end()
    talking.bench.close()
    assert not (Path(lab.url) / KEY).exists()


def test_two_who_come_at_once_have_one_key(lab: Lab) -> None:
    store, other = lab.open().parts.store, lab.open().parts.store

    assert read_access_key(store) == read_access_key(other)
    assert len(read_access_key(store)) == 32
