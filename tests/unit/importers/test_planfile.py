"""Plan files that are right: those of Knitfab's tutorials as they are, and every key that was added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from raykqi.domain.plan import Definition, Limits, NodeRules, Param, PlanInput, PlanOutput, PlanSettings
from raykqi.domain.resources import Resources
from raykqi.domain.tags import Tag
from raykqi.importers import planfile
from raykqi.importers.draft import Draft

FILES = Path(__file__).parent / "plan files"
HERE = {"PORT": "30503", "YOUR_KNITFAB_NODE": "10.10.0.3"}


def tags(*texts: str) -> tuple[Tag, ...]:
    return tuple(Tag(*text.split(":", 1)) for text in texts)


def read_plan(
    source: str | Path, *, variables: Mapping[str, str] | None = None, params: Mapping[str, object] | None = None
) -> Draft:
    """A draft whose values a journal can hold, which texts of YAML's own class are not."""
    draft = planfile.read_plan(source, variables=variables, params=params)
    assert msgspec.json.decode(msgspec.json.encode(draft), type=Draft) == draft
    return draft


def plan(text: str) -> Definition:
    """A plan of one input beside what the text says."""
    return read_plan(f"{text}\ninputs:\n  - {{path: /in/a, tags: ['a:1']}}\n").definition


def test_the_plan_that_trains_applies_as_it_stands_in_the_tutorial() -> None:
    draft = read_plan(FILES / "first-train.yaml", variables={"PORT": "30503"})

    assert draft.definition == Definition(
        image="localhost:30503/knitfab-first-train:v1.0",
        inputs=(PlanInput("dataset", "/in/dataset", tags("mode:training", "project:first-knitfab", "type:dataset")),),
        outputs=(
            PlanOutput(
                "model",
                "/out/model",
                tags("description:2 layer CNN + 2 layer Affine", "project:first-knitfab", "type:model"),
            ),
        ),
        log=tags("project:first-knitfab", "type:log"),
        launcher="container",
    )
    assert draft.settings == PlanSettings(active=True, resources=Resources(cpu=1000, memory=2**30))
    assert draft.warnings == (f"{FILES / 'first-train.yaml'}:19: resouces: read as 'resources'; correct the spelling",)
    assert draft.origin == str(FILES / "first-train.yaml")


@pytest.mark.parametrize(
    ("file", "image", "inputs", "outputs"),
    [
        ("first-train-v1", "10.10.0.3:30503/knitfab-first-train:v1.0", ["dataset"], ["model"]),
        ("first-validation-v1", "10.10.0.3:30503/knitfab-first-validation:v1.0", ["dataset", "model_pth"], []),
        ("first-validation", "localhost:30503/knitfab-first-validation:v1.0", ["dataset", "model"], []),
        ("preprocess-v1", "localhost:30503/knitfab-preprocess:v1.0", ["data"], ["train"]),
        ("preprocess-v2", "localhost:30503/knitfab-preprocess:v2.0", ["data"], ["train"]),
    ],
)
def test_the_other_plans_of_the_tutorials_apply_too(
    file: str, image: str, inputs: list[str], outputs: list[str]
) -> None:
    text = (FILES / f"{file}.yaml").read_text(encoding="utf-8")
    needed = {name: value for name, value in HERE.items() if f"${{{name}}}" in text}

    definition = read_plan(FILES / f"{file}.yaml", variables=needed).definition

    assert definition.image == image
    assert [wanted.name for wanted in definition.inputs] == inputs
    assert [made.name for made in definition.outputs] == outputs


def test_rules_for_nodes_come_as_knitfab_writes_them() -> None:
    definition = plan("""
image: localhost:30503/train:v1
on_node:
  may: ["label-a=value1", "label-b=value2"]
  prefer: ["vram=large"]
  must: ["accelarator=gpu", "example.com/zone=tokyo", "empty="]
""")

    assert definition.on_node == NodeRules(
        may=("label-a=value1", "label-b=value2"),
        prefer=("vram=large",),
        must=("accelarator=gpu", "empty=", "example.com/zone=tokyo"),
    )


