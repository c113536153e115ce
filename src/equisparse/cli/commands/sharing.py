"""Commands that share adapters: card, push and search."""

from dataclasses import asdict, dataclass, fields
from typing import Annotated, ClassVar

from equisparse.cli.command import JSON, Command
from equisparse.cli.terminal import Terminal
from equisparse.config.card import CardDetails
from equisparse.options import DATA, MODEL, OUTPUT, Option

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


@dataclass(frozen=True, kw_only=True)
class Search(Command):
    """Find adapters on the Hugging Face Hub by name, base and elements."""

    values: ClassVar[str] = "[WORDS]"

    words: Annotated[
        list[str] | None,
        Option("Part of the name of a repository", DATA, "WORDS", shown_default="all", positional=True),
    ] = None
    base: Annotated[str | None, Option("Only adapters of this base, such as 7net-0", MODEL, "MODEL")] = None
    elements: Annotated[list[str] | None, Option("Elements that the training data must contain", DATA, "SYMBOL")] = None
    limit: Annotated[int, Option("Largest number of adapters, those that changed last first", OUTPUT, least=1)] = 20
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the adapters."""
        from equisparse.report.card.read import shared_table
        from equisparse.report.terminal.render import rich_table
        from equisparse.tasks.search import search

        found = search(" ".join(self.words or []), base=self.base, elements=self.elements or (), limit=self.limit)
        if found:
            terminal.show(rich_table(shared_table(found)))
            terminal.note(f"to use one: --adapter {found[0].address}")
        else:
            terminal.warn("no adapters found: give fewer words or elements, or another base")
        terminal.show_json([asdict(adapter) for adapter in found])
        return 0
