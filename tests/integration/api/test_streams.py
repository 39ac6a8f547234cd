"""Streams: commits, logs and progress as they happen, taken up again where they broke off, ended with the right."""

from __future__ import annotations

import json
import queue
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from raykqi.domain.resources import Resources
from raykqi.execution.local_nodes import LocalNodes
from raykqi.settings import Settings
from serve_api.options import ApiOptions
from tests.integration.api.served import Served, served

EVENTS = {"Accept": "text/event-stream"}
LONGEST = 30.0


class Sent(NamedTuple):
    id: str
    event: str
    data: str
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Stream:
    """Reads in a thread of its own; what came is taken from a queue."""

    def __init__(self, client: httpx.Client, path: str, headers: dict[str, str]) -> None:
        self._came: queue.Queue[Sent | None] = queue.Queue()
        self._client, self._path, self._headers = client, path, headers
        self.is_open = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.is_open.wait(LONGEST)

    def _read(self) -> None:
        try:
            with self._client.stream("GET", self._path, headers=EVENTS | self._headers, timeout=LONGEST) as response:
                assert response.status_code == 200, response.read()
                id_ = event = data = ""
                for line in response.iter_lines():
                    name, _, value = line.partition(":")
                    self.is_open.set()
                    if not line and data:
                        self._came.put(Sent(id_, event, data, time.time()))
                        id_ = event = data = ""
                    elif name == "id":
                        id_ = value.strip()
                    elif name == "event":
                        event = value.strip()
                    elif name == "data":
                        data = value.strip()
        except httpx.HTTPError:
            pass
        finally:
            self.is_open.set()
            self._came.put(None)

    def next(self) -> Sent | None:
        return self._came.get(timeout=LONGEST)

    def rest(self) -> list[Sent]:
        return list(iter(self.next, None))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("streams")
    with served(folder, ApiOptions(heartbeat=0.2)) as server:
        settings = Settings(cache_dir=folder / "cache")
        nodes = LocalNodes(settings, folder / "runs", total=Resources(cpu=4000, memory=8 * 1024**3))
        with_plans = server.workspace.serve(nodes)
        yield server
        with_plans.close()


@pytest.fixture
def rui(server: Served) -> Iterator[httpx.Client]:
    with server.client("rui") as client:
        yield client


def tag(server: Served, data: str, text: str) -> int:
    """The number of the entry."""
    server.workspace.tag(data, add=[text])
    return server.workspace.seq


def test_a_commit_is_told_at_once_and_whole(server: Served, rui: httpx.Client) -> None:
    data = server.workspace.push(__file__)
    stream = Stream(rui, "/events", {})

    began = time.time()
    seq = tag(server, data.id, "a:1")
    sent = stream.next()

    assert sent is not None
    assert (sent.event, sent.id) == ("commit", str(seq))
    assert [(event["action"], event["data"], event["added"]) for event in sent.json["events"]] == [
        ("tags.changed", data.id, [["a", "1"]])
    ]
    assert sent.at - began < 1.0


def test_a_stream_of_commits_is_taken_up_where_it_broke_off(server: Served, rui: httpx.Client) -> None:
    data = server.workspace.push(__file__)
    numbers = [tag(server, data.id, f"n:{number}") for number in range(4)]

    stream = Stream(rui, "/events", {"Last-Event-ID": str(numbers[0])})
    seen = [stream.next() for _ in range(3)]
    numbers.append(tag(server, data.id, "n:live"))
    seen.append(stream.next())

    assert [int(sent.id) for sent in seen if sent] == numbers[1:]


def test_nothing_of_another_project_is_told(server: Served, rui: httpx.Client) -> None:
    server.workspace.create_project("elsewhere")
    other = server.workspace.acting(user="mika", project="elsewhere")
    own = server.workspace.push(__file__)
    stream = Stream(rui, "/events", {"Last-Event-ID": "0"})

    other.push(__file__, ["secret:yes"])
    last = tag(server, own.id, "last:yes")
    seen = []
    while not seen or int(seen[-1].id) < last:
        sent = stream.next()
        assert sent is not None
        seen.append(sent)

    assert "secret" not in "".join(sent.data for sent in seen)
    assert "token" not in "".join(sent.data for sent in seen)
    assert "elsewhere" not in "".join(sent.data for sent in seen)


@pytest.mark.parametrize("id_", ["x", "-1", "1.5", "9" * 30])
def test_a_place_that_is_none_is_refused(rui: httpx.Client, id_: str) -> None:
    assert rui.get("/events", headers=EVENTS | {"Last-Event-ID": id_}).status_code == 400


def test_whoever_loses_the_right_hears_no_more(server: Served) -> None:
    server.workspace.add_user("leaver")
    server.workspace.set_member("leaver", "viewer")
    data = server.workspace.push(__file__)
    with server.client("leaver") as client:
        stream = Stream(client, "/events", {})
        server.workspace.remove_member("leaver")

        tag(server, data.id, "after:leaving")

        assert stream.rest() == []
        assert client.get("/data").status_code == 404


