"""Classes and hooks of users: how they are made, found and called, and what is said of those that cannot be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed
from raykqi.serving.loading import load
from tests import models

PLAIN = Loading()


@pytest.fixture(autouse=True)
def _modules_of_users(tmp_path: Path) -> Iterator[None]:
    """What a test imports of a user is forgotten: a process of a model holds one."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def made(folder: Path, body: str = "", loading: Loading = PLAIN, code: Path | None = None) -> Any:
    if body:
        models.custom(folder, body=body)
    return load(folder, code, loading, 1)


def refused(folder: Path, body: str, loading: Loading = PLAIN) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        made(folder, body, loading)
    return raised.value


def test_a_class_gets_the_folder_and_the_card(tmp_path: Path) -> None:
    models.custom(tmp_path)
    models.card(tmp_path, "title: words\nsample: one two\n")

    predictor = made(tmp_path)

    assert predictor.predict("one two three") == {"words": 3}
    assert (predictor.about.kind, predictor.about.is_tensor) == ("python", False)
    assert (predictor.about.batches, predictor.about.streams) == (False, False)
    assert predictor.about.sample == b'"one two"'


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [("self", ""), ("self, model", "model"), ("self, model, card", "model,card"), ("self, *both", "both")],
)
def test_a_class_that_takes_less_is_given_less(tmp_path: Path, arguments: str, seen: str) -> None:
    body = (
        f"class Predictor:\n    def __init__({arguments}):\n        self.seen = ({seen},)\n"
        if seen
        else ("class Predictor:\n    def __init__(self):\n        self.seen = ()\n")
    )
    body += "    def predict(self, inputs):\n        return [type(each).__name__ for each in self.seen]\n"

    names = made(tmp_path, body.replace("(both,)", "both")).predict(None)

    expected = {"": [], "model": ["PosixPath"], "model,card": ["PosixPath", "Card"], "both": ["PosixPath", "Card"]}
    assert names == expected[seen]


def test_a_class_may_take_several_at_a_time_and_stream(tmp_path: Path) -> None:
    body = (
        "class Predictor:\n"
        "    def predict(self, inputs):\n        return inputs\n"
        "    def predict_batch(self, several):\n        return [each * 2 for each in several]\n"
        "    def stream(self, inputs):\n        yield from inputs\n"
    )
    predictor = made(tmp_path, body)

    assert (predictor.about.batches, predictor.about.streams) == (True, True)
    assert predictor.predict_batch([1, 2]) == [2, 4]
    assert list(predictor.stream("ab")) == ["a", "b"]


def test_what_lies_beside_the_class_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    code = tmp_path / "code"
    code.mkdir()
    (code / "words.py").write_text("def count(text):\n    return len(text.split())\n")
    (code / "own.py").write_text(
        "import words\n\nclass Counter:\n    def predict(self, inputs):\n        return words.count(inputs)\n"
    )

    predictor = made(tmp_path / "model", loading=Loading(predictor="own.py:Counter"), code=code)

    assert predictor.predict("a b") == 2


def test_a_file_that_is_called_like_a_library_does_not_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("class Predictor:\n    def predict(self, inputs):\n        return 'mine'\n")

    predictor = made(tmp_path, loading=Loading(predictor="json.py"))

    assert predictor.predict(None) == "mine"
    assert hasattr(sys.modules["json"], "dumps")


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("class Other:\n    pass\n", "predictor.py has no class Predictor", "It has Other."),
        ("x = 1\n", "predictor.py has no class Predictor", "It has none."),
        ("def Predictor():\n    pass\n", "predictor.py has no class Predictor", "It has none."),
        (
            "class Predictor:\n    pass\n",
            "Predictor in predictor.py has no method predict",
            "Define predict(self, inputs).",
        ),
        ("class Predictor\n", "predictor.py cannot be imported: SyntaxError: ", "See predictor.py, line 1."),
        (
            "import nowhere\n",
            "predictor.py cannot be imported: ModuleNotFoundError: No module named 'nowhere'",
            "See predictor.py, line 1.",
        ),
        ("raise SystemExit(3)\n", "predictor.py cannot be imported: SystemExit: 3", "See predictor.py, line 1."),
        (
            "class Predictor:\n    def __init__(self, a, b, c):\n        pass\n",
            "Predictor of predictor.py cannot be made: TypeError: ",
            "",
        ),
        (
            "class Predictor:\n    async def predict(self, inputs):\n        return 1\n",
            "predict of Predictor in predictor.py is async, and is called without",
            "Write `def`.",
        ),
        (
            "class Predictor:\n    predict = 5\n",
            "predict of Predictor in predictor.py is no method",
            "",
        ),
    ],
)
def test_a_class_that_cannot_be_used_is_refused(tmp_path: Path, body: str, message: str, hint: str) -> None:
    error = refused(tmp_path, body)

    assert error.message.startswith(message)
    assert error.hint.startswith(hint)
    assert str(tmp_path) not in str(error)


def test_a_constructor_that_raises_is_told_with_its_line(tmp_path: Path) -> None:
    models.failing_init(tmp_path)

    error = refused(tmp_path, "")

    assert error.message == "Predictor of predictor.py cannot be made: RuntimeError: the vocabulary is missing"
    assert error.hint == "See predictor.py, line 3."


def test_what_a_class_raises_at_a_request_is_left_to_the_asking_side(tmp_path: Path) -> None:
    models.custom(tmp_path)

    with pytest.raises(ValueError, match="this text is bad"):
        made(tmp_path).predict("bad")


def test_a_hook_stands_before_and_after_a_model(tmp_path: Path) -> None:
    models.mlp(tmp_path, features=2)
    (tmp_path / "hook.py").write_text(
        "import numpy\n\n"
        "def preprocess(request):\n    return {'x': numpy.array([[len(request), 0]], dtype=numpy.float32)}\n\n"
        "def postprocess(outputs, request):\n    return {'best': int(outputs['probabilities'].argmax())}\n"
    )

    predictor = load(tmp_path, None, Loading(), 1)

    assert predictor.hooks.preprocess is not None
    assert predictor.hooks.preprocess("abc")["x"].tolist() == [[3.0, 0.0]]
    assert predictor.hooks.postprocess is not None
    assert predictor.hooks.postprocess({"probabilities": np.array([[0.1, 0.9]])}, "abc") == {"best": 1}
    assert predictor.about.sample == b""  # what the hook takes is only for its author to say


def test_the_hook_of_the_model_goes_before_that_of_the_code(tmp_path: Path) -> None:
    models.mlp(tmp_path / "model")
    for folder in ("code", "model"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "hook.py").write_text(f"def postprocess(outputs, request):\n    return {folder!r}\n")

    predictor = load(tmp_path / "model", tmp_path / "code", Loading(), 1)

    assert predictor.hooks.postprocess is not None
    assert predictor.hooks.postprocess({}, None) == "model"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1\n", "hook.py has neither preprocess(request) nor postprocess(outputs, request)"),
        ("preprocess = 1\n", "preprocess in hook.py is no function"),
        ("1 / 0\n", "hook.py cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_a_hook_that_cannot_be_used_is_refused(tmp_path: Path, body: str, message: str) -> None:
    models.mlp(tmp_path)
    (tmp_path / "hook.py").write_text(body)

    assert refused(tmp_path, "").message == message
