"""Base of all commands: a dataclass whose fields are the options, with a method that runs the command."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from equisparse.cli.terminal import Terminal
from equisparse.options import OUTPUT, Option, check_options

JSON = Option("Print JSON on standard output in place of tables", OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """Base of all commands; the first line of a command's docstring is its help.

    The class variable `values` is the placeholder of the positional values in the line of usage. The class variable
    `interrupted` is a hint that is printed if the command is interrupted.
    """

    values: ClassVar[str] = ""
    interrupted: ClassVar[str] = ""

    quiet: Annotated[bool, Option("Print results, warnings and errors only", OUTPUT)] = False
    verbose: Annotated[bool, Option("Print the traceback of an error", OUTPUT)] = False

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """Make the command from the options that were given.

        Raises
        ------
        InputError
            If a value cannot be used.
        """
        command = cls(**given)  # type: ignore[arg-type]  # checked here
        check_options(command)
        return command

    @abstractmethod
    def run(self, terminal: Terminal) -> int:
        """Do the work, print the result and return the exit code."""

    def terminal(self) -> Terminal:
        """Output of the command, as its options ask for."""
        return Terminal(quiet=self.quiet, json=bool(getattr(self, "json", False)))
