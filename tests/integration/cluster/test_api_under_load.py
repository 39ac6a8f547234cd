"""Many clients at once, two hundred in the long form, while an API replica, the proxy and the controller are killed.

Every client retries as the client library does by itself. Afterwards exactly what was acknowledged is
there, once each, and the index is what the journal says.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import raykqi
from raykqi.client import RemoteWorkspace
from raykqi.workspace import Workspace
from tests.comparison import assert_equals_journal
from tests.integration.cluster.served_api import ServedApi, serve_api

STARTED = 120.0  # seconds for all of them to have begun
PLAN = """
name: client-{number}-{turn}
command: "true"
inputs:
- path: /in
  tags: [nobody:has-this]
outputs:
- path: /out
  tags: [client:{number}]
"""


class Client:
    """Pushes, tags, applies and reads; remembers what was acknowledged."""

    def __init__(self, api: ServedApi, folder: Path, number: int) -> None:
        self._api, self._number = api, number
        self._folder = folder / f"client-{number}"
        self._folder.mkdir()
        self.pushed: list[str] = []
        self.tagged: list[str] = []
        self.plans: list[str] = []

    def work(self, is_over: Callable[[], bool]) -> None:
        with raykqi.connect(self._api.url, token=self._api.token) as ws:
            turn = 0
            while not is_over():
                self._once(ws, turn)
                turn += 1

    def _once(self, ws: RemoteWorkspace, turn: int) -> None:
        own = f"client:{self._number}"
        (self._folder / "file").write_text(f"{self._number} {turn}")
        data = ws.push(self._folder, [own, f"turn:{turn}"])
        self.pushed.append(data.id)
        ws.tag(data, add=[f"checked:{turn}"])
        self.tagged.append(data.id)
        shown = ws.show(data.id)
        assert f"checked:{turn}" in [str(tag) for tag in shown.tags], "a client does not see its own tag"
        assert data.id in [found.id for found in ws.find(own, limit=5)], "a client does not find its own data"
        if turn % 10 == 0:
            self.plans.append(ws.apply(PLAN.format(number=self._number, turn=turn)).id)


def run_clients(
    api: ServedApi, folder: Path, *, seconds: float, count: int, disturb: Callable[[int], None]
) -> list[Client]:
    """`disturb` is called thrice on the way. What a client could not get done is raised."""
    clients = [Client(api, folder, number) for number in range(count)]
    problems: list[BaseException] = []
    end = threading.Event()

    def work(client: Client) -> None:
        try:
            client.work(lambda: end.is_set() or bool(problems))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for number in range(3):
        while time.monotonic() - began < seconds * (number + 1) / 4 and not problems:
            end.wait(0.1)
        disturb(number)
    while time.monotonic() - began < seconds and not problems:
        end.wait(0.1)
    end.set()
    for thread in threads:
        thread.join(STARTED)
    assert problems == []
    return clients


def check(ws: Workspace, clients: list[Client]) -> None:
    """Nothing acknowledged is missing, nothing is there twice, and nothing is there that nobody pushed."""
    pushed = Counter(id_ for client in clients for id_ in client.pushed)
    assert max(pushed.values()) == 1
    stored = {data.id: data for data in ws.find() if any(tag.key == "client" for tag in data.tags)}
    turns = Counter((tag_of(data, "client"), tag_of(data, "turn")) for data in stored.values())
    assert [turn for turn, times in turns.items() if times > 1] == []
    assert set(stored) == set(pushed)
    unchecked = [id_ for client in clients for id_ in client.tagged if not tag_of(stored[id_], "checked")]
    assert unchecked == []
    plans = Counter(plan.definition.name for plan in ws.plans())
    assert sum(plans.values()) == len(plans) == sum(len(client.plans) for client in clients)


def tag_of(data: raykqi.Data, key: str) -> str:
    return next((tag.value for tag in data.tags if tag.key == key), "")


def kill_one(root: psutil.Process, name: str) -> None:
    """One of the processes below `root` whose command line begins so."""
    for process in root.children(recursive=True):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if name in line:
            os.kill(process.pid, signal.SIGKILL)
            return
    raise AssertionError(f"no process is called {name}")


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        pytest.param(16.0, 40, id="40"),
        pytest.param(60.0, 200, id="200", marks=pytest.mark.soak),
    ],
)
def test_many_clients_lose_nothing_while_what_serves_them_is_killed(tmp_path: Path, seconds: float, count: int) -> None:
    workspace = tmp_path / "workspace"
    victims = ("ServeReplica", "haproxy", "ControllerActor")
    with serve_api(workspace, tmp_path, replicas=2) as api:
        clients = run_clients(
            api, tmp_path, seconds=seconds, count=count, disturb=lambda number: kill_one(api.process, victims[number])
        )
        assert sum(len(client.pushed) for client in clients) > count

    with raykqi.open(workspace) as ws:
        check(ws, clients)
        assert ws.fsck().clean
        assert_equals_journal(ws._keeper.index, ws._store)
