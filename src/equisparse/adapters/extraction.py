"""Adapter from a base and a checkpoint that was fine-tuned elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.arithmetic import smaller_format
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.unequal import Unequal, unequal_constants, unequal_properties, unequal_structure
from equisparse.blocks import Block, Layout
from equisparse.errors import AdapterMismatchError, InputError

EXTRACTED = "extracted"
"""Entry of an adapter's metrics that says which checkpoint it was made from."""

_SHOWN = 5
_LORA = "lora_A"


@dataclass(frozen=True)
class Rounding:
    """Weights that base plus stored change does not give exactly.

    ``W + (W' - W)`` is not always W' in floating-point numbers; where W and W' have different signs, no number may
    exist whose sum with W rounds to W'. The nearest sum is stored.

    Parameters
    ----------
    inexact : int
        Number of weights that differ from those of the checkpoint.
    largest : float
        Largest difference, in the unit of the weights.
    """

    inexact: int
    largest: float


def check_same_network(base: AbstractBackbone, finetuned: AbstractBackbone) -> None:
    """Check that two models differ in parameters and reference energies only.

    Raises
    ------
    AdapterMismatchError
        If they differ in anything that an adapter cannot carry; the message names it.
    """
    other = unequal_properties(base, finetuned) or unequal_structure(base.model, finetuned.model)
    if other:
        cause, next_step = _advice(other)
        raise AdapterMismatchError(
            "The fine-tuned checkpoint is another network than the base.",
            given=_listed(other),
            expected=f"elements, cutoff, modules and shapes of {base.identity.source}",
            cause=cause,
            next_step=next_step,
        )
    if constants := unequal_constants(base.model, finetuned.model, base.reference_tensor):
        raise AdapterMismatchError(
            "The fine-tuned checkpoint has other constants than the base, which an adapter cannot carry.",
            given=_listed(constants),
            expected="differences of parameters and reference energies only",
            cause="the trainer computed scales or averages from the new data",
            next_step="fine-tune again with the constants of the base",
        )


def extracted_adapter(
    base: AbstractBackbone, finetuned: AbstractBackbone, origin: Mapping[str, str]
) -> tuple[Adapter, Rounding]:
    """Adapter whose change is the difference of two models that passed `check_same_network`.

    Parameters
    ----------
    base, finetuned : AbstractBackbone
        In one precision.
    origin : mapping of str to str
        ``file`` and ``sha256`` of the fine-tuned checkpoint, for the metrics.

    Raises
    ------
    InputError
        If nothing differs, or the fine-tuned checkpoint has values that are not finite.
    """
    weights = dict(finetuned.model.named_parameters())
    before = dict(base.model.named_parameters())
    changed = {
        name: (before[name].detach().cpu(), weight.detach().cpu())
        for name, weight in weights.items()
        if name != base.reference_tensor and not torch.equal(before[name].detach().cpu(), weight.detach().cpu())
    }
    shifts = _shifts(base.reference_energies, finetuned.reference_energies)
    _check_finite(changed, shifts)
    if not changed and not shifts:
        raise InputError(
            "The fine-tuned checkpoint does not differ from the base.",
            given=f"{origin['file']} and {base.identity.source}, with equal parameters and reference energies",
            cause="the base given twice, or a checkpoint from before the first step",
            next_step="give the checkpoint that the training wrote last",
        )
    changes = {name: addend(*pair) for name, pair in changed.items()}
    rounding = _rounding([(*changed[name], change) for name, change in changes.items()])
    stored_format, stored = smaller_format(changes)
    made = dict(origin) | {"inexact": rounding.inexact, "largest_deviation": rounding.largest}
    adapter = Adapter(
        format=stored_format,
        layout=_with_others(base.layout(), base.model, changes),
        stored=stored,
        shifts=shifts,
        base=vars(base.identity),
        dtype=str(base.dtype).removeprefix("torch."),
        elements=(),
        modality=base.modality,
        metrics={EXTRACTED: made},
    )
    return adapter, rounding