def test_a_listener_that_does_not_read_is_let_go_and_holds_up_nobody(server: Served, rui: httpx.Client) -> None:
    listeners = server_news(server)
    data = server.workspace.push(__file__)
    with rui.stream("GET", "/events", headers=EVENTS) as slow:
        pieces = slow.iter_raw()
        next(pieces)
        (listener,) = listeners()
        huge = "x" * 900_000
        for number in range(40):
            if listener.is_late:
                break
            server.workspace.tag(data.id, add=[f"huge:{number}{huge}"], remove_keys=["huge"])
        deadline = time.monotonic() + LONGEST
        while not listener.is_late:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
    stream = Stream(rui, "/events", {})
    seq = tag(server, data.id, "next:yes")
    sent = stream.next()

    assert sent is not None
    assert sent.id == str(seq)


def server_news(server: Served) -> Any:
    return lambda: [each for each in server.app.state.api.news._listeners if each.project]


def apply(server: Served, name: str, code: str) -> str:
    """The run of a plan on new data."""
    server.workspace.apply(
        f"name: {name}\ncommand: [python3, -u, -c, {json.dumps(code)}]\ninputs:\n- path: /in\n  tags: [for:{name}]\n"
    )
    data = server.workspace.push(__file__, [f"for:{name}"])
    (run,) = server.workspace.runs(input=data)
    return run.id


def test_a_line_is_seen_soon_after_it_was_written(server: Served, rui: httpx.Client) -> None:
    code = "import time\nfor _ in range(8):\n    print(time.time()); time.sleep(0.15)"
    run = apply(server, "lines", code)

    sent = Stream(rui, f"/runs/{run}/log", {}).rest()

    assert sent[-1].event == "end"
    assert sent[-1].json == {"status": "done"}
    whole = b"".join(b64decode(each.data) for each in sent if each.event == "log")
    assert len(whole.split()) == 8
    assert rui.get(f"/runs/{run}/log").content == whole
    assert sent[-1].id == f"1-{len(whole)}"


def test_a_log_is_taken_up_at_the_byte_where_it_broke_off(server: Served, rui: httpx.Client) -> None:
    run = apply(server, "resumed", "print('0123456789'); print('日本語')")
    server.workspace.wait(run, timeout=LONGEST)
    whole = "0123456789\n日本語\n".encode()

    for offset in (0, 4, 11, 12, len(whole) - 1):
        rest = Stream(rui, f"/runs/{run}/log", {"Last-Event-ID": f"1-{offset}"}).rest()
        assert b"".join(b64decode(each.data) for each in rest if each.event == "log") == whole[offset:]
        assert rui.get(f"/runs/{run}/log?offset={offset}").content == whole[offset:]

    assert rui.get(f"/runs/{run}/log?follow=true").content == whole
    over = rui.get(f"/runs/{run}/log", headers=EVENTS | {"Last-Event-ID": f"1-{len(whole)}"})
    assert over.status_code == 204


def test_many_follow_one_log_and_all_see_all_of_it(server: Served, rui: httpx.Client, tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = f"import os, time\nprint('early')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\nprint('late')"
    run = apply(server, "many", code)

    streams = [Stream(rui, f"/runs/{run}/log", {}) for _ in range(6)]
    first = [stream.next() for stream in streams]
    go.touch()
    rest = [stream.rest() for stream in streams]

    for early, late in zip(first, rest, strict=True):
        assert early is not None
        logs = [early, *(each for each in late if each.event == "log")]
        assert b"".join(b64decode(each.data) for each in logs) == b"early\nlate\n"
        assert late[-1].event == "end"
    assert server.app.state.api.feeds._feeds == {}


def test_whoever_loses_the_right_reads_no_more_of_a_log(server: Served, tmp_path: Path) -> None:
    server.workspace.add_user("reader")
    server.workspace.set_member("reader", "viewer")
    go = tmp_path / "go"
    code = f"import os, time\nprint('early')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\nprint('late')"
    run = apply(server, "read", code)

    with (
        server.client("reader") as client,
        client.stream("GET", f"/runs/{run}/log?follow=true", timeout=LONGEST) as response,
    ):
        pieces = response.iter_bytes()
        assert next(pieces) == b"early\n"
        server.workspace.remove_member("reader")
        go.touch()
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)


def test_a_log_that_is_not_there_is_refused(server: Served, rui: httpx.Client) -> None:
    run = apply(server, "refused", "print(1)")
    server.workspace.wait(run, timeout=LONGEST)

    for query, status in (("attempt=7", 409), ("attempt=0", 400), ("offset=-1", 400), ("follow=perhaps", 400)):
        assert rui.get(f"/runs/{run}/log?{query}").status_code == status
        assert rui.get(f"/runs/{run}/log?{query}", headers=EVENTS).status_code == status


def test_progress_tells_how_a_run_does_and_its_end(server: Served, rui: httpx.Client, tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)"
    run = apply(server, "progress", code)

    stream = Stream(rui, f"/runs/{run}/progress", {})
    seen: list[Sent] = []
    while not any(sent.event == "beat" for sent in seen):
        sent = stream.next()
        assert sent is not None
        seen.append(sent)
    go.touch()
    seen += stream.rest()

    assert seen[0].event == "run"
    assert seen[-1].json == {"status": "done"}
    assert [sent.json["status"] for sent in seen if sent.event == "run"][-1] == "done"
