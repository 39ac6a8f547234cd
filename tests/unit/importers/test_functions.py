"""Functions as plans: plain functions still, checked when they are decorated, found again by name."""

from __future__ import annotations

import asyncio
import functools
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

import raykqi
from raykqi.domain.plan import Definition, Limits, NodeRules, Param, PlanInput, PlanOutput, PlanSettings
from raykqi.domain.resources import Resources
from raykqi.domain.tags import Tag
from raykqi.errors import InvalidInput
from raykqi.importers.checking import checked
from raykqi.importers.functions import PlanFunction
from raykqi.importers.params import ready, with_params

ROOT = Path(raykqi.__file__).parents[1]


@raykqi.plan(
    inputs={"images": ["type:dataset"], "labels": {"tags": ["type:labels"], "take": "latest"}},
    outputs={"model": ["type:model"]},
    log=["type:log"],
    params={"lr": {"choices": [0.1, 0.01]}},
    resources={"gpu": 0.25},
    env={"MODE": "fast", "N": 3},
    runtime_env={"pip": ["numpy"]},
    retries=2,
    timeout="1h30m",
    limits={"running": 1},
    join=["patient"],
    on_node={"must": ["gpu=yes"]},
    annotations={"目的": "試行"},
    active=False,
)
def train(
    images: Path, labels: Path, model: Path, lr: float = 0.1, arch: Literal["vgg", "resnet"] = "vgg", seed: int = 0
) -> str:
    """Train it."""
    return f"{images} {labels} {model} {lr} {arch} {seed}"


@raykqi.plan(inputs={"画像": ["type:dataset"]})
def count(画像, classes: int, *, ratio=0.5):  # type: ignore[no-untyped-def]  # noqa: N803
    return classes * ratio


def decorated(text: str, tmp_path: Path, name: str = "steps") -> PlanFunction[..., Any]:
    """The function `f` of a module with this text."""
    header = "from __future__ import annotations\nfrom pathlib import Path\nfrom typing import *\nimport raykqi\n"
    file = tmp_path / f"{name}.py"
    file.write_text(header + text, encoding="utf-8")
    module: dict[str, Any] = {"__name__": name, "__file__": str(file)}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module)
    found = module["f"]
    assert isinstance(found, PlanFunction)
    return found


def test_a_plan_is_called_like_the_function_it_is() -> None:
    assert train(Path("a"), Path("b"), model=Path("c"), lr=0.01) == "a b c 0.01 vgg 0"
    assert (train.__name__, train.__doc__, train.name) == ("train", "Train it.", "train")
    assert isinstance(train, PlanFunction)
    assert repr(train) == f"<plan {__name__}:train>"


def test_a_plan_travels_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(train)) is train


def test_what_a_function_says_of_itself_becomes_the_definition() -> None:
    draft = train.draft()

    assert draft.definition == Definition(
        name="train",
        function=f"{__name__}:train",
        inputs=(
            PlanInput("images", "", (Tag("type", "dataset"),)),
            PlanInput("labels", "", (Tag("type", "labels"),), take="latest"),
        ),
        outputs=(PlanOutput("model", "", (Tag("type", "model"),)),),
        log=(Tag("type", "log"),),
        params=(
            Param("lr", "float", 0.1, (0.1, 0.01)),
            Param("arch", "str", "vgg", ("vgg", "resnet")),
            Param("seed", "int", 0),
        ),
        env={"MODE": "fast", "N": "3"},
        runtime_env={"pip": ["numpy"]},
        retries=2,
        timeout=5400.0,
        join=("patient",),
        on_node=NodeRules(must=("gpu=yes",)),
    )
    assert draft.settings == PlanSettings(
        active=False, resources=Resources(gpu=250), limits=Limits(running=1), annotations=(("目的", "試行"),)
    )
    assert draft.origin.endswith(": train")
    assert checked(draft) == draft


def test_parameters_without_annotations_are_inputs_or_known_by_their_defaults() -> None:
    definition = count.draft().definition

    assert definition.inputs[0].name == "画像"
    assert definition.params == (Param("classes", "int"), Param("ratio", "float", 0.5))


