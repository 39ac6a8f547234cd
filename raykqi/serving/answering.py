"""From a request to its answer, around the model: what is parsed before it runs, and rendered after.

A request that fails in a batch is found by running each of the batch alone, so that no other fails with it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np

from raykqi.errors import ModelError, ModelFailed, RaykqiError
from raykqi.serving import plain, v2
from raykqi.serving.describing import zeros
from raykqi.serving.encodings import packed, unpacked
from raykqi.serving.frames import Answered, Body, Kind
from raykqi.serving.model import Model
from raykqi.serving.predictor import About, ObjectPredictor, Predictor, TensorPredictor, Tensors
from raykqi.serving.problems import detail_of, problem, problem_of
from raykqi.serving.start import Start
from raykqi.serving.streams import Chunks

__all__ = ["Answering", "Prepared"]


class Prepared(NamedTuple):
    """What the model gets, and what makes the answer of what it gives: nothing, where that is a stream of answers.

    `joins` is equal for those that fit.
    """

    inputs: Any
    render: Callable[[Any], Answered] | None
    joins: Hashable | None = None
    rows: int = 1


class Failure(NamedTuple):
    """Instead of what the model gave for a request."""

    error: BaseException

    def value(self) -> Any:
        raise self.error


class Answering:
    def __init__(self, predictor: Predictor, how: Start) -> None:
        self.about: About = predictor.about
        self._predictor = predictor
        self._limit = how.body
        self._model = Model(predictor.about, predictor.hooks, how.name, how.revision, how.data)
        self._joins = predictor.about.batches

    def warm_up(self) -> None:
        """The model answers its sample. One that the card states must be answered; one made up need not be."""
        if not self.about.sample:
            self._run_with_zeros()
            return
        prepared = self.prepare("test", {}, b"")
        (answer,) = [prepared] if isinstance(prepared, Answered) else self.run([prepared])
        if isinstance(answer, Answered) and answer.status >= 400 and self.about.card.sample is not None:
            told = detail_of(answer)
            raise ModelFailed(f"the model does not answer the sample of its card: {told}")

    def _run_with_zeros(self) -> None:
        """Past what a user wrote before the model, of which nobody knows what it takes."""
        if self.about.is_tensor and all(spec.shape for spec in self.about.inputs):
            _tried(cast(TensorPredictor, self._predictor).run, zeros(self.about))

    def prepare(self, kind: Kind, headers: dict[str, str], body: Body) -> Prepared | Answered:
        """The answer itself when there is nothing to run, as the request is wrong."""
        try:
            if encoding := headers.get("content-encoding"):
                body = unpacked(body, encoding, self._limit)
            return self._prepared(kind, headers, body)
        except RaykqiError as error:
            return problem_of(error)
        except Exception as error:
            return _failed(error, "the request could not be prepared for the model")

    def run(self, several: list[Prepared]) -> list[Answered | Chunks]:
        """The answers of those that go together, in their order."""
        if several[0].render is None:  # which nothing joins
            return [self._stream(several[0])]
        results = self._tensors(several) if self.about.is_tensor else self._objects(several)
        return [_rendered(each.render, result) for each, result in zip(several, results, strict=True) if each.render]

    def _prepared(self, kind: Kind, headers: dict[str, str], body: Body) -> Prepared | Answered:
        model = self._model
        if kind == "stream":
            inputs = plain.stream_inputs(model, headers, body)
            return Prepared(inputs, None)
        render: Callable[[Any], Answered]
        if kind == "infer":
            inputs, render = v2.read(model, headers, body)
        else:
            inputs, render = plain.read(model, kind, headers, body)
        if accepted := headers.get("accept-encoding"):
            render = _packing(render, accepted)
        if not self._joins:
            return Prepared(inputs, render)
        if not self.about.is_tensor:
            return Prepared(inputs, render, joins="objects")
        joins = tuple((name, inputs[name].dtype.char, inputs[name].shape[1:]) for name in sorted(inputs))
        rows = next(iter(inputs.values())).shape[0] if inputs else 1
        return Prepared(inputs, render, joins, rows)

    def _tensors(self, several: list[Prepared]) -> list[Any]:
        predictor = cast(TensorPredictor, self._predictor)
        if len(several) == 1:
            return [_tried(predictor.run, several[0].inputs)]
        rows = [each.rows for each in several]
        joined = {name: np.concatenate([each.inputs[name] for each in several]) for name in several[0].inputs}
        outputs = _tried(predictor.run, joined)
        if isinstance(outputs, Failure):
            return [_tried(predictor.run, each.inputs) for each in several]
        if any(output.ndim == 0 or output.shape[0] != sum(rows) for output in outputs.values()):
            self._joins = False  # its outputs are not row by row
            return [_tried(predictor.run, each.inputs) for each in several]
        return list(_split(outputs, rows))

    def _objects(self, several: list[Prepared]) -> list[Any]:
        predictor = cast(ObjectPredictor, self._predictor)
        if not self._joins:
            return [_tried(predictor.predict, each.inputs) for each in several]
        results = _tried(predictor.predict_batch, [each.inputs for each in several])
        if isinstance(results, Failure):
            if len(several) == 1 or isinstance(results.error, ModelError):  # the class is wrong, not a request
                return [results] * len(several)
            return [self._objects([each])[0] for each in several]
        return [Failure(each) if isinstance(each, BaseException) else each for each in results]

    def _stream(self, prepared: Prepared) -> Chunks:
        return Chunks(cast(ObjectPredictor, self._predictor).stream, prepared.inputs)


def _rendered(render: Callable[[Any], Answered], result: Any) -> Answered:
    try:
        return render(result.value() if isinstance(result, Failure) else result)
    except RaykqiError as error:
        return problem_of(error)
    except (Exception, SystemExit) as error:
        return _failed(error, "the model failed on this request")


def _tried(what: Callable[[Any], Any], inputs: Any) -> Any:
    try:
        return what(inputs)
    except (Exception, SystemExit) as error:
        return Failure(error)


def _split(outputs: Tensors, rows: list[int]) -> Iterator[Tensors]:
    start = 0
    for count in rows:
        yield {name: output[start : start + count] for name, output in outputs.items()}
        start += count


def _packing(render: Callable[[Any], Answered], accepted: str) -> Callable[[Any], Answered]:
    return lambda result: packed(render(result), accepted)


def _failed(error: BaseException, what: str) -> Answered:
    """The lines of where it happened go to the log of the endpoint, the words alone to the asker."""
    traceback.print_exception(error)
    return problem(500, f"{what}: {type(error).__name__}: {error}")
