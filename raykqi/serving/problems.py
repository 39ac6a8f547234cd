"""What went wrong with a request, as a body of the kind problem+json that clients of the protocol read as well."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from raykqi.errors import RaykqiError
from raykqi.serving.frames import Answered

__all__ = ["detail_of", "problem", "problem_of"]


def problem(status: int, detail: str, hint: str = "") -> Answered:
    """`error` holds the same words, since clients of the Open Inference Protocol look there."""
    members = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, "error": detail}
    if hint:
        members |= {"hint": hint, "error": f"{detail} {hint}" if detail.endswith(".") else f"{detail}. {hint}"}
    return Answered(status, {"content-type": "application/problem+json"}, msgspec.json.encode(members))


def problem_of(error: RaykqiError) -> Answered:
    return problem(error.status, error.message, error.hint)


def detail_of(answer: Answered) -> str:
    """What a refusal says."""
    return str(msgspec.json.decode(answer.body)["error"])
