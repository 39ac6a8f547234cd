"""A loaded model that answers in this process, for tests of what is asked and answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from raykqi.domain.endpoint import Loading
from raykqi.serving.answering import Answering
from raykqi.serving.frames import Answered, Body, Kind
from raykqi.serving.loading import load
from raykqi.serving.start import Start
from raykqi.serving.streams import Chunks

__all__ = ["answered", "ask", "told"]

JSON = {"content-type": "application/json"}


def answered(folder: Path, body: int = 1 << 30) -> Answering:
    how = Start(model=str(folder), name="digits", revision=3, data="d1", body=body)
    return Answering(load(folder, None, Loading(), 1), how)


def ask(answering: Answering, kind: Kind, body: Any, headers: dict[str, str] | None = None) -> Answered:
    """What is not bytes is sent as JSON."""
    sent: Body = body if isinstance(body, bytes) else msgspec.json.encode(body)
    prepared = answering.prepare(kind, JSON if headers is None else headers, sent)
    (answer,) = [prepared] if isinstance(prepared, Answered) else answering.run([prepared])
    assert not isinstance(answer, Chunks)
    return answer


def told(answer: Answered) -> Any:
    return msgspec.json.decode(answer.body)
