"""Commands that share adapters: card and push."""

from dataclasses import dataclass, fields
from typing import Annotated

from equisparse.cli.command import Command
from equisparse.cli.terminal import Terminal
from equisparse.config.card import CardDetails
from equisparse.options import DATA, OUTPUT, Option

_SOURCE = Option("Folder of a finished run, or an adapter file", DATA, "RUN", positional=True)


@dataclass(frozen=True, kw_only=True)
class _Sharing(CardDetails, Command):
    """A command that writes the card of an adapter."""

    @property
    def details(self) -> CardDetails:
        """Facts that only the user knows."""
        return CardDetails(**{field.name: getattr(self, field.name) for field in fields(CardDetails)})


@dataclass(frozen=True, kw_only=True)
class Card(_Sharing):
    """Write the card of a run or an adapter: a README.md as the Hugging Face Hub reads it."""

    source: Annotated[str, _SOURCE]
    out: Annotated[
        str | None, Option("File to write", OUTPUT, "FILE", shown_default="README.md beside the adapter")
    ] = None

    def run(self, terminal: Terminal) -> int:
        """Write the card."""
        from equisparse.tasks.push import write_card

        terminal.note(f"written: {write_card(self.source, self.out, details=self.details)}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Push(_Sharing):
    """Put an adapter and its card on the Hugging Face Hub, or into a folder."""

    source: Annotated[str, _SOURCE]
    target: Annotated[
        str, Option("hf:USER/NAME, or a folder; hf:USER/NAME@BRANCH for a branch", OUTPUT, "TARGET", positional=True)
    ]
    private: Annotated[bool, Option("Make a new repository private", OUTPUT)] = False
    message: Annotated[str, Option("Message of the commit", OUTPUT, "TEXT")] = "Adapter written by equisparse push"

    def run(self, terminal: Terminal) -> int:
        """Write the card and send both files."""
        from equisparse.tasks.push import push

        place = push(self.source, self.target, details=self.details, private=self.private, message=self.message)
        terminal.note(f"written: {place}")
        return 0
