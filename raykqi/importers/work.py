"""What a plan runs: an image, a command, or a function; and by which launcher."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from raykqi.domain.plan import Launcher
from raykqi.importers.field import Field
from raykqi.importers.places import quote

__all__ = ["SHELL", "Work", "read_work"]

# A command of several lines stops at the first that fails.
SHELL = ("sh", "-ec")
LAUNCHERS: tuple[Launcher, ...] = ("process", "sandbox", "container")
NAME_CHARS = 255
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*)"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?\Z"
)


class Work(msgspec.Struct, frozen=True):
    image: str = ""
    entrypoint: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    function: str = ""
    launcher: Launcher = "process"


def read_work(fields: Mapping[str, Field], warnings: list[str]) -> Work:
    image, command, function = fields.get("image"), fields.get("command"), fields.get("function")
    if function and (image or command):
        function.refuse("a function is run without `image` and `command`", hint="Keep one of them.")
    if not (image or command or function):
        for key in ("entrypoint", "args"):
            if key in fields:
                fields[key].refuse(f"{key} belongs to an image", hint="Add `image`, or write `command`.")
        _nothing(fields)
    for key in ("entrypoint", "args"):
        if key in fields and command:
            fields[key].refuse(f"`command` replaces {key}", hint="Write the whole command line in one of them.")
        if key in fields and not image:
            fields[key].refuse(f"{key} belongs to an image", hint="Write `command` instead.")
    work = Work(
        image=_image(image) if image else "",
        entrypoint=fields["entrypoint"].texts(example='["python", "main.py"]') if "entrypoint" in fields else None,
        args=fields["args"].texts(example='["--epochs", "10"]') if "args" in fields else None,
        command=_command(command) if command else None,
        function=_function(function) if function else "",
    )
    return msgspec.structs.replace(work, launcher=_launcher(fields.get("launcher"), work, fields, warnings))


def _nothing(fields: Mapping[str, Field]) -> None:
    some = next(iter(fields.values()), None)
    top = Field(None, (), some.places) if some else None
    if top:
        top.refuse("the plan says nothing to run", hint="Add `image`, `command` or `function`.")


def _launcher(field: Field | None, work: Work, fields: Mapping[str, Field], warnings: list[str]) -> Launcher:
    if field is None:
        launcher: Launcher = "container" if work.image else "process"
    else:
        chosen = field.choice(LAUNCHERS)
        launcher = next(known for known in LAUNCHERS if known == chosen)
        if launcher == "container" and not work.image:
            field.refuse("a container needs an image", hint="Add `image`, or choose process or sandbox.")
        if launcher != "process" and work.function:
            field.refuse(f"functions are run by Ray's own workers, not by {launcher}", hint="Remove `launcher`.")
        if launcher != "container" and work.image:
            if work.command is None and not work.entrypoint:
                hint = "Add `command`, or remove `launcher`."
                field.refuse(f"without a container nobody knows what {quote(work.image)} would run", hint=hint)
            warnings.append(f"{field.places.show(field.where)}: {launcher} does not use the image {work.image}")
    if launcher == "container" and "runtime_env" in fields:
        wanted = fields["runtime_env"].value
        installs = [name for name in ("pip", "uv") if isinstance(wanted, Mapping) and wanted.get(name) is not None]
        if installs:
            hint = "Install it when the image is built, or choose the launcher process or sandbox."
            fields["runtime_env"].refuse(f"{installs[0]} cannot install anything into an image", hint=hint)
    return launcher


def _image(field: Field) -> str:
    text = field.text(what="image").strip()
    if "://" in text:
        field.refuse(f"{quote(text)} is a URL", hint="Write the image without the part up to `//`.")
    found = _IMAGE.match(text) if len(text) <= 2 * NAME_CHARS + 128 else None
    if not found or len(found["name"]) > NAME_CHARS:
        hint = "Write it as registry:port/name:tag; names are in lower case, as in localhost:30503/train:v1."
        field.refuse(f"{quote(text)} is no name of an image", hint=hint)
    if not found["tag"] and not found["digest"]:
        hint = f"Write {text}:v1 or the like, so that it stays known what ran."
        field.refuse(f"the image {quote(text)} has no tag and no digest", hint=hint)
    return text


def _command(field: Field) -> tuple[str, ...]:
    if isinstance(field.value, list | tuple):
        words = field.texts(example='["python", "train.py"]')
        if not words or not words[0].strip():
            field.refuse("the command is empty", hint='Write it as in ["python", "train.py"].')
    else:
        text = field.text(what="command")
        if not text.strip():
            field.refuse("the command is empty", hint="Write it as in python train.py --data {inputs.dataset}.")
        words = (*SHELL, text)
    return words


def _function(field: Field) -> str:
    text = field.text(what="function")
    module, colon, name = text.partition(":")
    # A file may be called train-model.py: such a module can be imported by its name, if not written in Python.
    parts = [part.replace("-", "_") for part in module.split(".")]
    if not colon or not name.isidentifier() or not all(part.isidentifier() for part in parts):
        field.refuse(f"{quote(text)} is no function", hint="Write module:function, as in training.steps:train.")
    return text
