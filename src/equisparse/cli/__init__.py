"""The command line: parse, one call, print."""

import sys
from collections.abc import Sequence

from rich.console import Console

from equisparse.cli.commands import COMMANDS
from equisparse.cli.parsers import build_parser
from equisparse.cli.words import normalised
from equisparse.errors import EquisparseError

_PIPE_WIDTH = 110


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Words after the program's name; those of the process by default.

    Returns
    -------
    int
        0 if all went well, 2 if the input cannot be used, 3 if `probe` gives the verdict fail, 130 if interrupted.
    """
    words = normalised(list(sys.argv[1:] if argv is None else argv))
    parser = build_parser()
    options = parser.parse_args(words)
    try:
        return COMMANDS[options.subcommand](options[options.subcommand], _console())
    except EquisparseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; a fine-tune goes on from its last epoch with --resume and the same --out", file=sys.stderr)
        return 130


def _console() -> Console:
    """Standard output; of a fixed width where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)
