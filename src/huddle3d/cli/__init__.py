"""The command line: one module per verb. The only place that prints."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from huddle3d.errors import HuddleError

__all__ = ["EXIT_CODES", "main"]

EXIT_CODES = {
    0: "done",
    1: "a defect in huddle3d (run again with HUDDLE3D_DEBUG=1 for the traceback), or doctor found something to mend",
    2: "an input or option cannot be used",
    3: "an input is over a limit, or the memory is too small",
    4: "weights are missing",
    5: "a file that needs its licence holder is missing",
    6: "the device is not available",
    7: "a stage failed",
    130: "stopped by Ctrl-C; the next run resumes",
}
"""Exit codes of ``huddle3d`` (documented in ``docs/cli.md``)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``huddle3d``; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe on Windows, or another locale: "→" becomes "?" instead of a traceback
        sys.stdout.reconfigure(errors="replace")
    log_format = "json" if "json" in _option(argv, "--log-format") else "text"
    debug = os.environ.get("HUDDLE3D_DEBUG", "") not in ("", "0")
    try:
        from huddle3d.cli.app import build_app, with_default_verb

        args = with_default_verb(sys.argv[1:] if argv is None else argv)
        return int(build_app().cli(prog="huddle3d", description=_DESCRIPTION, args=args) or 0)
    except HuddleError as error:
        if debug:
            traceback.print_exc()
        _tell(error, log_format)
        return error.exit_code
    except KeyboardInterrupt:
        _tell(HuddleError("Stopped.", next_step="people, eval, demo, train and synth resume when the same command is given again."), log_format)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if debug:
            raise
        from huddle3d.cli.console import unforeseen

        told = unforeseen(error)
        _tell(told, log_format)
        return told.exit_code


def _tell(error: HuddleError, log_format: str) -> None:
    from huddle3d.cli.console import print_error

    print_error(error, "json" if log_format == "json" else "text")


def _option(argv: Sequence[str] | None, name: str) -> str:
    args = list(sys.argv[1:] if argv is None else argv)
    for i, arg in enumerate(args):
        if arg == name and i + 1 < len(args):
            return args[i + 1]
        if arg.startswith(name + "="):
            return arg.partition("=")[2]
    return ""


_DESCRIPTION = "3D reconstruction of interaction from pictures: one photo of people who touch → one textured mesh per person."
