"""From nothing to a followed run, all from another folder: what the guide for teams promises."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine
from tests.e2e.cli.program import Program

PLAN = """name: shout
command:
  - /bin/sh
  - -c
  - |
    for i in 1 2 3; do echo line $i; sleep 0.1; done
    tr a-z A-Z < {inputs.words}/words.txt > {outputs.loud}/words.txt
inputs: [{name: words, tags: ['type:words']}]
outputs: [{name: loud, tags: ['type:loud']}]
resources: {cpu: 0.5, memory: 64Mi}
"""


def test_a_team_member_does_everything_from_elsewhere(
    bare: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = {"HOME": str(tmp_path / "home"), "RAYKQI_USER": "lena", "XDG_STATE_HOME": str(tmp_path / "state")}
    server, elsewhere = tmp_path / "server", tmp_path / "elsewhere"
    server.mkdir()
    elsewhere.mkdir()
    with Program(server, "up", "--no-dashboard", "--cpus", "2", "--port", "0", "--json", env=home) as up:
        up.until(lambda line: '"api_token"' in line)
        facts = up.said()[0]
        monkeypatch.chdir(elsewhere)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        mine = CommandLine(elsewhere, monkeypatch)
        mine.write("words/words.txt", "hello\n")
        mine.write("shout.yaml", PLAN)

        assert mine.ok("whoami", "--json").json["url"] == facts["api"]  # it is found by itself
        mine.ok("user", "add", "hanako", "--password", stdin="correct horse battery\n")
        mine.ok("project", "create", "vision")
        mine.ok("project", "add", "hanako", "member", "--project", "vision")
        mine.ok("login", facts["api"], "--user", "hanako", stdin="correct horse battery\n")
        assert mine.ok("whoami", "--json").json["roles"] == {"vision": "member"}

        mine.ok("plan", "apply", "shout.yaml")
        data = mine.push("words", "-n", "-t", "type:words")
        (run,) = mine.ok("run", "find", "-q").lines
        assert mine.ok("run", "logs", "-f", run).lines == ["line 1", "line 2", "line 3"]
        assert mine.ok("run", "wait", run, "--timeout", "60s").lines == ["1 done."]
        (loud,) = mine.ok("data", "find", "-t", "type:loud", "-q").lines
        mine.ok("data", "pull", loud, "loud")
        assert (elsewhere / "loud" / "words.txt").read_text() == "HELLO\n"
        lineage = mine.ok("lineage", "show", loud, "--json").json
        assert {node["id"] for node in lineage["data"]} >= {data, loud}
        assert mine("user", "list").code == 8
        assert mine("data", "find", "--project", "default").code == 3

        assert up.end(signal.SIGINT) == 0
