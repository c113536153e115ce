"""Steps on a GPU in one call of under ten minutes: time, memory and kernel launches of every form of a base.

    python benchmarks/gpu.py                                        # 7net-0, with the accelerators that are installed
    python benchmarks/gpu.py --base ../shared/data/models/MACE_SPICE_0316.model --cells ethanol
    python benchmarks/gpu.py --device cpu --rounds 1 --data FOLDER  # a trial without a GPU

The cells are ethanol (ten molecules) and HfO2 (four cells of 96 atoms), in float32 and in float64. The variants are the
full training of the untouched model, the adapter in the plain and in the faster form, and with each accelerator. They
take their steps in turn, as in `cost.py`, and the rows go where those of `cost.py` go. A variant that cannot be
measured here, and a cell for which no time is left, are named and left out.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from cost import ACCELERATORS, RESULTS, default_variants, interleaved, make_step, row_of
from rows import add_row
from torch.profiler import ProfilerActivity, profile

import equisparse


class Cell(NamedTuple):
    """File of frames in the data folder, and how many of them are a batch."""

    frames: str
    batch_size: int


CELLS = {"ethanol": Cell("rmd17/ethanol/train.xyz.gz", 10), "HfO2": Cell("hfo2/all.xyz.gz", 4)}
PLAIN = ("full", "full-fast", "sparse", "sparse-fast")
MEMORY_STEPS = 2
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernelEx")


def main() -> None:
    """Measure cell by cell, and append one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=9.0, help="after them no cell is begun and no variant built")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    for dtype in arguments.dtypes:
        for name in arguments.cells:
            if time.monotonic() > end:
                print(f"left out, no time: {name}, {dtype}", flush=True)
                continue
            add_row(arguments.results, measured(name, dtype, arguments, end))


def measured(name: str, dtype: str, arguments: argparse.Namespace, end: float) -> dict[str, Any]:
    """Row of one cell in one precision."""
    cell = argparse.Namespace(
        name=name,
        frames=arguments.data / CELLS[name].frames,
        batch_size=CELLS[name].batch_size,
        base=arguments.base,
        device=arguments.device,
        dtype=dtype,
        rounds=arguments.rounds,
    )
    steps: dict[str, Callable[[], None]] = {}
    memory: dict[str, float] = {}
    for variant in variants_of(arguments.device, dtype):
        if time.monotonic() > end and steps:
            print(f"left out, no time: {variant}", flush=True)
            continue
        before = allocated(arguments.device)
        try:
            step = make_step(variant, cell)
        except (equisparse.EquisparseError, SystemExit) as error:
            print(f"left out: {variant}: {error}", flush=True)
            continue
        peak = peak_of(step, arguments.device)
        steps[variant] = step
        if arguments.device.startswith("cuda"):
            memory[variant] = (peak - before) / 2**20
    launches = {variant: launches_of(step, arguments.device) for variant, step in steps.items()}
    return row_of(cell, interleaved(steps, arguments.rounds), memory) | {"launches": launches}


def variants_of(device: str, dtype: str) -> list[str]:
    """Variants that are measured here: those without an accelerator, then adapters with one, then upstream's."""
    installed = set(default_variants(device, dtype))
    ours_first = sorted(ACCELERATORS, key=lambda name: name.startswith("full"))
    return [*PLAIN, *(name for name in ours_first if name in installed)]


def allocated(device: str) -> int:
    """Memory that is in use on a GPU, bytes; 0 on a CPU."""
    return torch.cuda.memory_allocated() if device.startswith("cuda") else 0


def peak_of(step: Callable[[], None], device: str) -> int:
    """Largest memory in use on a GPU during some steps, bytes; 0 on a CPU."""
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(MEMORY_STEPS):
        step()
    return torch.cuda.max_memory_allocated() if on_gpu else 0


def launches_of(step: Callable[[], None], device: str) -> int:
    """Kernel launches of a step on a GPU; on a CPU, the operators that call no other one."""
    on_gpu = device.startswith("cuda")
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as seen:
        step()
    events = seen.events() or []
    if on_gpu:
        return sum(event.name in LAUNCHES for event in events)
    return sum(event.name.startswith("aten::") and not event.cpu_children for event in events)


if __name__ == "__main__":
    main()
