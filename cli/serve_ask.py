"""`raykqi serve ask`: one request to an endpoint, as any program would send it."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import command
from cli.output import harmless
from cli.serve_text import EndpointName
from cli.session import Session
from cli.values import parse_duration
from raykqi.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from raykqi.client.inference import Answered

__all__ = ["register"]

STDIN = "-"
JSON = "application/json"


def register(app: typer.Typer) -> None:
    command(
        app,
        "ask",
        examples="""
        raykqi serve ask digits seven.png
        raykqi serve ask digits --body '{"pixels": [[0, 1]]}'
        raykqi serve ask digits --test
        raykqi serve ask digits --label seven.png
        """,
    )(ask)


def ask(
    session: Session,
    name: EndpointName,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="An image, JSON or any file; `-` reads stdin.", show_default=False)
    ] = "",
    body: Annotated[str, typer.Option("--body", "-b", metavar="JSON", help="Send this, no file.")] = "",
    label: Annotated[bool, typer.Option("--label", help="The label alone.")] = False,
    test: Annotated[bool, typer.Option("--test", help="The sample of its model card.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="The answer bit by bit, as the model makes it.")] = False,
    kind: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Of the content, else by the file's ending.")
    ] = "",
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="Give up after so long.")] = "60s",
) -> None:
    """Print what it answers; which model that was is said beside it."""
    from raykqi import __version__
    from raykqi.client.inference import ask_endpoint

    content, media_type = _request(file, body, test)
    path = "predict/test" if test else "predict/label" if label else "predict/stream" if stream else "predict"
    seconds = parse_duration(timeout, "--timeout").total_seconds()
    asked = ask_endpoint(
        session.server(), name, path, content, media_type=kind or media_type, version=__version__, timeout=seconds
    )
    with asked as answered:
        _show(session, answered, stream)


def _request(file: str, body: str, test: bool) -> tuple[bytes, str]:
    from raykqi.client.inference import media_type_of

    if sum(map(bool, (file, body, test))) != 1:
        raise InvalidInput("what to ask is not clear", hint="Give one of a FILE, --body JSON and --test.")
    if test:
        return b"", JSON
    if body:
        try:
            json.loads(body)
        except ValueError as error:
            raise InvalidInput(f"--body is no JSON: {error}", hint="Put it in single quotes.") from None
        return body.encode(), JSON
    if file == STDIN:
        buffer = getattr(sys.stdin, "buffer", None)
        return (buffer.read() if buffer else sys.stdin.read().encode()), JSON
    try:
        return Path(file).read_bytes(), media_type_of(file)
    except FileNotFoundError:
        raise NotFound(f"there is no file {file!r}", hint="Name what to send, or give --body JSON.") from None
    except OSError as error:
        raise InvalidInput(f"{file!r} cannot be read: {error.strerror}", hint="Name a file.") from error


def _show(session: Session, answered: Answered, stream: bool) -> None:
    if session.json:
        session.out.json(
            {"data": answered.data, "revision": answered.revision, "answer": _value(answered)},
        )
        return
    if stream or not _is_text(answered.media_type):
        session.out.bytes(answered.pieces, at_once=stream)
    else:
        text = b"".join(answered.pieces).decode("utf-8", "replace")
        session.out.line(harmless(text.rstrip("\n")))
    session.out.note(f"By revision {answered.revision}, data {answered.data}: raykqi lineage show {answered.data}")


def _value(answered: Answered) -> Any:
    content = b"".join(answered.pieces)
    if answered.media_type.partition(";")[0].strip() == JSON:
        return json.loads(content)
    return content.decode("utf-8", "replace") if _is_text(answered.media_type) else b64encode(content).decode()


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type.partition(";")[0].strip() == JSON
