"""Cost of a training step and of inference, interleaved in one run: methods, full, and a two-pass wrapper.

    python benchmarks/cost.py --frames ../shared/data/rmd17/ethanol/train.xyz.gz --name ethanol
    python benchmarks/cost.py --frames build/sets/hfo2/train.xyz.gz --name HfO2 --device cuda --batch-size 4

Every variant takes its step in turn, round after round, so that a machine whose speed drifts slows all of them alike;
what is reported are medians of the ratios within a round. Peak memory is that of a process of its own per variant. On a
GPU, the accelerators that are installed are measured, too: cuEquivariance (``cueq``), FlashTP (``flash``) and
OpenEquivariance (``oeq``). ``full-oeq`` trains all parameters of the model that SevenNet itself converts, which knows
float32 alone; ``sparse-oeq`` is ``--method sparse --accelerator oeq``, the faster form included. ``sparse-compiled`` is
``--method sparse --compile on``, on a CPU.
"""

import argparse
import importlib.util
import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from rows import add_row
from torch import Tensor, nn

import equisparse
from equisparse import FORCES

# what follows times one step of training and its parts, which users have as a part of a run only
from equisparse.adapters.adapter import adapter_of
from equisparse.adapters.parameters import parameter_owner
from equisparse.backbones.accelerators import use_accelerator
from equisparse.backbones.e3nn.compiled import compile_convolutions
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import predict
from equisparse.inputs.splits import small_pieces
from equisparse.methods.base import Controller
from equisparse.methods.grouped import GroupedProducts
from equisparse.methods.soft_threshold import soft_threshold
from equisparse.training.loss import Loss
from equisparse.training.optim import build_optimizer

RESULTS = Path(__file__).parent / "results" / "cost.jsonl"
TINY_LR = 1e-6
LARGEST_ERROR = 1e-3
"""eV/A."""
VARIANTS = (
    *("full", "soft_threshold", "sparse", "lowrank", "scale", "elora", "mmea", "two-pass"),
    *("full-fast", "soft_threshold-fast", "sparse-fast", "lowrank-fast"),
    *("full-compiled", "sparse-compiled"),
)
PACKAGES = {"cueq": "cuequivariance_torch", "flash": "flashTP_e3nn", "oeq": "openequivariance"}
"""Accelerator -> package."""
ACCELERATORS = {f"{what}-{name}": package for what in ("full", "sparse") for name, package in PACKAGES.items()}
"""Variant with an accelerator -> package."""

MEMORY_PROCESSES = 8
"""At once on a GPU, whose allocators do not see one another."""


