"""Summary of an adapter that was extracted from a checkpoint, for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from equisparse.adapters.adapter import ChangeCount
from equisparse.adapters.extraction import Rounding
from equisparse.interpret.changes import ChangeTotals
from equisparse.report.tables import totals_table
from equisparse.report.terminal.render import rich_table
from equisparse.wording import counted


def extraction_tables(
    changed: ChangeCount, rounding: Rounding, per_role: Sequence[ChangeTotals], per_degree: Sequence[ChangeTotals]
) -> Iterator[RenderableType]:
    """Describe what differs between a base and a fine-tuned checkpoint.

    Parameters
    ----------
    changed : ChangeCount
    rounding : Rounding
        Weights that base plus adapter does not give bit for bit.
    per_role, per_degree : sequence of ChangeTotals
    """
    yield f"{counted(changed.count, 'weight differs', 'weights differ')}: {changed.of_model:.3%} of the whole model"
    yield rich_table(totals_table("Changed per role", per_role, ("role",)))
    yield rich_table(totals_table("Changed per degree l", per_degree, ("l",)))
    if rounding.inexact:
        differing = counted(rounding.inexact, "weight differs", "weights differ")
        yield f"{differing} from the checkpoint by rounding, at most by {rounding.largest:.2g}"
    else:
        yield "base and adapter give the weights of the checkpoint bit for bit"
