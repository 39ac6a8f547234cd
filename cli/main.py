"""The program `raykqi`: whatever happens inside, it ends with one exit code and no traceback."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        # Ctrl-C while the program was still loading, or again while it cleaned up.
        print("error: interrupted; nothing is half-stored", file=sys.stderr)
        return 130


def _run(arguments: Sequence[str]) -> int:
    from cli.app import run_command
    from cli.failures import INTERRUPTED, READER_GONE, Failures
    from cli.output import ReaderGone, abandon_stdout, finish, prepare_streams

    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in options or os.environ.get("RAYKQI_DEBUG", "") not in ("", "0")
    failures = Failures(json="--json" in options, debug=debug)
    prepare_streams()
    with warnings.catch_warnings(), failures.listening():
        if not debug and not sys.warnoptions:
            warnings.simplefilter("ignore")
        try:
            code = run_command(arguments)
            finish()
        except ReaderGone:
            abandon_stdout()
            return READER_GONE
        except Exception as error:
            abandon_stdout(unless_it_works=True)
            return failures.report(error)
    return failures.report(KeyboardInterrupt()) if code == INTERRUPTED else code


if __name__ == "__main__":
    sys.exit(main())
