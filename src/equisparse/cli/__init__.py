"""The command line: parse the words, call one function, print its result."""

import io
import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import CycloptsError

from equisparse.cli.app import build_app
from equisparse.cli.crash import told


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Words after the program's name; by default, the arguments of this process.

    Returns
    -------
    int
        0 if all went well, 1 if the machine or the program failed, 2 if the input cannot be used, 3 if `probe` gives
        the verdict fail, 130 if interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        _print_anything(stream)
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = build_app()(words, exit_on_error=False)
        sys.stdout.flush()
    except CycloptsError:  # cyclopts has printed the message on standard error
        return 2
    except BrokenPipeError:  # the program that reads the output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001  whatever other packages raise
        if "--verbose" in words or "-v" in words:
            traceback.print_exc()
        print(f"error: {told(error, words)}", file=sys.stderr)
        return 1
    return code if isinstance(code, int) else 0


def _print_anything(stream: object) -> None:
    """Let a stream print characters that its encoding lacks, as escapes, in place of an error."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")
