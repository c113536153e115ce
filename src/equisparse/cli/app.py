"""The application: all commands, their help, and the handling of errors."""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from cyclopts import App, Group
from rich.console import Console
from rich.text import Text

from equisparse import __version__
from equisparse.cli.command import Command
from equisparse.cli.commands import PANELS
from equisparse.cli.help import formatter
from equisparse.cli.messages import message
from equisparse.cli.parameters import given_values, signature
from equisparse.cli.warnings import shown_warnings
from equisparse.errors import EquisparseError
from equisparse.options import options_of

PROGRAM = "equisparse"
_ABOUT = "Sparse fine-tuning of equivariant interatomic potentials."


def build_app() -> App:
    """Build the application with all commands."""
    app = App(
        name=PROGRAM,
        help=_ABOUT,
        usage=f"Usage: {PROGRAM} COMMAND [OPTIONS]",
        version=__version__,
        help_format="plaintext",
        help_formatter=formatter(),
        error_formatter=lambda error: Text(message(error)),
        error_console=Console(stderr=True, soft_wrap=True),
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    general = Group("General", sort_key=len(PANELS))
    for index, (title, commands) in enumerate(PANELS.items()):
        panel = Group(title, sort_key=index)
        for position, command in enumerate(commands):
            app.command(_app(command, panel, position))
    app.register_install_completion_command(help="Install completion for the current shell", group=general)
    for flag, text in (("--help", "Show this help"), ("--version", "Show the version of equisparse")):
        app[flag].group, app[flag].help = (general,), text
    return app


def parsed(words: Sequence[str]) -> Command:
    """Read the words of a command line, without running the command.

    Raises
    ------
    CycloptsError, InputError
        If the words cannot be used.
    """
    _, bound, _ = build_app().parse_args(list(words), exit_on_error=False)
    command = next(kind for kinds in PANELS.values() for kind in kinds if name_of(kind) == words[0])
    return command.of(given_values(command, bound.arguments))


def name_of(command: type[Command]) -> str:
    """Name of a command on the command line."""
    return command.__name__.lower()


def _app(command: type[Command], panel: Group, position: int) -> App:
    """Application of one command."""
    about = (command.__doc__ or "").splitlines()[0]
    app = App(
        name=name_of(command), help=about, usage=_usage(command), group=panel, sort_key=position, version_flags=()
    )
    app.default(_function(command))
    return app


def _usage(command: type[Command]) -> str:
    """Line of usage."""
    fields = options_of(command).values()
    values = command.values or " ".join(field.option.metavar for field in fields if field.option.positional)
    return f"Usage: {PROGRAM} {name_of(command)} {values} [OPTIONS]"


def _function(command: type[Command]) -> Callable[..., int]:
    """Function with the options of a command as its parameters."""
    parameters = signature(command)

    def function(*args: object, **kwargs: object) -> int:
        return _run(command, parameters.bind_partial(*args, **kwargs).arguments)

    function.__signature__ = parameters  # type: ignore[attr-defined]  # read by cyclopts
    return function


def _run(kind: type[Command], values: Mapping[str, object]) -> int:
    """Run a command and return its exit code."""
    try:
        command = kind.of(given_values(kind, values))
        with shown_warnings():
            return command.run(command.terminal())
    except EquisparseError as error:
        if values.get("verbose"):
            traceback.print_exc()
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("; ".join(filter(None, ("interrupted", kind.interrupted))), file=sys.stderr)
        return 130