class TwoPassLinear(nn.Module):
    """A frozen e3nn Linear and a second one for the delta: what wrapping a layer costs."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        pairs = [(i.i_in, i.i_out) for i in base.instructions]
        self.second = type(base)(
            base.irreps_in, base.irreps_out, internal_weights=False, shared_weights=True, instructions=pairs
        )
        self.delta = nn.Parameter(torch.randn_like(base.weight) * 1e-2)
        self.tau = nn.Parameter(torch.tensor(-6.9, device=base.weight.device))

    def forward(self, features: Tensor) -> Tensor:
        """Base output plus the output of the thresholded delta."""
        found: Tensor = self.base(features) + self.second(features, soft_threshold(self.delta, torch.sigmoid(self.tau)))
        return found


class Trained(NamedTuple):
    """A model of one variant, its optimiser (upstream's for what upstream could train), and what its method does."""

    backbone: equisparse.AbstractBackbone
    optimizer: torch.optim.Optimizer
    controller: Controller
    products: GroupedProducts


def build(variant: str, base: str, device: str, dtype: str, frames: list[Atoms]) -> Trained:
    """A model of one variant, ready for a step."""
    backbone = equisparse.load_backbone(base, device=device, dtype=dtype)
    what, _, form = variant.rpartition("-")
    if what == "full" and form in PACKAGES:
        convert_by_upstream(backbone, base, form, frames)
    elif form in PACKAGES:
        use_accelerator(backbone, form, frames)
        backbone.accelerate(frames)
    if form in ("fast", "compiled") and not backbone.accelerate(frames):
        raise SystemExit(f"{base} has no faster form")
    if form == "compiled" and not compile_convolutions(backbone.model):
        raise SystemExit(f"{base} has no convolutions that can be compiled")
    nothing = (Controller(), GroupedProducts(nn.ModuleList()))
    if variant.startswith("full"):
        return Trained(backbone, torch.optim.AdamW(backbone.model.parameters(), lr=TINY_LR), *nothing)
    if variant == "two-pass":
        return Trained(backbone, torch.optim.AdamW(wrap_two_pass(backbone), lr=TINY_LR), *nothing)
    options = {"changed": 0.03} if variant.startswith("sparse") else {}
    method = equisparse.make_method(variant.split("-")[0], options)
    attachment = equisparse.attach(backbone.model, method, equisparse.select(backbone.layout(), method.default_targets))
    optimizer = build_optimizer(attachment.deltas.values(), equisparse.TrainingOptions(lr=TINY_LR))
    products = GroupedProducts(nn.ModuleList(attachment.deltas.values()))
    return Trained(backbone, optimizer, attachment.controller(), products)


def convert_by_upstream(
    backbone: equisparse.AbstractBackbone, base: str, accelerator: str, frames: list[Atoms]
) -> None:
    """Rebuild the model with an accelerator of SevenNet's, and see that it gives the same forces to 1 meV/A."""
    from sevenn.util import load_checkpoint

    if not importlib.util.find_spec(package := ACCELERATORS[f"full-{accelerator}"]):
        raise SystemExit(f"full-{accelerator} needs the package {package}")
    batch = [backbone.graph(atoms) for atoms in frames]
    plain = backbone.predict(backbone.collate(batch))[FORCES]
    model = load_checkpoint(base).build_model(**{f"enable_{accelerator}": True})
    model.set_is_batch_data(True)
    backbone.model = model.to(backbone.device)
    error = float((backbone.predict(backbone.collate(batch))[FORCES] - plain).abs().max())
    if not error < LARGEST_ERROR:
        raise SystemExit(f"{accelerator} gives other forces: by {error} eV/A")


def default_variants(device: str, dtype: str) -> list[str]:
    """All variants that this machine can measure."""
    if not device.startswith("cuda"):
        return list(VARIANTS)
    installed = [name for name, package in ACCELERATORS.items() if importlib.util.find_spec(package)]
    everywhere = [name for name in VARIANTS if not name.endswith("-compiled")]
    return [*everywhere, *(name for name in installed if dtype == "float32" or not name.startswith("full"))]


def wrap_two_pass(backbone: equisparse.AbstractBackbone) -> list[nn.Parameter]:
    """Replace every e3nn Linear by a two-pass wrapper; returns what trains."""
    from e3nn.o3 import Linear  # after the backbone, which knows how to import it

    names = [
        name for name, module in backbone.model.named_modules() if type(module) is Linear and module.weight.numel()
    ]
    backbone.model.requires_grad_(False)
    trainable: list[nn.Parameter] = []
    for name in names:
        owner, leaf = parameter_owner(backbone.model, name)
        wrapper = TwoPassLinear(getattr(owner, leaf)).to(backbone.device)
        setattr(owner, leaf, wrapper)
        trainable += [wrapper.delta, wrapper.tau]
    return trainable


def make_step(variant: str, arguments: argparse.Namespace) -> Callable[[], None]:
    """A function that does one whole training step on one fixed batch."""
    frames = equisparse.read_frames(str(arguments.frames))[: arguments.batch_size]
    backbone, optimizer, controller, products = build(
        variant, arguments.base, arguments.device, arguments.dtype, small_pieces(frames, 5.0)
    )
    dataset = FrameDataset(backbone, frames, {})
    loss = Loss.of(equisparse.TrainingOptions())
    numbers = itertools.count()

    def step() -> None:
        optimizer.zero_grad()
        with products.computed():
            loss(*predict(backbone, next(dataset.batches(arguments.batch_size)), training=True)).backward()
        number, total = next(numbers), 4 * arguments.rounds  # so that pruning falls into the rounds that are timed
        controller.before_step(number, total)
        optimizer.step()
        controller.after_step(number, total)
        synchronize(backbone)

    return step


def make_inference(merged: bool, arguments: argparse.Namespace) -> Callable[[], None]:
    """A function that evaluates one batch with the base, or with a merged adapter."""
    backbone = equisparse.load_backbone(arguments.base, device=arguments.device, dtype=arguments.dtype)
    if merged:
        method = equisparse.make_method("soft_threshold")
        attachment = equisparse.attach(
            backbone.model, method, equisparse.select(backbone.layout(), method.default_targets)
        )
        adapter = adapter_of(attachment, base=asdict(backbone.identity), dtype=backbone.dtype, shifts={}, elements=())
        attachment.detach()
        adapter.merge_into(backbone.model)
    dataset = FrameDataset(backbone, equisparse.read_frames(str(arguments.frames))[: arguments.batch_size], {})

    def infer() -> None:
        predict(backbone, next(dataset.batches(arguments.batch_size)))
        synchronize(backbone)

    return infer


def synchronize(backbone: equisparse.AbstractBackbone) -> None:
    """Wait for a GPU."""
    if backbone.device.type == "cuda":
        torch.cuda.synchronize()


def interleaved(functions: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every function in every round, one call each, in an order that rotates."""
    names = list(functions)
    times: dict[str, list[float]] = {name: [] for name in names}
    for function in functions.values():
        function()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = clock()
            functions[name]()
            times[name].append(clock() - start)
    return times


def clock() -> float:
    """Seconds of the processor in a process of one thread, so that other programs do not count; seconds otherwise."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_initialized()
    return time.process_time() if alone else time.perf_counter()


def ratios(times: dict[str, list[float]], reference: str) -> dict[str, dict[str, float]]:
    """Median and quartiles of the ratio to a reference, round by round."""
    base = np.array(times[reference])
    table = {}
    for name, values in times.items():
        low, middle, high = np.percentile(np.array(values) / base, [25, 50, 75])
        table[name] = {"median": round(middle, 4), "q25": round(low, 4), "q75": round(high, 4)}
    return table


def peak_memory(variant: str, arguments: argparse.Namespace) -> float:
    """Peak memory, MB, of a process that does a few steps of one variant: resident, or of the GPU's allocator."""
    words = [sys.executable, __file__, "--only", variant, "--rounds", "4"]
    for name in ("frames", "name", "base", "device", "dtype", "batch_size"):
        words += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return float(output.splitlines()[-1])


def resident_peak() -> float:
    """Largest resident memory of this process, MB (Linux; getrusage would carry over that of the parent)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def report_memory(arguments: argparse.Namespace) -> None:
    """Do a few steps of one variant and print the peak."""
    step = make_step(arguments.only, arguments)
    if arguments.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    for _ in range(arguments.rounds):
        step()
    if arguments.device.startswith("cuda"):
        print(torch.cuda.max_memory_allocated() / 2**20)
    else:
        print(resident_peak())


def main() -> None:
    """Measure, print and append one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--name", required=True, help="data set, as it appears in the results")
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    every = (*VARIANTS, *ACCELERATORS)
    parser.add_argument("--variants", nargs="+", choices=every, help="the first has to be full; all by default")
    parser.add_argument("--only", choices=every, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.only:
        report_memory(arguments)
        return
    variants = arguments.variants or default_variants(arguments.device, arguments.dtype)
    torch.manual_seed(0)
    steps = interleaved({variant: make_step(variant, arguments) for variant in variants}, arguments.rounds)
    inference = interleaved(
        {"base": make_inference(False, arguments), "merged": make_inference(True, arguments)}, arguments.rounds
    )
    with ThreadPoolExecutor(MEMORY_PROCESSES if arguments.device.startswith("cuda") else 1) as pool:
        peaks = pool.map(lambda variant: peak_memory(variant, arguments), variants)
        memory = dict(zip(variants, peaks, strict=True))
    row = row_of(arguments, steps, memory)
    add_row(arguments.results, row | {"merged_inference_over_base": ratios(inference, "base")})


def row_of(arguments: argparse.Namespace, steps: dict[str, list[float]], memory: dict[str, float]) -> dict[str, Any]:
    """Row of results: what was measured, on what, with what."""
    packages = {package for name, package in ACCELERATORS.items() if name in steps}
    return {
        "data": arguments.name,
        "base": Path(arguments.base).name,
        "batch_size": arguments.batch_size,
        "dtype": arguments.dtype,
        "rounds": arguments.rounds,
        "threads": torch.get_num_threads(),
        "step_over_full": ratios(steps, "full"),
        "full_step_seconds": round(float(np.median(steps["full"])), 4),
        "peak_memory_over_full": {name: round(value / memory["full"], 4) for name, value in memory.items()},
        "versions": equisparse.versions(equisparse.load_backbone(arguments.base, device=arguments.device))
        | {package: metadata.version(package) for package in sorted(packages)},
    }


if __name__ == "__main__":
    main()
