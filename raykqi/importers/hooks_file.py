"""The file that says which hooks and webhooks there are: YAML, as strict as plan files are."""

from __future__ import annotations

import re
from pathlib import Path

from raykqi.domain.hooks import TIMEOUT, Hooks, Webhook, check_event, check_url, check_webhook_name
from raykqi.errors import InvalidInput, NotFound
from raykqi.importers.field import Field
from raykqi.importers.places import Places, Where, quote
from raykqi.importers.yaml_tree import MOST_BYTES, Tree, decode, read_tree

__all__ = ["read_hooks"]

KEYS = ("before", "after", "timeout", "webhooks")
WEBHOOK_KEYS = ("name", "url", "secret", "secret_file", "events", "plans")
URLS = "[http://localhost:8080/hook]"


def read_hooks(path: Path | str) -> Hooks:
    """Secrets that lie in files of their own are read now; their paths are relative to this file."""
    path = Path(path)
    tree, lines = _read(decode(_content(path, "hooks"), str(path)), str(path))
    places = Places(str(path), lines)
    if not isinstance(tree, dict):
        raise InvalidInput(f"{path}: there are no hooks in it", hint=f"Write lines of {', '.join(KEYS)}.")
    entries = Field(tree, (), places).entries(KEYS, what="hooks")
    timeout = entries["timeout"].seconds() if "timeout" in entries else TIMEOUT
    webhooks = _list_of_webhooks(entries["webhooks"]) if "webhooks" in entries else []
    with places.at(*(("timeout",) if "timeout" in entries else ())):
        Hooks(timeout=timeout)
    made = tuple(_webhook(field, path.parent) for field in webhooks)
    with places.at("webhooks"):
        return Hooks(_urls(entries.get("before")), _urls(entries.get("after")), timeout, made)


def _read(text: str, source: str) -> tuple[Tree, dict[Where, int]]:
    """As everywhere, but what is said of a file that is no YAML quotes nothing of it: it may be a secret."""
    try:
        return read_tree(text, source)
    except InvalidInput as error:
        if "is here again" in error.message:
            raise
        said = re.split(r":? ?['\"*]", error.message, maxsplit=1)[0]
        raise InvalidInput(said, hint=error.hint) from None


def _list_of_webhooks(field: Field) -> list[Field]:
    """Nothing is quoted of what is no webhook: it may be a secret."""
    example = "[{name: …, url: …, secret: …}]"
    if not isinstance(field.value, list):
        field.refuse("it is no list", hint=f"Write a list, as in {example}.")
    items = field.items(example=example)
    for item in items:
        if not isinstance(item.value, dict):
            item.refuse("it is no webhook", hint=f"Write its keys, as in {example}.")
    return items


def _urls(field: Field | None) -> tuple[str, ...]:
    if field and isinstance(field.value, str):
        field.refuse("it is no list", hint=f"Write a list, as in {URLS}.")
    return tuple(_url(item) for item in field.items(example=URLS)) if field else ()


def _url(field: Field) -> str:
    url = field.text(what="URL").strip()
    with field.places.at(*field.where):
        return check_url(url)


def _webhook(field: Field, folder: Path) -> Webhook:
    entries = field.entries(WEBHOOK_KEYS, what="a webhook")
    for key in ("name", "url"):
        if key not in entries:
            field.refuse(f"the webhook has no {key}", hint=f"Add a line `{key}: …`.")
    with field.places.at(*entries["name"].where):
        name = check_webhook_name(entries["name"].text())
    return Webhook(
        name,
        _url(entries["url"]),
        _secret(field, entries, folder),
        tuple(_event(item) for item in entries["events"].items(example="[run.ended]")) if "events" in entries else (),
        entries["plans"].texts(example="[train]") if "plans" in entries else (),
    )


def _event(field: Field) -> str:
    with field.places.at(*field.where):
        return check_event(field.text())


def _secret(field: Field, entries: dict[str, Field], folder: Path) -> str:
    if ("secret" in entries) == ("secret_file" in entries):
        hint = "Give one of `secret: TEXT` and `secret_file: PATH`; its receiver checks signatures with it."
        field.refuse("a webhook has one secret", hint=hint)
    if "secret" in entries:
        given = entries["secret"]
        if not isinstance(given.value, str):
            given.refuse("the secret is no text", hint="Write a text.")  # and never show it
        secret = str(given.value)
    else:
        given = entries["secret_file"]
        content = _content(folder / given.text(what="path"), "secret")
        try:
            secret = content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            given.refuse("what is in the file is not UTF-8", hint="Write the secret as text.")
    if not secret.strip() or "\0" in secret:
        given.refuse("the secret is empty", hint="Make one with `openssl rand -hex 32`.")
    return secret


def _content(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {str(path)!r}", hint=f"Name the file with the {what}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or quote(str(error))
        raise InvalidInput(f"{str(path)!r} cannot be read: {reason}", hint=f"Name the file with the {what}.") from None
