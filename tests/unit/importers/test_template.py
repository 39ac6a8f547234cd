"""Templates: plan files to begin with, which are plan files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.errors import InvalidInput, NotFound
from raykqi.importers.loading import load_functions
from raykqi.importers.planfile import read_plan
from raykqi.importers.template import command_template, scratch_template
from raykqi.importers.template_python import python_template


def test_from_nothing_comes_one_input_and_one_output() -> None:
    definition = read_plan(scratch_template()).definition

    assert definition.image == "registry.example/name:v1"
    assert [wanted.path for wanted in definition.inputs] == ["/in/data"]
    assert [made.path for made in definition.outputs] == ["/out/result"]


@pytest.mark.parametrize(
    ("words", "command", "inputs", "outputs"),
    [
        (
            ["python", "train.py", "--data", "/in/dataset", "--out=/out/model", "-v"],
            ["python", "train.py", "--data", "{inputs.dataset}", "--out={outputs.model}", "-v"],
            ["/in/dataset"],
            ["/out/model"],
        ),
        (
            ["cp", "/data/input/a.csv", "/data/input/b.csv", "/data/output/deep/c.csv"],
            ["cp", "{inputs.input}/a.csv", "{inputs.input}/b.csv", "{outputs.deep}/c.csv"],
            ["/data/input"],
            ["/data/output/deep"],
        ),
        (["x", "/in", "/in/a"], ["x", "{inputs.in}", "{inputs.in}/a"], ["/in"], []),
        (["x", "a:/in/あ:/out/い"], ["x", "a:{inputs.あ}:{outputs.い}"], ["/in/あ"], ["/out/い"]),
        (
            ["x", "https://host/in/a", "/proc/in", "b/in/c"],
            ["x", "https://host/in/a", "/proc/in", "b/in/c"],
            ["/in/data"],
            ["/out/result"],
        ),
    ],
)
def test_paths_of_a_command_become_placeholders(
    words: list[str], command: list[str], inputs: list[str], outputs: list[str]
) -> None:
    definition = read_plan(command_template(words)).definition

    assert definition.command == tuple(command)
    assert [wanted.path for wanted in definition.inputs] == inputs
    assert [made.path for made in definition.outputs] == outputs


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0{}"), max_size=20),
        min_size=1,
        max_size=5,
    )
)
def test_every_command_makes_a_plan_that_reads(words: list[str]) -> None:
    first, *others = words

    assert read_plan(command_template([f"run{first}", *others])).definition.command


def test_no_command_makes_no_plan() -> None:
    with pytest.raises(InvalidInput, match="there is no command"):
        command_template([])


PYTHON = """
from pathlib import Path
raise SystemExit("reading a file must not run it")

def train(
    images: Path, labels: "Path", out_dir: Path, lr: float = 1,
    arch: Literal["vgg", "resnet"] = "vgg", deep: bool = False, n=3, *, seed: int,
): ...
"""

DECORATED = """
from pathlib import Path
import raykqi

@raykqi.plan(
    inputs={"photos": ["type:photos"], "old": {"tags": ["type:model"], "take": "latest"}},
    outputs={"kept": ["type:kept"]},
    params={"epochs": {"choices": [1, 5]}, "rate": 0.5},
    resources={"gpu": 0.25, "memory": "2Gi"},
    timeout="2h",
    log=["type:log"],
    annotations={"owner": "mika"},
)
def train(photos: Path, old: Path, kept: Path, epochs: int = 5, rate: float = 1.0): ...
"""


def test_a_python_file_is_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(PYTHON, encoding="utf-8")

    draft = read_plan(python_template(tmp_path / "steps.py"))

    definition = draft.definition
    assert (definition.function, definition.name, draft.source) == ("steps:train", "train", str(tmp_path))
    assert [wanted.name for wanted in definition.inputs] == ["images", "labels"]
    assert [made.name for made in definition.outputs] == ["out_dir"]
    assert definition.params[1].choices == ("vgg", "resnet")
    assert [(param.name, param.type, param.value) for param in definition.params] == [
        ("lr", "float", 1.0), ("arch", "str", "vgg"), ("deep", "bool", False), ("n", "int", 3), ("seed", "int", None),
    ]  # fmt: skip


def test_a_model_is_made_by_training_and_taken_by_what_reports_on_it(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(
        "def train(dataset, model): ...\ndef evaluate(dataset, model, report): ...\n", encoding="utf-8"
    )

    train = read_plan(python_template(tmp_path / "steps.py", function="train")).definition
    evaluate = read_plan(python_template(tmp_path / "steps.py", function="evaluate")).definition

    assert ([each.name for each in train.inputs], [each.name for each in train.outputs]) == (["dataset"], ["model"])
    assert [each.name for each in evaluate.inputs] == ["dataset", "model"]
    assert [each.name for each in evaluate.outputs] == ["report"]


def test_what_a_decorator_says_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(DECORATED, encoding="utf-8")

    text = python_template(tmp_path / "steps.py", function="train")

    (function,) = load_functions(tmp_path / "steps.py")
    told, draft = read_plan(text), function.draft()
    assert told.definition == draft.definition
    assert told.settings == draft.settings
    assert "guessed" not in text


def test_of_a_decorator_only_what_stands_there_is_read(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(
        "@plan(inputs=mounts(), timeout=LIMIT, env={b'a'}, params=[1], retries=2)\ndef train(dataset, model): ...\n",
        encoding="utf-8",
    )

    definition = read_plan(text := python_template(tmp_path / "steps.py")).definition

    assert ([each.name for each in definition.inputs], definition.retries) == (["dataset"], 2)
    assert "guessed" in text


@pytest.mark.parametrize(
    ("text", "function", "error", "message"),
    [
        ("x = 1\n", "", InvalidInput, "there is no function in it"),
        ("def a(data): ...\ndef b(data): ...\n", "", InvalidInput, "there are several functions"),
        ("def train(data): ...\n", "trian", NotFound, "there is no function 'trian'"),
        ("def (\n", "", InvalidInput, "steps.py:1: not Python"),
        ("\0", "", InvalidInput, "not Python"),
    ],
)
def test_a_file_without_the_function_is_refused(
    tmp_path: Path, text: str, function: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "steps.py").write_text(text, encoding="utf-8")

    with pytest.raises(error, match=message):
        python_template(tmp_path / "steps.py", function=function)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        python_template(tmp_path / "nope.py")
