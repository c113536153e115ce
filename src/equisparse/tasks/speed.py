"""Faster forms of the base before a fine-tune: upstream's kernels, the rewritten form, compiled convolutions."""

import math
import time
from collections.abc import Sequence

import torch
from ase import Atoms

from equisparse.backbones.accelerators import use_accelerator
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.e3nn.compiled import compilable, compile_convolutions
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.frames import LabelledFrame
from equisparse.errors import EquisparseError
from equisparse.inference.memory import is_out_of_memory
from equisparse.inputs.splits import small_pieces
from equisparse.tasks.listener import Listener
from equisparse.training.options import TrainingOptions

WORTH_COMPILING = 30.0
"""Seconds of training steps that are worth a compilation, which takes about 5 s, once on a machine."""
_FEWEST_STEPS = 20
"""Steps of a run that is too short for its steps to be measured."""
_MEASURED_ATOMS = 32
"""Approximate number of atoms in the step that is measured."""


def speed_up(
    config: FinetuneConfig,
    options: TrainingOptions,
    backbone: AbstractBackbone,
    frames: Sequence[LabelledFrame],
    listener: Listener,
) -> None:
    """Use an accelerator, the faster form and compiled convolutions, each after a self-check, in place.

    Parameters
    ----------
    config : FinetuneConfig
    options : TrainingOptions
        Resolved options.
    backbone : AbstractBackbone
        Base to which nothing is attached.
    frames : sequence of LabelledFrame
        Training frames; the self-checks use small pieces of them.
    listener : Listener
        Is told what is used.
    """
    pieces = small_pieces(frames, backbone.cutoff)
    accelerator = use_accelerator(backbone, config.accelerator, pieces)
    if accelerator is not None:
        listener.notice("speed", f"{accelerator} in the convolutions; a self-check gave equal predictions")
    if config.fast and pieces and backbone.accelerate(pieces):
        listener.notice("speed", "faster form of the base; a self-check gave equal predictions")
    if config.compile == "on" or (config.compile == "auto" and _is_long(options, backbone, frames, pieces)):
        listener.notice("speed", _compiled(backbone))


def _is_long(
    options: TrainingOptions, backbone: AbstractBackbone, frames: Sequence[LabelledFrame], pieces: Sequence[Atoms]
) -> bool:
    """Return whether the steps of a run on the CPU will take long enough for a compilation to pay."""
    steps = options.rounds(options.steps_per_epoch(len(frames))).total
    if backbone.device.type != "cpu" or not compilable(backbone.model) or steps < _FEWEST_STEPS:
        return False
    _seconds_of_step(backbone, pieces[:1])  # the first pass of a model is slower than all others
    return steps * options.batch_size * seconds_per_frame(backbone, frames) > WORTH_COMPILING


def seconds_per_frame(backbone: AbstractBackbone, frames: Sequence[LabelledFrame]) -> float:
    """Measure the time of a training step of the base on the first frames, in seconds per frame.

    Infinite if a frame does not fit into memory.
    """
    atoms, chosen = 0, []
    for frame in frames:
        chosen.append(frame.atoms)
        atoms += frame.n_atoms
        if atoms >= _MEASURED_ATOMS:
            break
    return _seconds_of_step(backbone, chosen) / len(chosen)


def _seconds_of_step(backbone: AbstractBackbone, structures: Sequence[Atoms]) -> float:
    """Time of a training step of the base on a batch of structures, in seconds; infinite without enough memory."""
    batch = backbone.collate([backbone.graph(atoms) for atoms in structures])
    start = time.perf_counter()
    try:
        prediction = backbone.predict(batch, training=True)
        loss = torch.stack([value.square().mean() for value in prediction.values()]).sum()
        weights = [parameter for parameter in backbone.model.parameters() if parameter.requires_grad]
        torch.autograd.grad(loss, weights, allow_unused=True)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return math.inf
    finally:
        backbone.model.eval()
    return time.perf_counter() - start


def _compiled(backbone: AbstractBackbone) -> str:
    """Compile the convolutions if possible, and say in one line what happened."""
    if backbone.device.type != "cpu":
        return "convolutions are not compiled: that works on a CPU only; on a GPU use --accelerator"
    try:
        count = compile_convolutions(backbone.model)
    except EquisparseError as error:
        return "convolutions are not compiled: " + " ".join(str(error).split())
    if not count:
        return "convolutions are not compiled: the base has no faster form"
    return f"{count} compiled convolutions; a self-check gave equal numbers"
