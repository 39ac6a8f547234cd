"""What people ask by hand: JSON as they write it, images, arrays, files, forms; labels; the card's sample."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from raykqi.errors import ModelFailed
from raykqi.serving.answering import Answering
from raykqi.serving.frames import Answered
from raykqi.serving.streams import Chunks
from tests import models
from tests.unit.serving.answering import answered, ask, told

MODEL = {"name": "digits", "revision": 3, "data": "d1"}
ROW = [1.0, 2.0, 3.0, 4.0]
# Eight bytes that say that they are 10^17 numbers.
HUGE = (
    b"\x93NUMPY\x01\x00\x76\x00"
    + (b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,)}" % 10**17).ljust(118)
    + bytes(8)
)


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    folder = tmp_path_factory.mktemp("mlp")
    models.mlp(folder)
    return answered(folder)


@pytest.fixture(scope="module")
def expected(mlp: Answering) -> list[float]:
    answer = ask(mlp, "predict", {"inputs": {"x": [ROW]}})
    return told(answer)["outputs"]["probabilities"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    folder = tmp_path_factory.mktemp("labelled")
    models.mlp(folder)
    models.card(folder, "labels: [cat, dog, bird]\nsample: {x: [[1, 2, 3, 4]]}\n")
    return answered(folder)


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    """A class that tells what it got."""
    folder = tmp_path_factory.mktemp("uploads")
    models.custom(
        folder,
        body=(
            "class Predictor:\n"
            "    def predict(self, inputs):\n"
            "        if hasattr(inputs, 'content'):\n"
            "            return [inputs.content.decode(), inputs.content_type, inputs.name]\n"
            "        return inputs\n"
        ),
    )
    return answered(folder)


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def form(*files: tuple[str, str, bytes]) -> tuple[bytes, dict[str, str]]:
    parts = [
        f'--b\r\ncontent-disposition: form-data; name="f"; filename="{name}"\r\ncontent-type: {kind}\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, kind, content in files
    ]
    return b"".join([*parts, b"--b--\r\n"]), {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    "body", [{"inputs": {"x": [ROW]}}, {"x": [ROW]}, {"instances": [ROW]}, [ROW], ROW, {"inputs": [ROW]}]
)
def test_json_is_taken_as_people_write_it(mlp: Answering, expected: list[float], body: Any) -> None:
    answer = ask(mlp, "predict", body)

    assert told(answer) == {"outputs": {"probabilities": expected}, "model": MODEL}


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "", "application/x-www-form-urlencoded"])
def test_json_is_known_by_its_looks(mlp: Answering, content_type: str) -> None:
    assert ask(mlp, "predict", [ROW], {"content-type": content_type}).status == 200


def test_arrays_of_numpy_are_taken(mlp: Answering, expected: list[float]) -> None:
    archive = io.BytesIO()
    np.savez(archive, x=np.array([ROW], np.float32))
    npy = saved(np.array(ROW))

    for body, kind in ((npy, "application/octet-stream"), (archive.getvalue(), "application/x-npz")):
        answer = ask(mlp, "predict", body, {"content-type": kind})
        assert told(answer)["outputs"] == {"probabilities": expected}
    assert told(ask(mlp, "predict", *form(("a.npz", "application/octet-stream", archive.getvalue()))))["outputs"]


def test_pickles_inside_of_arrays_are_not_opened(mlp: Answering) -> None:
    answer = ask(mlp, "predict", saved(np.array([{"a": 1}], object)), {"content-type": "application/x-npy"})

    assert answer.status == 400
    assert "the arrays cannot be read" in told(answer)["error"]


def test_an_image_is_taken_by_a_model_of_images(tmp_path: Path) -> None:
    from PIL import Image

    models.image(tmp_path)
    file = io.BytesIO()
    Image.new("L", (16, 16), 200).save(file, "PNG")
    answering = answered(tmp_path)

    alone = ask(answering, "predict", file.getvalue(), {"content-type": "image/png"})
    in_form = ask(answering, "predict", *form(("a.png", "image/png", file.getvalue())))
    untold = ask(answering, "predict", file.getvalue(), {"content-type": "application/x-www-form-urlencoded"})

    assert alone.status == 200
    assert alone == in_form == untold


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        (b"", "application/json", 400, "the body is empty"),
        (b"{", "application/json", 400, "the body is not JSON"),
        (b"[" * 100_000, "application/json", 400, "nested too deeply"),
        (b'{"y": [1]}', "application/json", 400, "no input 'y'"),
        (b"[[1, 2]]", "application/json", 400, "has shape [1, 2], and [-1, 4] is wanted"),
        (b'[["a", 1, 2, 3]]', "application/json", 400, "numbers are wanted"),
        (b"%PDF", "application/pdf", 415, "'application/pdf' is nothing that this model takes"),
        (b"GIF89a", "image/gif", 415, "this model takes no image"),
        (b"--b--", "multipart/form-data", 400, "the form has no boundary"),
        (b"nonsense", "multipart/form-data; boundary=b", 400, "the form"),
        (form()[0], "multipart/form-data; boundary=b", 400, "the form holds 0 files"),
        (form(("a", "b/c", b""), ("d", "e/f", b""))[0], "multipart/form-data; boundary=b", 400, "holds 2 files"),
        (b"\x93NUMPY", "application/x-npy", 400, "the arrays cannot be read"),
        (b"PK\x03\x04junk", "application/x-npz", 400, "the arrays cannot be read"),
        (HUGE, "application/x-npy", 400, "the arrays cannot be read"),
    ],
)
def test_what_no_model_could_take_is_refused(
    mlp: Answering, body: bytes, content_type: str, status: int, said: str
) -> None:
    answer = ask(mlp, "predict", body, {"content-type": content_type})

    assert (answer.status, answer.headers) == (status, {"content-type": "application/problem+json"})
    assert said in told(answer)["error"]


def test_a_packed_body_is_unpacked_up_to_what_a_body_may_have(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    answering = answered(tmp_path, body=1000)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    assert ask(answering, "predict", gzip.compress(msgspec.json.encode([ROW])), headers).status == 200
    assert ask(answering, "predict", gzip.compress(b" " * 100_000 + b"[]"), headers).status == 413


def test_one_row_has_a_label_and_several_have_labels(labelled: Answering) -> None:
    one = told(ask(labelled, "predict", [ROW]))
    two = told(ask(labelled, "predict", [ROW, ROW]))

    scores = one["outputs"]["probabilities"][0]
    assert one["score"] == max(scores)
    assert one["label"] == ["cat", "dog", "bird"][scores.index(max(scores))]
    assert [each["label"] for each in two["labels"]] == [one["label"]] * 2
    assert two.keys() == {"outputs", "labels", "model"}


def test_a_label_alone_is_told_without_outputs(labelled: Answering) -> None:
    answer = told(ask(labelled, "label", [ROW]))

    assert answer.keys() == {"label", "score", "model"}
    assert answer["label"] == told(ask(labelled, "predict", [ROW]))["label"]


def test_below_the_threshold_no_label_is_given(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    models.card(tmp_path, "labels: [cat, dog, bird]\nthreshold: 0.9999\n")

    answer = told(ask(answered(tmp_path), "label", [ROW]))

    assert answer["label"] is None
    assert 0.3 < answer["score"] < 0.9999


def test_without_labels_the_place_is_the_label(mlp: Answering, expected: list[list[float]]) -> None:
    assert told(ask(mlp, "label", [ROW]))["label"] == str(int(np.argmax(expected[0])))


def test_a_classifier_gives_its_own_labels(tmp_path: Path) -> None:
    models.classifier(tmp_path)

    answer = told(ask(answered(tmp_path), "label", [[0.0, 0.0, 0.0]]))

    assert answer["label"] in ("no", "yes")
    assert 0.5 <= answer["score"] <= 1


def test_the_sample_of_the_card_is_answered(labelled: Answering) -> None:
    assert told(ask(labelled, "test", b"")) == told(ask(labelled, "predict", [ROW]))


def test_a_model_that_does_not_answer_its_sample_is_not_warm(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    models.card(tmp_path, "sample: {x: [[1, 2]]}\n")

    with pytest.raises(ModelFailed, match=r"does not answer the sample of its card: .*shape"):
        answered(tmp_path).warm_up()


def test_a_model_behind_a_hook_runs_once_before_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models.mlp(tmp_path)
    (tmp_path / "hook.py").write_text("def preprocess(request):\n    raise ValueError('there is no request')\n")
    answering = answered(tmp_path)
    model: Any = answering._predictor
    run, shapes = model.run, []
    monkeypatch.setattr(model, "run", lambda inputs: shapes.append(inputs["x"].shape) or run(inputs))

    answering.warm_up()

    assert shapes == [(1, 4)]


def test_a_class_gets_what_the_body_held(uploads: Answering) -> None:
    def outputs(body: Any, kind: str = "application/json") -> Any:
        return told(ask(uploads, "predict", body, {"content-type": kind}))["outputs"]

    assert outputs({"inputs": {"a": 1}}) == {"a": 1}
    assert outputs({"inputs": 1, "more": 2}) == {"inputs": 1, "more": 2}
    assert outputs("text") == "text"
    assert outputs(b"not json", "text/plain") == ["not json", "text/plain", ""]
    assert outputs(b"a,b", "text/csv") == ["a,b", "text/csv", ""]
    assert outputs(saved(np.array([1, 2])), "application/x-npy") == [1, 2]
    body, headers = form(("表.csv", "text/csv", b"a,b"))
    assert told(ask(uploads, "predict", body, headers))["outputs"] == ["a,b", "text/csv", "表.csv"]


def test_what_a_class_raises_is_told_to_who_asked(tmp_path: Path) -> None:
    models.custom(tmp_path)

    answer = ask(answered(tmp_path), "predict", "bad")

    assert answer.status == 500
    assert told(answer)["error"] == "the model failed on this request: ValueError: this text is bad"


@pytest.mark.parametrize("raised", ["SystemExit(3)", "MemoryError()", "RecursionError()"])
def test_nothing_that_a_class_raises_ends_its_process(tmp_path: Path, raised: str) -> None:
    models.custom(tmp_path, body=f"class Predictor:\n    def predict(self, inputs):\n        raise {raised}\n")

    assert ask(answered(tmp_path), "predict", "x").status == 500


def test_an_answer_that_is_no_json_is_a_failure_of_the_model(tmp_path: Path) -> None:
    models.custom(tmp_path, body="class Predictor:\n    def predict(self, inputs):\n        return {'a': object()}\n")

    answer = ask(answered(tmp_path), "predict", "x")

    assert answer.status == 500
    assert "a object cannot be shown as JSON" in told(answer)["error"]


def test_bytes_of_a_class_are_the_answer(tmp_path: Path) -> None:
    models.custom(tmp_path, body="class Predictor:\n    def predict(self, inputs):\n        return b'\\x00\\x01'\n")

    assert ask(answered(tmp_path), "predict", "x") == Answered(
        200, {"content-type": "application/octet-stream"}, b"\x00\x01"
    )


def test_hooks_make_inputs_and_answers(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    (tmp_path / "hook.py").write_text(
        "import numpy as np\n"
        "def preprocess(request):\n"
        "    return {'x': np.full((1, 4), request['level'], np.float32)}\n"
        "def postprocess(outputs, request):\n"
        "    return {'level': request['level'], 'best': int(outputs['probabilities'].argmax())}\n"
    )

    answer = ask(answered(tmp_path), "predict", {"level": 2})

    assert told(answer).keys() == {"level", "best"}


@pytest.mark.parametrize(
    ("yielded", "kind", "pieces"),
    [
        ("{'n': 1}, [2]", "application/x-ndjson", [b'{"n":1}\n', b"[2]\n"]),
        ("'日', '本'", "text/plain; charset=utf-8", ["日".encode(), "本".encode()]),
        ("b'a', b'b'", "application/octet-stream", [b"a", b"b"]),
        ("", "application/x-ndjson", []),
    ],
)
def test_pieces_are_lines_texts_or_bytes(tmp_path: Path, yielded: str, kind: str, pieces: list[bytes]) -> None:
    models.custom(
        tmp_path,
        body=(
            "class Predictor:\n    def predict(self, inputs):\n        pass\n"
            f"    def stream(self, inputs):\n        yield from ({yielded}{',' if yielded else ''})\n"
        ),
    )
    answering = answered(tmp_path)
    prepared = answering.prepare("stream", {}, b"1")
    (chunks,) = answering.run([prepared])  # type: ignore[list-item]
    assert isinstance(chunks, Chunks)

    got = []
    while (piece := chunks.next()) is not None:
        got.append(piece)

    assert got == pieces
    assert chunks.headers == {"content-type": kind}


def test_a_model_that_does_not_stream_says_so(mlp: Answering) -> None:
    answer = ask(mlp, "stream", [ROW])

    assert answer.status == 400
    assert "Ask it by /predict" in told(answer)["error"]
