"""The program as a process: what it loads, terminals, pipes, locales, signals and completion."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine, command, environment

NEVER = {"ray", "torch", "fastapi", "onnxruntime", "sqlmodel", "sqlalchemy", "fsspec", "s3fs", "botocore", "rich"}
NOT_FOR_QUESTIONS = NEVER | {"numpy", "pandas", "pyarrow"}
NOT_FOR_HELP = NOT_FOR_QUESTIONS | {"duckdb", "blake3"}


def loaded_by(cli: CommandLine, *arguments: str) -> set[str]:
    """Top-level modules that the whole process imports."""
    timed = [sys.executable, "-X", "importtime", "-m", "cli.main", *arguments]
    result = subprocess.run(timed, cwd=cli.folder, env=environment(), capture_output=True, text=True, check=True)
    return {found[1].split(".")[0] for found in re.finditer(r"^import time:.*\| +(\S+)$", result.stderr, re.MULTILINE)}


def on_terminal(
    cli: CommandLine, arguments: Sequence[str], *, width: int = 100, env: dict[str, str] | None = None
) -> str:
    """What a terminal of that width is sent."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    settings = environment({"TERM": "xterm-256color", **(env or {})})
    settings.pop("COLUMNS", None)
    process = subprocess.Popen(command(*arguments), cwd=cli.folder, env=settings, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = read_to_end(ours)
    process.wait(timeout=60)
    return shown.decode().replace("\r\n", "\n")


def read_to_end(terminal: int) -> bytes:
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:
        pass  # how a terminal tells that the other side is closed
    finally:
        os.close(terminal)
    return shown


def test_a_question_loads_nothing_that_it_does_not_need(cli: CommandLine) -> None:
    cli.push("made")
    loaded = loaded_by(cli, "data", "find")

    assert "duckdb" in loaded
    assert loaded & NOT_FOR_QUESTIONS == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["data", "find", "--help"]], ids=" ".join)
def test_help_loads_next_to_nothing(cli: CommandLine, arguments: list[str]) -> None:
    assert loaded_by(cli, *arguments) & NOT_FOR_HELP == set()


@pytest.mark.parametrize("arguments", [["tag", "list"], ["doctor"], ["data", "push", "made"]], ids=" ".join)
def test_everyday_work_loads_no_server_and_no_s3(cli: CommandLine, arguments: list[str]) -> None:
    cli.push("made")

    assert loaded_by(cli, *arguments) & NEVER == set()


def test_a_pipe_gets_plain_whole_text(cli: CommandLine) -> None:
    cli.push("made", "-n", "-t", f"long:{'x' * 200}")

    shown = cli.process("data", "find", env={"COLUMNS": "40"}).stdout.decode()

    assert "x" * 200 in shown
    assert "\x1b" not in shown


