"""One plan on folders right here, without a workspace: to try it before it is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from math import ceil
from pathlib import Path

from raykqi.domain.resources import WHOLE
from raykqi.domain.run import Exit
from raykqi.errors import InvalidInput
from raykqi.importers.draft import Draft
from raykqi.settings import Settings

__all__ = ["run_draft_here"]


def run_draft_here(
    draft: Draft,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    say: Callable[[bytes], object],
    settings: Settings | None = None,
) -> Exit:
    """How its command ended; what it prints goes to `say`. It runs on a copy of its code, as it would on a node."""
    from raykqi.execution.here import run_here
    from raykqi.importers.code_folder import code_folder

    definition = draft.definition
    if draft.missing:
        raise InvalidInput(f"{', '.join(draft.missing)} has no value", hint=f"Give it: `--param {draft.missing[0]}=…`.")
    for kind, given, known in (("input", inputs, definition.inputs), ("output", outputs, definition.outputs)):
        names = [each.name for each in known]
        if unknown := [name for name in given if name not in names]:
            raise InvalidInput(f"the plan has no {kind} {unknown[0]!r}", hint=f"It has {', '.join(names) or 'none'}.")
        if left := [name for name in names if name not in given]:
            raise InvalidInput(
                f"no folder was given for the {kind} {left[0]!r}", hint=f"Give --{kind} {left[0]}=FOLDER."
            )
    with ExitStack() as undo:
        code = undo.enter_context(code_folder(draft))[0] if draft.source else None
        return run_here(
            definition,
            inputs,
            outputs,
            {param.name: param.value for param in definition.params if param.value is not None},
            settings or Settings.from_env(),
            code=code,
            say=say,
            resources=draft.settings.resources,
            gpus=tuple(map(str, range(ceil(draft.settings.resources.gpu / WHOLE)))),
        )
