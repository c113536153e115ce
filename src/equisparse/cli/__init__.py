"""The command line: parse, one call, print."""

from collections.abc import Sequence

from cyclopts import CycloptsError

from equisparse.cli.app import build_app


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
    try:
        code = build_app()(argv, exit_on_error=False)
    except CycloptsError:  # its message is on standard error already
        return 2
    return code if isinstance(code, int) else 0