def test_params_without_a_value_must_be_given_one() -> None:
    draft = count.draft()

    assert draft.missing == ("classes",)
    with pytest.raises(InvalidInput, match="no value for classes") as refused:
        ready(draft)
    assert refused.value.hint == "Give it: --param classes=…, or params={'classes': …} in Python."
    assert ready(draft, {"classes": "10"}).definition.params[0].value == 10
    assert count.draft(params={"classes": 10}).missing == ()


@pytest.mark.parametrize(
    ("params", "message", "hint"),
    [
        ({"lr": 0.5}, "params.lr: 0.5 is not among its choices", "It may be 0.1, 0.01."),
        ({"lr": "fast"}, "params.lr: 'fast' is no float", "0.1"),
        ({"seed": True}, "params.seed: True is no int", ""),
        ({"seed": 1.5}, "params.seed: 1.5 is no int", ""),
        ({"seed": None}, "params.seed: None is no int", ""),
        ({"sed": 1}, "the plan has no param 'sed'", "Did you mean 'seed'?"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(params: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        with_params(train.draft(), params)

    assert message in refused.value.message
    assert hint in refused.value.hint


WRONG = {
    "missing parameter": (
        "inputs={'image': ['a:1']}\ndef f(images: Path): ...",
        "inputs.image: the function has no such",
        "'images'",
    ),
    "missing output": (
        "inputs={'x': ['a:1']}, outputs={'y': []}\ndef f(x: Path): ...",
        "outputs.y: the function has no",
        "y: Path",
    ),
    "path that is neither": (
        "inputs={'x': ['a:1']}\ndef f(x: Path, y: Path): ...",
        "params.y: a path is neither",
        "outputs",
    ),
    "input as text": (
        "inputs={'x': ['a:1']}\ndef f(x: str): ...",
        "inputs.x: it is a path, and the function wants str",
        "x: Path",
    ),
    "param without type": ("inputs={'x': ['a:1']}\ndef f(x, y): ...", "params.y: its type is not known", "Annotate"),
    "param of a list": ("inputs={'x': ['a:1']}\ndef f(x, y: list[int]): ...", "is no type of a param", "Literal"),
    "param that may be None": ("inputs={'x': ['a:1']}\ndef f(x, y: int | None = 1): ...", "is no type of a param", ""),
    "param that is None": ("inputs={'x': ['a:1']}\ndef f(x, y: int = None): ...", "None is no value of a param", ""),
    "default of the wrong type": ("inputs={'x': ['a:1']}\ndef f(x, y: int = 'a'): ...", "'a' is no int", "as in 10"),
    "default that is no choice": (
        "inputs={'x': ['a:1']}\ndef f(x, y: Literal['a'] = 'b'): ...",
        "not among the choices",
        "a",
    ),
    "mixed choices": ("inputs={'x': ['a:1']}\ndef f(x, y: Literal['a', 1] = 1): ...", "mixes types", ""),
    "*args": ("inputs={'x': ['a:1']}\ndef f(x, *args): ...", "'*args' cannot be given by name", "Name each one."),
    "**kwargs": ("inputs={'x': ['a:1']}\ndef f(x, **more): ...", "'**more' cannot be given by name", ""),
    "positional only": ("inputs={'x': ['a:1']}\ndef f(x, /): ...", "cannot be given by name", ""),
    "async": ("inputs={'x': ['a:1']}\nasync def f(x): ...", "an async function is not run", "asyncio.run()"),
    "generator": ("inputs={'x': ['a:1']}\ndef f(x): yield 1", "a generator would never run", ""),
    "class": ("inputs={'x': ['a:1']}\nclass f: ...", "is no function", ""),
    "no inputs": ("inputs={}\ndef f(): ...", "the plan has no inputs", ""),
    "inputs as list": ("inputs=['x']\ndef f(x): ...", "does not map parameters to tags", "images"),
    "tags as text": ("inputs={'x': 'a:1'}\ndef f(x): ...", "'a:1' is no list", ""),
    "path of an input": (
        "inputs={'x': {'tags': ['a:1'], 'path': '/in'}}\ndef f(x): ...",
        "told its paths as arguments",
        "",
    ),
    "param of params": (
        "inputs={'x': ['a:1']}, params={'z': 1}\ndef f(x, y: int = 1): ...",
        "params.z: the function has no",
        "",
    ),
    "system tag": ("inputs={'x': ['a:1']}, log=['raykqi#a:1']\ndef f(x): ...", "which only the system sets", ""),
    "resources": ("inputs={'x': ['a:1']}, resources={'gpu': 1.5}\ndef f(x): ...", "gpu: 1.5 is more than one GPU", ""),
    "env": ("inputs={'x': ['a:1']}, env={'RAY_X': '1'}\ndef f(x): ...", "system alone", ""),
    "conda": ("inputs={'x': ['a:1']}, runtime_env={'conda': 'x'}\ndef f(x): ...", "takes no 'conda'", ""),
}


@pytest.mark.parametrize(("text", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_a_function_that_cannot_be_a_plan_is_refused_where_it_stands(
    text: str, message: str, hint: str, tmp_path: Path
) -> None:
    options, function = text.split("\n", 1)

    with pytest.raises(InvalidInput) as refused:
        decorated(f"@raykqi.plan({options})\n{function}\n", tmp_path)

    assert message in refused.value.message
    assert hint in refused.value.hint
    assert "steps.py:5" in refused.value.message or function.startswith("class")


def test_a_function_that_no_worker_can_import_is_refused() -> None:
    def nested(x: Path) -> None: ...

    class Holder:
        def method(self, x: Path) -> None: ...

    decorate: Callable[[Callable[..., Any]], object] = raykqi.plan(inputs={"x": ["a:1"]})
    with pytest.raises(InvalidInput, match="inside another function"):
        decorate(nested)
    with pytest.raises(InvalidInput, match="a lambda has no name"):
        decorate(lambda _: None)
    with pytest.raises(InvalidInput, match="is no function"):
        decorate(functools.partial(nested, x=Path()))
    with pytest.raises(InvalidInput, match="is no function"):
        decorate(train)
    Holder.method.__qualname__ = "Holder.method"
    with pytest.raises(InvalidInput, match="it is a method"):
        decorate(Holder.method)
    assert asyncio.iscoroutinefunction(nested) is False


def test_a_function_of_no_file_is_refused_when_it_is_applied() -> None:
    module: dict[str, Any] = {"__name__": "notebook"}
    exec("import raykqi\n@raykqi.plan(inputs={'x': ['a:1']})\ndef f(x): ...\n", module)

    with pytest.raises(InvalidInput, match="not in a file but in '<string>'") as refused:
        module["f"].draft()

    assert refused.value.hint == "Save it in a .py file and apply the plan from there."


def test_a_script_is_a_module_of_its_own_name_with_what_it_imports_from_beside_it(tmp_path: Path) -> None:
    (tmp_path / "prepare.py").write_text("import later\n", encoding="utf-8")
    (tmp_path / "later.py").write_text("", encoding="utf-8")
    (tmp_path / "unrelated.py").write_text("", encoding="utf-8")
    script = tmp_path / "train.py"
    script.write_text(
        """
from pathlib import Path
import json, pickle, sys
import msgspec
import raykqi
import prepare

@raykqi.plan(inputs={"x": ["a:1"]})
def train(x: Path, n: int = 1) -> None: ...

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(train)) is train
    draft = train.draft()
    print(json.dumps([draft.definition.function, draft.source, draft.source_files]))
""",
        encoding="utf-8",
    )

    result = subprocess.run(
        [sys.executable, str(script)], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )

    assert msgspec.json.decode(result.stdout) == ["train:train", str(tmp_path), ["later.py", "prepare.py", "train.py"]]


def test_source_says_otherwise_what_the_code_is(tmp_path: Path) -> None:
    (tmp_path / "lab" / "steps").mkdir(parents=True)
    text = "@raykqi.plan(inputs={'x': ['a:1']}, source='..')\ndef f(x): ...\n"

    draft = decorated(text, tmp_path / "lab" / "steps", "one").draft()

    assert (draft.definition.function, draft.source, draft.source_files) == ("steps.one:f", str(tmp_path / "lab"), ())


def test_source_must_hold_the_function(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    function = decorated("@raykqi.plan(inputs={'x': ['a:1']}, source='elsewhere')\ndef f(x): ...\n", tmp_path)

    with pytest.raises(InvalidInput, match="is not in"):
        function.draft()