def test_a_terminal_gets_colours_unless_they_are_unwanted(cli: CommandLine) -> None:
    cli.push("made")

    assert "\x1b[36m" in on_terminal(cli, ["data", "find"])
    assert "\x1b" not in on_terminal(cli, ["data", "find"], env={"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal(cli, ["data", "find"], env={"TERM": "dumb"})


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_fits_the_terminal(cli: CommandLine, width: int) -> None:
    cli.push("made", "-n", "-t", "type:a-rather-long-description", "-t", "言語:日本語のデータセット")

    lines = on_terminal(cli, ["data", "find"], width=width, env={"NO_COLOR": "1"}).splitlines()

    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    assert "made" in lines[1]


def test_errors_are_wrapped_on_a_terminal_and_ids_stay_whole(cli: CommandLine) -> None:
    data = [cli.push("one"), cli.push("other")]

    shown = on_terminal(cli, ["data", "show", data[0][:6]], width=60, env={"NO_COLOR": "1"})

    assert all(id_ in shown for id_ in data)
    assert max(map(len, shown.splitlines())) <= 60


@pytest.mark.parametrize("settings", [{"PYTHONUNBUFFERED": ""}, {"PYTHONUNBUFFERED": "1"}], ids=str)
def test_a_reader_that_goes_away_ends_the_program_silently(cli: CommandLine, settings: dict[str, str]) -> None:
    (cli.folder / "large").write_bytes(b"x" * 3_000_000)
    data = cli.push("large")
    process = subprocess.Popen(
        command("data", "cat", data, "large"),
        cwd=cli.folder,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None

    assert process.stdout.read(3) == b"xxx"
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert (process.wait(timeout=60), said) == (141, b"")


def test_output_that_cannot_be_written_is_an_error(cli: CommandLine) -> None:
    cli.push("made")
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            command("data", "find"), cwd=cli.folder, env=environment(), stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert result.returncode == 6
    assert result.stderr.decode().splitlines()[0] == ("error: the output could not be written: No space left on device")


@pytest.mark.parametrize("settings", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}], ids=str)
def test_no_locale_makes_it_fail(cli: CommandLine, settings: dict[str, str]) -> None:
    cli.push("写真", "-n", "-t", "顔:😀")

    table, record = cli.process("data", "find", env=settings), cli.process("data", "find", "--json", env=settings)

    assert (table.returncode, table.stderr) == (0, b"")
    assert json.loads(record.stdout)[0]["tags"] == ["name:写真", "顔:😀"]


def test_an_argument_that_is_no_text_is_quoted_in_the_error(cli: CommandLine) -> None:
    result = subprocess.run(
        [*map(os.fsencode, command("data", "push")), b"gone-\xff"],
        cwd=cli.folder,
        env=environment(),
        capture_output=True,
        check=False,
    )

    assert result.returncode == 2
    assert rb"gone-\udcff" in result.stderr


def test_ctrl_c_during_a_push_leaves_nothing_behind(cli: CommandLine) -> None:
    kept = cli.push("kept")
    # Sparse: costs no disk here, and takes far longer to store than the bar takes to appear.
    with open(cli.folder / "huge", "wb") as huge:
        huge.truncate(16 << 30)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("data", "push", "huge"), cwd=cli.folder, env=environment(), stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    assert b"push huge" in os.read(ours, 65536)

    process.send_signal(signal.SIGINT)
    said = read_to_end(ours).decode()
    out = process.stdout.read() if process.stdout else b""
    if process.stdout:
        process.stdout.close()

    assert (process.wait(timeout=60), out) == (130, b"")
    assert said.rstrip().endswith("interrupted; nothing is half-stored")
    assert "Traceback" not in said
    assert cli.ok("data", "find", "-q").lines == [kept]
    assert cli.ok("fsck", "--deep").text.endswith("clean.\n")
    assert [path for path in Path(".raykqi/tmp").rglob("*") if path.is_file()] == []


def test_a_traceback_is_shown_on_demand_only(cli: CommandLine) -> None:
    wrong = {"RAYKQI_CACHE_BYTES": "many"}

    told = cli.process("data", "find", env=wrong)
    shown = cli.process("data", "find", "--debug", env=wrong)
    shown_too = cli.process("data", "find", env={**wrong, "RAYKQI_DEBUG": "1"})

    assert (told.returncode, shown.returncode, shown_too.returncode) == (2, 2, 2)
    assert b"Traceback" not in told.stderr
    assert b"Traceback" in shown.stderr
    assert b"Traceback" in shown_too.stderr


def completed(cli: CommandLine, line: str, folder: Path | None = None) -> list[str]:
    """What bash would be offered after this line."""
    words = line.split(" ")
    settings = {"_RAYKQI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    result = subprocess.run(
        command(), cwd=folder or cli.folder, env=environment(settings), capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode().split()


def test_the_shell_completes_ids_tags_and_keys(cli: CommandLine) -> None:
    data = cli.push("made", "-t", "type:dataset", "-t", "split:train")

    assert completed(cli, f"raykqi data show {data[:4]}") == [data]
    assert completed(cli, "raykqi data find -t ty") == ["type:dataset"]
    assert completed(cli, "raykqi data tag x --remove-key sp") == ["split"]
    assert "find" in completed(cli, "raykqi data f")


def test_completion_without_a_workspace_offers_nothing(bare: CommandLine) -> None:
    assert completed(bare, "raykqi data show 0") == []
