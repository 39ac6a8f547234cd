"""A user's own class as a model: `predict`, and where it has them `predict_batch` and `stream`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raykqi.errors import ModelFailed
from raykqi.serving.describing import described
from raykqi.serving.predictor import About, Card, Hooks
from raykqi.serving.user_code import attempt, import_file, most_arguments

__all__ = ["PythonModel", "load_class"]


class PythonModel:
    """What the class raises at a request is left as it is: the request that it failed on is told."""

    def __init__(self, own: Any, about: About, hooks: Hooks) -> None:
        self._own = own
        self.about, self.hooks = about, hooks

    def predict(self, inputs: Any) -> Any:
        return self._own.predict(inputs)

    def predict_batch(self, several: list[Any]) -> list[Any]:
        results = list(self._own.predict_batch(several))
        if len(results) != len(several):
            raise ModelFailed(
                f"predict_batch was given {len(several)} requests and gave {len(results)} results",
                hint="Return one for each, in order.",
            )
        return results

    def stream(self, inputs: Any) -> Iterator[Any]:
        return iter(self._own.stream(inputs))


def load_class(file: Path, name: str, folder: Path, card: Card, hooks: Hooks) -> PythonModel:
    """The class is called with the folder of the model and its card, or with fewer where it takes fewer."""
    module = import_file(file)
    kind = getattr(module, name, None)
    if not inspect.isclass(kind):
        classes = [
            each
            for each, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__
        ]
        raise ModelFailed(
            f"{file.name} has no class {name}", hint=f"It has {', '.join(classes)}." if classes else "It has none."
        )
    arguments = (folder, card)[: most_arguments(kind, 2)]
    own = attempt(f"{name} of {file.name} cannot be made", lambda: kind(*arguments))
    for each in ("predict", "predict_batch", "stream"):
        if (found := getattr(own, each, None)) is not None and not callable(found):
            raise ModelFailed(f"{each} of {name} in {file.name} is no method")
        if found is not None and inspect.iscoroutinefunction(found):
            raise ModelFailed(f"{each} of {name} in {file.name} is async, and is called without", hint="Write `def`.")
    if not hasattr(own, "predict"):
        raise ModelFailed(f"{name} in {file.name} has no method predict", hint="Define predict(self, inputs).")
    about = described(
        "python",
        "python",
        folder=folder,
        card=card,
        inputs=card.inputs,
        outputs=card.outputs,
        batches=hasattr(own, "predict_batch"),
        is_tensor=False,
        streams=hasattr(own, "stream"),
    )
    return PythonModel(own, about, hooks)
