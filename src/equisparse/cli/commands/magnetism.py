"""The command orders."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from equisparse.cli.command import JSON
from equisparse.cli.commands.shared import NamedBase
from equisparse.cli.terminal import Terminal
from equisparse.options import DATA, MAGNETISM, MODEL, OUTPUT, Option

if TYPE_CHECKING:
    from equisparse.magnetism.orders import Order


@dataclass(frozen=True, kw_only=True)
class Orders(NamedBase):
    """Rank the collinear magnetic orders of a structure by energy."""

    values: ClassVar[str] = "STRUCTURE"

    structure: Annotated[
        str, Option("File that ASE reads; its first frame is used", DATA, "STRUCTURE", positional=True)
    ]
    adapter: Annotated[str, Option("Adapter file of a run with --spin", MODEL, "FILE")]
    supercell: Annotated[
        list[int] | None,
        Option("Repetitions of the cell along its three vectors, such as 2 2 1", MAGNETISM, "N", shown_default="1 1 1"),
    ] = None
    top: Annotated[int, Option("Number of magnetic orders in the table; --json prints all", OUTPUT, least=1)] = 20
    out: Annotated[str | None, Option("Extended XYZ file to which all magnetic orders are written", OUTPUT, "FILE")] = (
        None
    )
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the ranking."""
        from equisparse.report.tables import orders_table
        from equisparse.report.terminal.render import rich_table
        from equisparse.tasks.orders import orders

        cell = self.supercell or [1, 1, 1]
        ranked = orders(self.structure, self.base, self.adapter, supercell=cell, out=self.out, **self.load_options)
        rows = [_row(order) for order in ranked]
        terminal.show(rich_table(orders_table(rows[: self.top], len(ranked))))
        if self.out:
            terminal.note(f"written: {self.out}")
        names = ("energy_ev_per_atom", "net_moment_mub", "largest_moment_mub", "equivalent", "signs")
        terminal.show_json([dict(zip(names, row, strict=True)) for row in rows])
        return 0


def _row(order: "Order") -> tuple[float, float, float, int, str]:
    """Energy above the lowest, net and largest moment, number of equivalent sign patterns, and the signs."""
    largest = float(abs(order.moments).max())
    return order.energy, float(order.moments.sum()), largest, order.count, order.signs