def test_every_added_key_is_understood(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "needs.txt").write_text("numpy==2.0\n\n# a comment\ntorch\n", encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(
        """
name: 学習 v2
command: [python, train.py, --data, "{inputs.images}", --out, "{outputs.model}", --lr, "{params.lr}", 010, no]
source: code
inputs:
  - name: images
    path: /in/images/
    tags: [type:dataset, 撮影:2026年]
    take: all
  - path: /in/labels
    tags: ["knit#id:0190b2a0-0000-7000-8000-00000000000A", "knit#timestamp:2026-01-02T03:04:05.123456+09:00"]
outputs:
  - path: /out/model
log: {tags: []}
params:
  lr: 1e-3
  epochs: {type: int, default: 10, choices: [10, 20]}
  arch: {choices: [vgg11, no], required: true}
  shuffle: true
  note: {type: string, default: 010}
env: {LANG: ja_JP.UTF-8, THREADS: 4, EMPTY: }
runtime_env: {uv: needs.txt, env_vars: {MODE: fast}}
launcher: sandbox
retries: 3
backoff: 1m30s
timeout: 1h30m
grace: 0.5
priority: -5
limits: {running: 2, pending: 100}
reuse: yes
join: [patient, knit]
active: off
resources: {cpu: 500m, memory: 2Gi, nvidia.com/gpu: 2, accelerator: H100, example.com/fpga: 1}
service_account: trainer
annotations: ["目的=試行", "purpose=trial=1", "purpose=other"]
""",
        encoding="utf-8",
    )

    draft = read_plan(tmp_path / "plan.yaml")

    assert draft.definition == Definition(
        name="学習 v2",
        command=(
            "python",
            "train.py",
            "--data",
            "{inputs.images}",
            "--out",
            "{outputs.model}",
            "--lr",
            "{params.lr}",
            "010",
            "no",
        ),
        inputs=(
            PlanInput("images", "/in/images", tags("type:dataset", "撮影:2026年"), take="all"),
            PlanInput(
                "labels",
                "/in/labels",
                id="0190b2a0-0000-7000-8000-00000000000a",
                timestamp=datetime(2026, 1, 1, 18, 4, 5, 123000, tzinfo=UTC),
            ),
        ),
        outputs=(PlanOutput("model", "/out/model"),),
        log=(),
        params=(
            Param("lr", "float", 0.001),
            Param("epochs", "int", 10, (10, 20)),
            Param("arch", "str", None, ("vgg11", "no")),
            Param("shuffle", "bool", True),
            Param("note", "str", "010"),
        ),
        env={"MODE": "fast", "LANG": "ja_JP.UTF-8", "THREADS": "4", "EMPTY": ""},
        runtime_env={"uv": ["numpy==2.0", "torch"]},
        launcher="sandbox",
        retries=3,
        backoff=90.0,
        timeout=5400.0,
        grace=0.5,
        priority=-5,
        join=("knit", "patient"),
        reuse=True,
    )
    assert draft.settings == PlanSettings(
        active=False,
        resources=Resources(500, 2 * 2**30, 2000, "H100", {"example.com/fpga": 1000}),
        limits=Limits(2, 100),
        service_account="trainer",
        annotations=(("purpose", "other"), ("purpose", "trial=1"), ("目的", "試行")),
    )
    assert draft.source == str(tmp_path / "code")
    assert draft.missing == ("arch",)
    assert draft.warnings == ()


@pytest.mark.parametrize(
    ("text", "launcher"),
    [
        ("image: a/b:v1", "container"),
        ("image: a/b:v1\ncommand: [x]", "container"),
        ("image: a/b:v1\ncommand: [x]\nlauncher: sandbox", "sandbox"),
        ("command: [x]", "process"),
        ("command: [x]\nlauncher: sandbox", "sandbox"),
    ],
)
def test_an_image_wants_a_container_unless_told_otherwise(text: str, launcher: str) -> None:
    assert plan(text).launcher == launcher


@pytest.mark.parametrize(
    "image",
    [
        "localhost:30503/x:v1",
        "x:v1",
        "ghcr.io/team/x@sha256:" + "a" * 64,
        "[::1]:5000/x:v1",
        "a.b/c_d/e--f:v1@sha256:" + "0" * 64,
    ],
)
def test_images_need_a_tag_or_a_digest_and_may_name_a_port(image: str) -> None:
    assert plan(f"image: '{image}'").image == image


def test_a_command_of_lines_is_for_the_shell_which_stops_at_the_first_that_fails() -> None:
    assert plan("command: |\n  echo $HOME ${X}\n  false").command == ("sh", "-ec", "echo $HOME ${X}\nfalse\n")


def test_without_a_path_a_command_finds_its_folders_by_name() -> None:
    draft = read_plan("command: [x]\ninputs: [{name: a, tags: ['a:1']}]\noutputs: [{name: b}]\n")

    assert (draft.definition.inputs[0].path, draft.definition.outputs[0].path) == ("/in/a", "/out/b")


def test_a_function_is_told_its_folders_and_mounts_none(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "steps.py").write_text("def train(a): ...\n", encoding="utf-8")
    draft = read_plan(f"function: training.steps:train\nsource: {tmp_path}\ninputs: [{{name: a, tags: ['a:1']}}]\n")

    assert (draft.definition.function, draft.definition.inputs[0].path) == ("training.steps:train", "")
    assert draft.source == str(tmp_path)


def test_a_function_without_source_is_worth_a_warning() -> None:
    draft = read_plan("function: steps:train\ninputs: [{name: a, tags: ['a:1']}]\n")

    assert draft.warnings == (
        "no `source`: the function must be importable on every node, and lineage cannot name its code",
    )


@pytest.mark.parametrize(
    "source",
    [
        "git+https://example.org/team/repo.git@v1.2#training",
        "git+ssh://git@example.org/team/repo.git",
        "git+file:///srv/repo@main",
    ],
)
def test_code_may_come_from_git(source: str) -> None:
    assert read_plan(f"command: [x]\nsource: {source}\ninputs: [{{name: a, tags: ['a:1']}}]\n").source == source


def test_working_dir_is_another_word_for_source(tmp_path: Path) -> None:
    draft = read_plan(f"command: [x]\nruntime_env: {{working_dir: {tmp_path}}}\ninputs: [{{name: a, tags: ['a:1']}}]\n")

    assert (draft.source, draft.definition.runtime_env) == (str(tmp_path), {})


def test_variables_are_filled_in_everywhere_but_in_what_is_run() -> None:
    draft = read_plan(
        'image: "${HOST}/x:${TAG}"\nargs: ["${TAG}"]\nenv: {A: "${TAG}"}\n'
        'inputs: [{path: "/in/${TAG}", tags: ["v:${TAG}", "raw:$${TAG}"]}]\n',
        variables={"HOST": "localhost:30503", "TAG": "v1"},
    )

    definition = draft.definition
    assert (definition.image, definition.args, definition.env) == ("localhost:30503/x:v1", ("${TAG}",), {"A": "${TAG}"})
    assert definition.inputs == (PlanInput("v1", "/in/v1", tags("raw:${TAG}", "v:v1")),)


def test_a_file_may_begin_with_a_byte_order_mark_and_end_its_lines_as_windows_does(tmp_path: Path) -> None:
    file = tmp_path / "計画.yaml"
    file.write_bytes(b"\xef\xbb\xbfcommand: [x]\r\ninputs:\r\n  - {name: a, tags: ['a:1']}\r\n")

    assert read_plan(file).definition.command == ("x",)


def test_the_order_of_inputs_outputs_and_params_makes_no_other_plan() -> None:
    one = "{path: /in/a, tags: ['a:1', 'b:1']}, {path: /in/b, tags: ['b:1']}"
    other = "{path: /in/b, tags: ['b:1']}, {path: /in/a, tags: ['b:1', 'a:1', 'a:1']}"
    digests = {
        read_plan(f"command: [x]\ninputs: [{inputs}]\nparams: {{{params}}}\n").definition.digest
        for inputs, params in ((one, "a: 1, b: 2"), (other, "b: 2, a: 1"))
    }

    assert len(digests) == 1
    assert read_plan(f"command: [x]\ninputs: [{one}]\n").definition.digest not in digests
