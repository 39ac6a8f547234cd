"""One call of a function from the command line: `python -m raykqi.execution.function_call MODULE:NAME ARGUMENTS`.

The working directory holds its code; ARGUMENTS is JSON with `paths` and `params` by name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from raykqi.domain.plan import Scalar
from raykqi.errors import RaykqiError
from raykqi.execution.function_loading import import_function

__all__ = ["main"]


class _Arguments(msgspec.Struct):
    paths: dict[str, str]
    params: dict[str, Scalar]


def main() -> None:
    name, text = sys.argv[1:3]
    arguments = msgspec.json.decode(text, type=_Arguments)
    sys.path[:1] = [os.getcwd()]
    sys.dont_write_bytecode = True
    try:
        function = import_function(name)
    except RaykqiError as error:
        sys.exit(f"{error.message}. {error.hint}")
    function(**{each: Path(path) for each, path in arguments.paths.items()}, **arguments.params)


if __name__ == "__main__":
    main()
