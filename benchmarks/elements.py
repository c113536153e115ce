"""On which elements and degrees l do the changed weights lie, in blocks with an element axis (MACE)?

    python benchmarks/elements.py --name ethanol --base MACE.model --runs build/supports

The runs are those of `supports.py`: two seeds, and two halves of the frames. A row is added for every run and number of
changed weights that is not in the results.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from rows import add_row, rows_of
from supports import METHODS, PARTS, adapters_of

import equisparse
from equisparse.interpret.changes import block_changes

RESULTS = Path(__file__).parent / "results" / "elements.jsonl"
_N_AXES = 3
"""Axes of a block with an element axis: input channels, elements, output channels."""


def main() -> None:
    """Add the rows of one set and base."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("build/supports"), help="folder of supports.py")
    parser.add_argument("--name", required=True, help="data set")
    parser.add_argument("--base", required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    order = equisparse.load_backbone(arguments.base).element_order
    if order is None:
        parser.error("this base has no element axis")
    base = Path(arguments.base).name
    for method in METHODS:
        for part in PARTS:
            run = equisparse.read_run(arguments.runs / f"{arguments.name}, {base}, {method}" / part.name)
            for changed, adapter in adapters_of(run):
                cell = {"name": arguments.name, "base": base, "method": method, "run": part.name, "changed": changed}
                if all(row["cell"] != cell for row in rows_of(arguments.results)):
                    row = {"cell": cell, **shares(adapter, order), "steps": run.metrics.steps}
                    add_row(arguments.results, row | {"versions": run.metrics.versions})


def shares(adapter: equisparse.Adapter, order: tuple[int, ...]) -> dict[str, Any]:
    """Shares of the elements of the data, and of the degrees l of each element.

    Parameters
    ----------
    adapter : Adapter
    order : tuple of int
        Atomic numbers in the order of the element axis.

    Returns
    -------
    dict
        ``entries`` and ``squares``: symbol -> share of the number of changed weights and of the sum of squared changes;
        ``absent``: share of the number on elements that are not in the data; ``by_l``: symbol -> share of each degree
        in these two, in self-connections with outputs of several degrees, which have equally many weights of each.
    """
    mixed = {block.tensor for block in adapter.layout.blocks if block.role == "self_connection" and block.l > 0}
    total = np.zeros((2, len(order)))
    by_l: dict[int, Any] = defaultdict(lambda: np.zeros((2, len(order))))
    for block, change in block_changes(adapter):
        if change is not None and len(block.shape) == _N_AXES:
            both = np.stack([values.sum((0, 2)).double().numpy() for values in (change != 0, change.square())])
            total += both
            if block.tensor in mixed:
                by_l[block.l] += both
    places = {chemical_symbols[z]: order.index(z) for z in adapter.elements}
    degrees = np.stack([by_l[degree] for degree in sorted(by_l)])
    degrees /= degrees.sum(0).clip(min=np.finfo(float).tiny)
    entries, squares = ({symbol: part[place] / part.sum() for symbol, place in places.items()} for part in total)
    return {
        "entries": entries,
        "squares": squares,
        "absent": max(0.0, 1 - sum(entries.values())),
        "by_l": {
            name: {symbol: degrees[:, index, place].tolist() for symbol, place in places.items()}
            for index, name in enumerate(("entries", "squares"))
        },
    }


if __name__ == "__main__":
    main()
