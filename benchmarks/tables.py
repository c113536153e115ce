"""Fill a table of docs/benchmarks.md, cell by cell; what is in the results already is skipped.

    python benchmarks/sets.py --data ../shared/data --out build/sets
    python benchmarks/tables.py molecules --sets build/sets
    python benchmarks/tables.py crystals --sets build/sets --seeds 0 1 2 --device cuda --workers 4
    python benchmarks/tables.py molecules --list

Every cell is one run of `accuracy.py`, at the default learning rate of its method, unless `CHOSEN` names another
for its set or family; or one of `upstream.py`, with upstream's preset. The longest table first: cut it off whenever you
like.
"""

import argparse
import itertools
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import upstream
from accuracy import RESULTS, cell_of, ensure, parse_arguments, row_of
from accuracy import run as run_ours

METHODS = {
    "sparse": "--method sparse",
    "sparse, no radial": "--method sparse",
    "sparse H": "--method sparse --regime H",
    "sparse 3 %": "--method sparse --changed 0.03",
    "lowrank 170 KB": "--method lowrank --budget 170KB",
    "scale": "--method scale",
    "elora": "--method elora",
    "elora 16": """--method elora --options '{"rank": 16}'""",
    "mmea": "--method mmea",
    "full": "--method full",
    "readout": "--method readout",
    "scratch": "--method scratch",
    "upstream": " ".join(upstream.UPSTREAM),
}
"""Name in the tables -> options of `accuracy.py`."""
MAIN = ("sparse", "elora", "lowrank 170 KB", "elora 16", "full", "upstream", "sparse 3 %", "mmea", "scale")
REST = ("sparse H", "readout", "scratch")

CHOSEN = {
    ("molecules", "sparse"): "--lr 0.05",
    ("molecules", "sparse H"): "--lr 0.05",
    ("molecules", "sparse 3 %"): "--lr 0.08",
    ("molecules", "lowrank 170 KB"): "--lr 0.05",
    ("molecules", "elora"): "--lr 0.05",
    ("molecules", "elora 16"): "--lr 0.05",
    ("crystals", "sparse"): "--targets all",
    ("crystals", "elora"): "--targets all",
    ("crystals", "lowrank 170 KB"): "--lr 0.03",
    ("crystals", "elora 16"): "--lr 0.03",
}
"""(family or set, method) -> learning rate and options, where others than the defaults were better: one molecule bears
higher rates than crystals of many shapes, and in 300 steps they pay; crystals gain by trained radial networks, and few
ranks by a higher rate."""

STEPS = "--steps 300"
CRYSTAL_STEPS = {"mo": 300, "hfo2": 100, "cu": 100}
"""Fewer for the larger cells: on one core a step of two frames takes two to three seconds there."""
WHOLE_SET = "--steps 500 --batch-size 8"
"""All training frames of a crystal: for a GPU."""
FRACTIONS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
SIZES = ("28KB", "40KB", "80KB", "170KB", "500KB")
ENTRIES = '{"rank": null}'
PUBLISHED = '{"rank": null, "start_width": 0.01, "start_threshold": 0.001}'


Run = Callable[[argparse.Namespace], dict[str, Any]]
"""What does a cell, and returns its row."""


class Cell(NamedTuple):
    """One cell: data set with its training frames, label in the table, options of `accuracy.py`."""

    data: str
    label: str
    options: str


def molecules() -> Iterator[Cell]:
    """rMD17 with 100 and with 50 training frames."""
    for method in MAIN + REST:
        for name in ("ethanol", "aspirin", "toluene"):
            yield cell("molecules", name, method, STEPS)
    for method in MAIN:
        yield cell("molecules", "ethanol", method, f"{STEPS} --train-frames 50")


def acac() -> Iterator[Cell]:
    """Acetylacetone trained at 300 K, tested at 300 K, at 600 K, on a proton transfer and a dihedral scan."""
    for method in MAIN:
        yield cell("molecules", "acac", method, STEPS)


def crystals() -> Iterator[Cell]:
    """Metals and an oxide with stress, few frames; `sparse` with the radial networks and without."""
    for frames in (50, 20, 100):
        for method in (*MAIN, "sparse, no radial"):
            for name, steps in CRYSTAL_STEPS.items():
                yield cell("crystals", name, method, f"--steps {steps} --batch-size 2 --train-frames {frames}")
    for method in MAIN:
        for name in CRYSTAL_STEPS:
            yield cell("crystals", name, method, WHOLE_SET)


