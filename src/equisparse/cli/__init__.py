"""The command line: parse the words, call one function, print its result."""

from collections.abc import Sequence

from cyclopts import CycloptsError

from equisparse.cli.app import build_app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Words after the program's name; by default, the arguments of this process.

    Returns
    -------
    int
        0 if all went well, 2 if the input cannot be used, 3 if `probe` gives the verdict fail, 130 if interrupted.
    """
    try:
        code = build_app()(argv, exit_on_error=False)
    except CycloptsError:  # cyclopts has printed the message on standard error
        return 2
    return code if isinstance(code, int) else 0