def addend(base: Tensor, target: Tensor) -> Tensor:
    """Number v for which ``base + v``, rounded, is nearest to `target`, entry by entry; zero where both are equal."""
    best = target - base
    for direction in (torch.inf, -torch.inf):
        other = torch.nextafter(best, torch.full_like(best, direction))
        nearer = (base + other - target).abs() < (base + best - target).abs()
        best = torch.where(nearer, other, best)
    return best


def describe_extraction(adapter: Adapter) -> str:
    """File that an adapter was extracted from, in words."""
    try:
        values = cast(Mapping[str, Any], adapter.metrics[EXTRACTED])
        name, digest = str(values["file"]), str(values["sha256"])
    except (TypeError, LookupError):  # a file may say anything
        return "something that its file does not tell"
    shown, short = (text if text.isprintable() else ascii(text) for text in (name, digest[:12]))
    return f"{shown} (sha256 {short}...)"


def _shifts(base: Mapping[int, float], finetuned: Mapping[int, float]) -> dict[int, float]:
    """Reference energies that differ, as shifts by atomic number, eV."""
    return {z: finetuned[z] - energy for z, energy in base.items() if finetuned[z] != energy}


def _check_finite(changed: Mapping[str, tuple[Tensor, Tensor]], shifts: Mapping[int, float]) -> None:
    """Raise InputError if a changed weight or reference energy is not finite."""
    damaged = [name for name, (_, weight) in changed.items() if not bool(weight.isfinite().all())]
    if not all(bool(torch.tensor(shift).isfinite()) for shift in shifts.values()):
        damaged.append("the reference energies")
    if damaged:
        raise InputError(
            "The fine-tuned checkpoint has values that are not finite.",
            given=", ".join(damaged[:_SHOWN]),
            cause="a training that diverged",
            next_step="give a checkpoint from before that",
        )


def _rounding(triples: list[tuple[Tensor, Tensor, Tensor]]) -> Rounding:
    """Count of inexact weights, from base, target and change of each tensor."""
    deviations = [(base + change - target).abs() for base, target, change in triples]
    inexact = sum(int(deviation.count_nonzero()) for deviation in deviations)
    return Rounding(inexact, max((float(deviation.max()) for deviation in deviations), default=0.0))


def _with_others(layout: Layout, model: nn.Module, changed: Mapping[str, Tensor]) -> Layout:
    """Layout with one more block for each changed parameter that is no path weight, such as roots of Bessel functions.

    Such a parameter multiplies or shifts invariants, so it counts as scalar and even.
    """
    blocks, shapes = list(layout.blocks), dict(layout.tensor_shapes)
    for name, parameter in model.named_parameters():
        if name in changed and name not in shapes:
            blocks.append(Block(name, "other", 0, 1, "other", -1, 0, (1, parameter.numel())))
            shapes[name] = tuple(parameter.shape)
    return Layout(tuple(blocks), shapes, layout.total_parameters)


def _listed(unequal: list[Unequal]) -> str:
    """The first differences, in one line."""
    more = f"; and {len(unequal) - _SHOWN} more differences" if len(unequal) > _SHOWN else ""
    return "; ".join(map(str, unequal[:_SHOWN])) + more


def _advice(unequal: list[Unequal]) -> tuple[str, str]:
    """Likely cause and next step for two networks that differ."""
    names = {one.what for one in unequal}
    if any(_LORA in name for name in names):
        return "low-rank layers of mace.modules.lora that are not merged", (
            "merge them: `from mace.modules.lora import merge_lora_weights; "
            "torch.save(merge_lora_weights(torch.load(FILE, weights_only=False)), NEW_FILE)`"
        )
    if "elements" in names:
        return "a trainer that keeps only the elements of its data", (
            "fine-tune again with all elements of the base (mace_run_train: --foundation_model_elements=True)"
        )
    return "another base, or a fine-tune that changed the network", "give the base that the fine-tune started from"