def ablation() -> Iterator[Cell]:
    """Which tensors change, the decay of tau, the optimiser."""
    for label, options in {
        "default": "",
        "channel mixing alone": "--targets linear self_connection readout",
        "embedding alone": "--targets embedding",
        "all tensors": "--targets all",
        "ten times the lr of tau": """--options '{"tau_lr": 0.1}'""",
        "regime H": "--regime H",
        "AdamW": "--optimizer adamw --lr 0.01",
        "entry by entry": f"--options '{ENTRIES}'",
        "entry by entry, lr 0.02": f"--options '{ENTRIES}' --lr 0.02",
        "entry by entry, AdamW": f"--options '{ENTRIES}' --optimizer adamw --lr 0.01",
        "as published": f"--options '{PUBLISHED}' --optimizer schedulefree --lr 0.01",
        "as published, regime H": f"--regime H --options '{PUBLISHED}' --optimizer schedulefree --lr 0.01",
    }.items():
        _, _, words = cell("molecules", "ethanol", "sparse", STEPS)
        yield Cell("ethanol", label, f"{words} {options}")


def sizes() -> Iterator[Cell]:
    """Error against the changed fraction and the size of the adapter."""
    for method in MAIN:
        if method not in ("sparse 3 %", "lowrank 170 KB"):
            yield cell("molecules", "ethanol", method, STEPS)
    for size in SIZES:
        yield other(cell("molecules", "ethanol", "lowrank 170 KB", STEPS), f"lowrank {size}", "170KB", size)
    for fraction in FRACTIONS:
        label = f"sparse {100 * fraction:g} %"
        yield other(cell("molecules", "ethanol", "sparse 3 %", STEPS), label, "0.03", str(fraction))


TABLES = {"molecules": molecules, "acac": acac, "crystals": crystals, "ablation": ablation, "sizes": sizes}


def cell(family: str, name: str, method: str, options: str) -> Cell:
    """The cell of a method of `METHODS` on a set."""
    chosen = CHOSEN.get((name, method)) or CHOSEN.get((family, method), "")
    words = f"--name {name} {METHODS[method]} {chosen} {options}"
    frames = "all" if WHOLE_SET in options else options.partition("--train-frames ")[2]
    return Cell(f"{name}, {frames} frames" if frames else name, method, words)


def other(cell: Cell, label: str, old: str, new: str) -> Cell:
    """The same cell with another label, and another word among its options."""
    return cell._replace(label=label, options=cell.options.replace(old, new))


def arguments_of(cell: Cell, seed: int) -> argparse.Namespace:
    """Arguments of `accuracy.py` for a cell."""
    return parse_arguments(["--folder", "", "--seed", str(seed), *shlex.split(cell.options)])


def main() -> None:
    """Run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--sets", type=Path, default=Path("build/sets"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=[], help="words that a cell's options must all hold")
    parser.add_argument("--labels", nargs="+", help="cells with these labels alone, such as 'sparse 3 %%'")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="cells at once, each in a process of its own")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, help="folder that gets the adapters")
    parser.add_argument("--list", action="store_true", help="say which cells are missing, run nothing")
    wishes = parser.parse_args()
    missing = []
    for seed, cell in itertools.product(wishes.seeds, TABLES[wishes.table]()):
        if not set(wishes.only) <= set(cell.options.split()) or cell.label not in (wishes.labels or [cell.label]):
            continue
        arguments = arguments_of(cell, seed)
        arguments.folder = wishes.sets / arguments.name
        arguments.device, arguments.results, arguments.keep = wishes.device, wishes.results, wishes.keep
        found = row_of(arguments) is not None
        print("done   " if found else "missing", seed, cell.options, flush=True)
        if not found:
            missing.append((arguments, upstream.run if cell.label == "upstream" else run_ours))
    if not wishes.list:
        fill(missing, wishes.workers)


def fill(missing: Iterable[tuple[argparse.Namespace, Run]], workers: int) -> None:
    """Run cells, as many at once as there are workers; one that fails is left missing, and the others go on."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(ensure, *one): cell_of(one[0]) for one in missing}
        try:
            for future in as_completed(futures):
                error = future.exception()
                print(time.strftime("%H:%M:%S"), f"failed: {error!r}" if error else "done", futures[future], flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    main()
