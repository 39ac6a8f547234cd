"""What a command sees and may change: its inputs read-only, its own folders, and nothing of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raykqi.domain.resources import Resources
from raykqi.domain.run import Exit
from tests.integration.execution.orders import Node

SPOIL = """
for file in {inputs.first}/a {inputs.second}/a; do
  echo spoilt > $file; rm -f $file; chmod 777 $file; mv $file $file.gone; touch $file
done
touch {inputs.first}/new; rm -rf {inputs.first}
cat {inputs.first}/a {inputs.second}/a > {outputs.model}/seen
"""


def test_inputs_are_read_only_and_one_data_may_fill_two(each_node: Node) -> None:
    tree = each_node.data({"a": b"one\n"})

    first = each_node.run("sh", "-c", SPOIL, inputs={"first": tree, "second": tree})
    second = each_node.run("sh", "-c", SPOIL, inputs={"first": tree, "second": tree})

    assert each_node.files(first) == each_node.files(second) == {"seen": b"one\none\n"}
    assert b"Read-only file system" in each_node.log(first)


def test_modes_of_inputs_are_those_that_were_pushed(each_node: Node, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "tool").write_text("#!/bin/sh\necho tool\n")
    (source / "tool").chmod(0o755)
    (source / "link").symlink_to("tool")

    ended = each_node.run("{inputs.tools}/link", inputs={"tools": each_node.folder_data(source)})

    assert ended.exit == Exit(0)
    assert each_node.log(ended) == b"tool\n"


def test_many_data_of_one_input_have_a_folder_each(each_node: Node) -> None:
    one, two = each_node.data({"a": b"1"}), each_node.data({"a": b"2"})

    ended = each_node.run("sh", "-c", "cd {inputs.parts}; cat d1/a d2/a; ls", many={"parts": {"d1": one, "d2": two}})

    assert each_node.log(ended) == b"12d1\nd2\n"


def test_a_many_without_data_is_an_empty_folder(each_node: Node) -> None:
    ended = each_node.run("sh", "-c", "ls {inputs.parts} | wc -l", many={"parts": {}})

    assert each_node.log(ended) == b"0\n"


def test_absolute_paths_of_the_plan_exist_in_a_sandbox(sandbox: Node) -> None:
    one, ten = sandbox.data({"a": b"one "}), sandbox.data({"a": b"ten "})
    paths = {"x": "/in/1", "y": "/in/10", "etc": "/etc/raykqi-test/in", "model": "/opt/out/model", "log": "/usr/out"}

    ended = sandbox.run(
        "sh",
        "-c",
        "cat /in/1/a /in/10/a /etc/raykqi-test/in/a > /opt/out/model/all && echo {inputs.x} > /usr/out/x",
        inputs={"x": one, "y": ten, "etc": one},
        outputs=("model", "log"),
        paths=paths,
    )

    assert ended.exit == Exit(0)
    assert sandbox.files(ended) == {"all": b"one ten one "}
    assert sandbox.files(ended, "new-log") == {"x": b"/in/1\n"}
    assert not Path("/etc/raykqi-test").exists()


def test_the_node_is_read_only_in_a_sandbox_but_home_and_tmp_are_not(sandbox: Node, tmp_path: Path) -> None:
    ended = sandbox.run(
        "sh",
        "-c",
        "touch /x /etc/x /usr/x; mount -o remount,rw /usr; touch ~/mine /tmp/mine /dev/shm/mine && ls /tmp && pwd",
    )

    assert ended.exit == Exit(0)
    assert sandbox.log(ended).splitlines()[-2:] == [b"mine", b"/raykqi/home"]
    assert sandbox.log(ended).count(b"Read-only file system") >= 3


def test_a_sandbox_shows_neither_other_runs_nor_caches_nor_the_workspace(sandbox: Node, tmp_path: Path) -> None:
    secret = tmp_path / "runs" / "run-other-1" / "secret"
    secret.parent.mkdir(parents=True)
    secret.write_text("secret")
    sandbox.data({"a": b"1"})
    places = [secret, sandbox.settings.cache_dir / "inputs", Path(sandbox.workspace) / "packs"]

    ended = sandbox.run("sh", "-c", "ls -d " + " ".join(map(str, places)), inputs={"x": sandbox.data({"b": b"2"})})

    assert ended.exit.code != 0
    assert sandbox.log(ended).count(b"No such file or directory") == 3


def test_a_sandbox_hides_them_outside_of_tmp_too(sandbox: Node) -> None:
    hidden = Path("/var/tmp") / f"raykqi-test-{os.getpid()}"
    hidden.mkdir()
    try:
        ended = sandbox.run("ls", str(hidden))
    finally:
        hidden.rmdir()

    assert ended.exit.code != 0


def test_user_code_sees_nothing_of_the_environment_of_the_worker(
    each_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "RAYKQI_TOKEN", "HF_TOKEN", "PYTHONPATH"):
        monkeypatch.setenv(name, "leaked")

    ended = each_node.run(
        "env", "-0", hook_env={"FROM_HOOK": "1"}, params={"rate": 0.5}, inputs={"x": each_node.data({})}
    )

    seen = dict(line.split("=", 1) for line in each_node.log(ended).decode().split("\0") if line)
    allowed = {"PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONUNBUFFERED", "PWD"}
    allowed |= {"RAYKQI_INPUT_X", "RAYKQI_OUTPUT_MODEL", "RAYKQI_PARAM_RATE"}
    allowed |= {"RAYKQI_RUN", "RAYKQI_ATTEMPT", "RAYKQI_PROGRESS", "FROM_HOOK"}
    assert set(seen) == allowed
    assert "leaked" not in seen.values()
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["OMP_NUM_THREADS"], seen["RAYKQI_PARAM_RATE"]) == ("", "1", "0.5")


def test_a_command_sees_no_process_but_its_own(each_node: Node) -> None:
    ended = each_node.run(
        "sh", "-c", "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c ^RAYKQI_RUN= ; ls -d /proc/[0-9]*"
    )

    assert b"/proc/1\n" in each_node.log(ended)
    assert f"/proc/{os.getpid()}\n".encode() not in each_node.log(ended)


def test_gpus_and_threads_are_what_was_granted(each_node: Node) -> None:
    ended = each_node.run(
        "sh", "-c", "echo $CUDA_VISIBLE_DEVICES $OMP_NUM_THREADS", gpus=("2", "5"), resources=Resources(cpu=2500)
    )

    assert each_node.log(ended) == b"2,5 3\n"


def test_code_is_the_working_directory_and_a_copy_of_its_own(each_node: Node) -> None:
    code = {"train.py": b"import lab.part", "lab/part.py": b"print('part')", "lab/__init__.py": b""}

    first = each_node.run("sh", "-c", "python3 train.py && echo changed > train.py && ls", code=code)
    second = each_node.run("python3", "train.py", code=code)

    assert each_node.log(first) == b"part\nlab\ntrain.py\n"
    assert each_node.log(second) == b"part\n"


def test_values_of_params_are_words_and_never_commands(each_node: Node) -> None:
    nasty = "a b'; echo hacked; \"$(echo hacked) `echo hacked` \\"

    listed = each_node.run("printf", "%s|", "{params.text}", "x{params.text}", params={"text": nasty})
    shell = each_node.run(
        "/bin/sh", "-c", "printf '%s|' {params.text} \"x{params.text}\" 'y{params.text}'", params={"text": nasty}
    )

    assert each_node.log(listed).decode() == f"{nasty}|x{nasty}|"
    assert each_node.log(shell).decode() == f"{nasty}|x{nasty}|y{nasty}|"


def test_a_command_is_launched_as_from_a_fresh_login(each_node: Node) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    ended = each_node.run("sh", "-c", "grep SigBlk /proc/self/status; cut -d' ' -f19 /proc/self/stat; umask")

    assert before == 0
    assert each_node.log(ended) == b"SigBlk:\t0000000000000000\n0\n0022\n"


def test_everything_of_a_run_can_be_cleared(each_node: Node) -> None:
    order = each_node.order(
        "sh",
        "-c",
        "cd {outputs.model}; mkdir -p a/b; touch a/b/c; chmod 500 a/b a; chown 1234 a/b/c; mkdir d; chmod 0 d",
    )
    supervisor = each_node.supervisor(order)
    ended = supervisor.run()

    supervisor.clear()

    assert ended.exit == Exit(0)
    assert list((each_node.folder / "runs").iterdir()) == []
