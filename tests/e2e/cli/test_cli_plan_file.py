"""`raykqi plan check` and `template`, without any workspace."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine

PLAN = """
name: 学習
image: "localhost:${PORT}/train:v1"
inputs:
  - {path: /in/dataset, tags: ["type:dataset", "knit#id:0190b2a0-0000-7000-8000-00000000000a"], take: latest}
outputs:
  - {path: /out/model, tags: ["type:model"]}
log: {tags: ["type:log"]}
params: {epochs: 10, seed: {type: int, required: true}}
resouces: {cpu: 2}
active: no
"""


def test_check_says_how_a_plan_is_understood(cli: CommandLine) -> None:
    cli.write("plan.yaml", PLAN)

    result = cli("plan", "check", "plan.yaml", "--set", "PORT=30503", "--param", "epochs=20")

    assert result.code == 0
    assert result.err == "warning: plan.yaml:10: resouces: read as 'resources'; correct the spelling\n"
    assert result.lines[:-1] == [
        "plan.yaml: 学習 is sound",
        "  runs      localhost:30503/train:v1, by container",
        "  input     dataset /in/dataset type:dataset raykqi#id:0190b2a0-0000-7000-8000-00000000000a (take: latest)",
        "  output    model /out/model type:model",
        "  log       type:log",
        "  param     epochs (int) = 20",
        "  param     seed (int) needs a value: --param seed=…",
        "  resources cpu=2 memory=1Gi",
        "  active    no: its runs wait until the plan is activated",
    ]


def test_check_tells_scripts_everything(cli: CommandLine) -> None:
    cli.write("plan.yaml", PLAN)

    (record,) = cli.ok("plan", "check", "plan.yaml", "--set", "PORT=30503", "--json").json

    assert (record["file"], record["ok"], record["name"], record["missing"]) == ("plan.yaml", True, "学習", ["seed"])
    assert len(record["digest"]) == 64
    assert record["definition"]["image"] == "localhost:30503/train:v1"
    assert record["settings"]["active"] is False
    assert len(record["warnings"]) == 1


def test_a_wrong_plan_ends_with_what_and_where_and_what_to_do(cli: CommandLine) -> None:
    cli.write("plan.yaml", PLAN.replace("take: latest", "take: last"))

    result = cli("plan", "check", "plan.yaml", "--set", "PORT=1")

    assert (result.code, result.out) == (2, b"")
    assert result.err == ("error: plan.yaml:5: inputs[0].take: there is no 'last' here\nhint: Did you mean 'latest'?\n")


def test_of_several_files_each_is_checked(cli: CommandLine) -> None:
    cli.write("good.yaml", PLAN)
    cli.write("bad.yaml", PLAN.replace("take: latest", "take: last"))

    result = cli("plan", "check", "bad.yaml", "nope.yaml", "good.yaml", "--set", "PORT=1")
    records = cli("plan", "check", "bad.yaml", "nope.yaml", "good.yaml", "--set", "PORT=1", "--json").json

    assert result.code == 2
    assert "good.yaml: 学習 is sound" in result.text
    assert "there is no file 'nope.yaml'" in result.err
    assert [record["ok"] for record in records] == [False, False, True]


def test_a_plan_may_come_through_a_pipe(cli: CommandLine) -> None:
    result = cli("plan", "check", "-", "--set", "PORT=1", stdin=PLAN.replace("resouces", "resource"))

    assert result.code == 2
    assert "stdin:10: resource: there is no key 'resource' in a plan" in result.err


@pytest.mark.parametrize("pair", ["PORT", "=1"])
def test_a_pair_without_a_name_or_value_is_refused(cli: CommandLine, pair: str) -> None:
    cli.write("plan.yaml", PLAN)

    assert f"--set '{pair}' is not NAME=VALUE" in cli("plan", "check", "plan.yaml", "--set", pair).err


def test_a_python_file_shows_its_plans(cli: CommandLine) -> None:
    name = f"steps_{cli.folder.name.replace('-', '_')}"
    cli.write(
        f"{name}.py",
        "from pathlib import Path\nimport raykqi\n"
        "@raykqi.plan(inputs={'images': ['type:dataset']}, outputs={'model': ['type:model']})\n"
        "def train(images: Path, model: Path, epochs: int = 3) -> None: ...\n",
    )

    result = cli.ok("plan", "check", f"{name}.py")

    assert result.lines[:3] == [
        f"{name}.py: train is sound",
        f"  runs      {name}:train, by process",
        f"  code      {cli.folder} (1 file)",
    ]
    sys.modules.pop(name)


def test_a_python_file_that_cannot_be_imported_is_told_of(cli: CommandLine) -> None:
    cli.write("broken_steps.py", "import nothing_of_this_name\n")
    cli.write("without_plans.py", "x = 1\n")

    assert "importing it failed: ModuleNotFoundError" in cli("plan", "check", "broken_steps.py").err
    assert "no function in it is decorated" in cli("plan", "check", "without_plans.py").err
    assert "there is no file" in cli("plan", "check", "nope.py").err


def test_templates_are_sound_plans(cli: CommandLine) -> None:
    cli.write("train.py", "def train(images, model, epochs: int = 3): ...\n")
    templates = {
        "scratch": ["--scratch"],
        "command": ["--", "python", "train.py", "--data", "/in/images", "--out", "/out/model"],
        "function": ["train.py"],
    }

    for name, arguments in templates.items():
        cli.write(f"{name}.yaml", cli.ok("plan", "template", *arguments).text)
        assert "is sound" in cli.ok("plan", "check", f"{name}.yaml").text

    assert 'source: "."' in (cli.folder / "function.yaml").read_text(encoding="utf-8")
    assert 'source: "."' in (cli.folder / "command.yaml").read_text(encoding="utf-8")
    assert cli.ok("plan", "template", "--scratch", "--json").json["template"].startswith("# What to run")


def test_a_template_comes_from_an_image(cli: CommandLine) -> None:
    config = json.dumps({"config": {"Entrypoint": ["run", "/in/images", "/out/model"]}}).encode()
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["train:v1"]}]).encode()
    with tarfile.open(cli.folder / "train.tar", "w") as tar:
        for name, content in {"c.json": config, "manifest.json": manifest}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

    text = cli.ok("plan", "template", "-i", "train.tar", "train:v1").text

    assert 'image: "train:v1"' in text
    assert text == cli.ok("plan", "template", "train.tar").text
    assert Path(cli.write("plan.yaml", text)).name == "plan.yaml"
    assert "is sound" in cli.ok("plan", "check", "plan.yaml").text
    assert "cannot be read" in cli("plan", "template", "-i", "nope.tar").err


def test_a_template_of_nothing_says_what_it_can_be_made_of(cli: CommandLine) -> None:
    result = cli("plan", "template")

    assert result.code == 2
    assert "there is no command" in result.err
