"""Cost of several adapters on one base: a switch, and an ensemble against one model, interleaved in one run.

    python benchmarks/ensemble.py --frames ../shared/data/rmd17/ethanol/test.xyz.gz --name ethanol

The members are adapters of random entries: what a switch costs depends on their number alone. Every variant takes its
turn, round after round; what is reported are medians, and medians of the ratios within a round. `single` is the
calculator of one merged adapter, `ensemble` that of all members; `applied` is the way without a bank, which computes,
writes and restores whole tensors.
"""

import argparse
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from cost import interleaved, ratios, synchronize
from rows import add_row

import equisparse
from equisparse.formats.entries import Entries, pack  # no method makes adapters of random entries

RESULTS = Path(__file__).parent / "results" / "ensemble.jsonl"
SWITCHES = 20
"""Times as many rounds of switches as of inference: they are short."""


def random_entries(backbone: equisparse.AbstractBackbone, changed: float, seed: int) -> equisparse.Adapter:
    """Adapter that changes a fraction of the model's parameters, anywhere among the default targets."""
    layout = equisparse.select(backbone.layout(), equisparse.Sparse().default_targets)
    generator = torch.Generator().manual_seed(seed)
    share, stored = changed * layout.total_parameters / layout.numel, {}
    for name, shape in layout.tensor_shapes.items():
        chosen = torch.rand(shape, generator=generator) < share
        stored[name] = pack(chosen * 1e-3 * torch.randn(shape, generator=generator))
    dtype = str(backbone.dtype).removeprefix("torch.")
    return equisparse.Adapter(Entries(), layout, stored, {}, vars(backbone.identity), dtype, (1,), backbone.modality)


def make_switches(arguments: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """One switch from one adapter of a bank to the other, and the way without a bank, on a model of its own."""
    banked, plain = (equisparse.load_backbone(arguments.base, device=arguments.device) for _ in range(2))
    bank = equisparse.AdapterBank(banked)
    adapters = [random_entries(banked, arguments.changed, seed) for seed in range(2)]
    for number, adapter in enumerate(adapters):
        bank.add(str(number), adapter)
    names, turns = itertools.cycle(bank.names), itertools.cycle(adapters)

    def switch() -> None:
        bank.use(next(names))
        synchronize(banked)

    def apply() -> None:
        with next(turns).applied(plain.model):
            synchronize(plain)

    return {"bank": switch, "applied": apply}


def make_inference(arguments: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """Energy, forces and stress of one frame by the ensemble, and by a model of one merged adapter."""
    single = equisparse.load_backbone(arguments.base, device=arguments.device)
    backbone = equisparse.load_backbone(arguments.base, device=arguments.device)
    frame = equisparse.read_frames(str(arguments.frames))[0].atoms
    members = [random_entries(backbone, arguments.changed, seed) for seed in range(arguments.members)]
    calculators = {
        "single": equisparse.calculator(single, random_entries(single, arguments.changed, 0)),
        "ensemble": equisparse.calculator(backbone, members),
    }

    def run(calculator: Any) -> None:
        calculator.calculate(Atoms(frame))
        synchronize(backbone)

    return {name: partial(run, calculator) for name, calculator in calculators.items()}


def milliseconds(times: list[float]) -> float:
    """Median, ms."""
    return round(1e3 * float(np.median(times)), 4)


def main() -> None:
    """Measure, print and append one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--name", required=True, help="data set, as it appears in the results")
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--changed", type=float, default=0.01, help="changed entries as a fraction of the model")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    switches = interleaved(make_switches(arguments), SWITCHES * arguments.rounds)
    inference = interleaved(make_inference(arguments), arguments.rounds)
    row = {
        "data": arguments.name,
        "base": Path(arguments.base).name,
        "changed": arguments.changed,
        "members": arguments.members,
        "rounds": arguments.rounds,
        "threads": torch.get_num_threads(),
        "switch_ms": milliseconds(switches["bank"]),
        "applied_ms": milliseconds(switches["applied"]),
        "switch_over_applied": ratios(switches, "applied")["bank"],
        "single_ms": milliseconds(inference["single"]),
        "ensemble_over_single": ratios(inference, "single")["ensemble"],
        "versions": equisparse.versions(equisparse.load_backbone(arguments.base, device=arguments.device)),
    }
    add_row(arguments.results, row)


if __name__ == "__main__":
    main()
