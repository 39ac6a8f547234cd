"""`raykqi plan check` and `template`: plan files, before any workspace sees them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import command
from cli.output import harmless
from cli.session import Session
from cli.values import show_count
from raykqi.errors import InvalidInput, RaykqiError

if TYPE_CHECKING:
    from raykqi.domain.plan import Definition, PlanInput, PlanOutput
    from raykqi.importers.draft import Draft

__all__ = ["ParamOption", "SetOption", "parse_pairs", "read_drafts", "register"]

STDIN = "-"
ARCHIVES = (".tar", ".tar.gz", ".tgz")

SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Fill in ${NAME} in the plan file.",
        default_factory=list,
        show_default=False,
    ),
]
ParamOption = Annotated[
    list[str],
    typer.Option(
        "--param",
        "-p",
        metavar="NAME=VALUE",
        help="Another value for a param.",
        default_factory=list,
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    command(app, "check", examples="raykqi plan check train.yaml --set PORT=30503\nraykqi plan check *.yaml")(check)
    command(
        app,
        "template",
        examples="""
    raykqi plan template --scratch > plan.yaml
    raykqi plan template -- python train.py --data /in/dataset --out /out/model
    raykqi plan template train.py --function train
    docker save train:v1 | raykqi plan template -i - train:v1
    """,
    )(template)


def check(
    session: Session,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Plan files, or Python files; `-` reads a plan from stdin.")
    ],
    variables: SetOption,
    params: ParamOption,
) -> None:
    """Say whether plans are sound and how they are understood. Needs no workspace."""
    records, failed = [], 0
    for file in files:
        try:
            drafts = read_drafts(file, variables, params)
        except RaykqiError as error:
            if len(files) == 1:
                raise
            failed = failed or error.exit_code
            records.append({"file": file, "ok": False, "error": error.message, "hint": error.hint})
            if not session.json:
                session.out.complain(harmless(f"{error.message}  {error.hint}"))
            continue
        for draft in drafts:
            records.append({"file": file, "ok": True, **_record(draft)})
            if not session.json:
                for warning in draft.warnings:
                    session.out.complain(harmless(f"warning: {warning}"))
                session.out.lines(harmless(line) for line in _summary(file, draft))
    if session.json:
        session.out.json(records)
    if failed:
        raise typer.Exit(failed)


def template(
    session: Session,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[FILE|IMAGE|-- COMMAND...]",
            help="A Python file, an image archive, or a command line after --; with -i the name of the image.",
            default_factory=list,
            show_default=False,
        ),
    ],
    archive: Annotated[
        str, typer.Option("--input", "-i", metavar="FILE", help="What `docker save` wrote; `-` reads stdin.")
    ] = "",
    function: Annotated[str, typer.Option("--function", "-f", metavar="NAME", help="Which one of a Python file.")] = "",
    scratch: Annotated[bool, typer.Option("--scratch", help="One input, one output, nothing guessed.")] = False,
) -> None:
    """Print a plan file to begin with, with comments."""
    text = _template(words, archive, function, scratch)
    if session.json:
        session.out.json({"template": text})
    else:
        session.out.text(text)


def read_drafts(file: str, variables: Iterable[str], params: Iterable[str]) -> tuple[Draft, ...]:
    """The plans of a file as commands are given it, with the values of `--set` and `--param`."""
    from raykqi.importers.loading import read_plans
    from raykqi.importers.planfile import read_plan
    from raykqi.importers.yaml_tree import decode

    filled, chosen = parse_pairs(variables, "--set"), parse_pairs(params, "--param")
    if file == STDIN:
        buffer = getattr(sys.stdin, "buffer", None)
        text = decode(buffer.read(), "stdin") if buffer else sys.stdin.read()
        return (read_plan(f"{text}\n", variables=filled, params=chosen, name="stdin"),)
    return read_plans(Path(file), variables=filled, params=chosen)


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(f"{option} {text!r} is not NAME=VALUE", hint=f"Write it as in {option} epochs=10.")
        if name.strip() in pairs:
            raise InvalidInput(f"{option} {name.strip()} is given twice", hint="Give it once.")
        pairs[name.strip()] = value
    return pairs


def _template(words: list[str], archive: str, function: str, scratch: bool) -> str:
    from raykqi.importers.template import command_template, image_template, scratch_template
    from raykqi.importers.template_python import python_template

    if archive:
        image = words[0] if words else ""
        if archive == STDIN:
            return image_template(sys.stdin.buffer, "stdin", image=image)
        return _from_archive(Path(archive), image)
    if scratch:
        return scratch_template(words[0] if words else "")
    if len(words) == 1 and Path(words[0]).suffix == ".py":
        file = Path(words[0])
        text = python_template(file, function=function, source=STDIN)
        return text.replace(f'source: "{STDIN}"', f'source: "{_relative(file)}"')
    if len(words) == 1 and words[0].endswith(ARCHIVES):
        return _from_archive(Path(words[0]), "")
    brings_code = any(not Path(word).is_absolute() and Path(word).is_file() for word in words)
    return command_template(words, source="." if brings_code else "")


def _from_archive(file: Path, image: str) -> str:
    from raykqi.importers.template import image_template

    try:
        with file.open("rb") as opened:
            return image_template(opened, str(file), image=image)
    except OSError as error:
        raise InvalidInput(
            f"{str(file)!r} cannot be read: {error.strerror}", hint="Name what docker save wrote."
        ) from None


def _relative(file: Path) -> str:
    from raykqi.importers.code_files import collect_code

    root = collect_code(file, "__main__").root
    return Path(os.path.relpath(root)).as_posix()


def _record(draft: Draft) -> dict[str, Any]:
    """`name digest source files missing warnings definition settings`."""
    import msgspec

    return {
        "name": draft.definition.title,
        "digest": draft.definition.digest,
        "source": draft.source,
        "files": list(draft.source_files),
        "missing": list(draft.missing),
        "warnings": list(draft.warnings),
        "definition": msgspec.to_builtins(draft.definition),
        "settings": msgspec.to_builtins(draft.settings),
    }


def _summary(file: str, draft: Draft) -> Iterable[str]:
    definition, settings = draft.definition, draft.settings
    yield f"{file}: {definition.title} is sound"
    yield f"  runs      {_what(definition)}, by {definition.launcher}"
    if draft.source:
        count = f" ({show_count(len(draft.source_files), 'file')})" if draft.source_files else ""
        yield f"  code      {draft.source}{count}"
    yield from (f"  input     {_mount(wanted)}{_asked(wanted)}" for wanted in definition.inputs)
    yield from (f"  output    {_mount(made)}" for made in definition.outputs)
    if definition.log is not None:
        yield f"  log       {' '.join(str(tag) for tag in definition.log)}".rstrip()
    for param in definition.params:
        value = "needs a value: --param " + param.name + "=…" if param.value is None else f"= {param.value}"
        choices = f" of {', '.join(str(choice) for choice in param.choices)}" if param.choices else ""
        yield f"  param     {param.name} ({param.type}) {value}{choices}"
    yield f"  resources {' '.join(f'{name}={value}' for name, value in settings.resources.shown().items())}"
    if not settings.active:
        yield "  active    no: its runs wait until the plan is activated"
    yield f"  digest    {definition.digest}"


def _what(definition: Definition) -> str:
    if definition.function:
        return definition.function
    words = definition.command or (*(definition.entrypoint or ()), *(definition.args or ()))
    return " ".join([*([definition.image] if definition.image else []), *words])[:200]


def _mount(mount: PlanInput | PlanOutput) -> str:
    return " ".join([mount.name, *([mount.path] if mount.path else []), *(str(tag) for tag in mount.tags)])


def _asked(mount: PlanInput) -> str:
    from raykqi.domain.tags import SYSTEM_ID, SYSTEM_TIMESTAMP, show_instant

    asked = f" {SYSTEM_ID}:{mount.id}" if mount.id else ""
    asked += f" {SYSTEM_TIMESTAMP}:{show_instant(mount.timestamp)}" if mount.timestamp else ""
    return asked + ("" if mount.take == "each" else f" (take: {mount.take})")
