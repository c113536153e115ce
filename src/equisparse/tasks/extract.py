"""Make an adapter out of a checkpoint that was fine-tuned elsewhere."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ase import Atoms

from equisparse.adapters.adapter import Adapter, ChangeCount, count_changes
from equisparse.adapters.extraction import Rounding, check_same_network, extracted_adapter
from equisparse.adapters.file import save_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import guess, load_backbone
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.deploy.merge import MergeCheck, compare
from equisparse.errors import BackboneError, InputError, StateError
from equisparse.files import make_folder
from equisparse.inference.structures import check_structures
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, load_structures
from equisparse.interpret.changes import ChangeTotals, aggregate, change_table
from equisparse.robustness.structures import probe_structures

if TYPE_CHECKING:
    from typing_extensions import Unpack

_COMPARED_FRAMES = 5


@dataclass(frozen=True)
class Extraction:
    """An adapter that was made out of a base and a fine-tuned checkpoint.

    Parameters
    ----------
    adapter : Adapter
    path : Path or None
        Its file, if one was asked for.
    check : MergeCheck
        Largest differences between base plus adapter and the checkpoint in the upstream's calculator.
    changed : ChangeCount
        Number of weights that differ; reference energies are not counted.
    per_role, per_degree : tuple of ChangeTotals
        Changes per role in the network, and per degree l.
    rounding : Rounding
        Weights of the checkpoint that base plus adapter does not give bit for bit.
    left_out : str or None
        What differs and is no part of the chosen modality, as a sentence.
    kept_elements : tuple of int
        Atomic numbers that the base knows and the checkpoint does not: their weights stay those of the base.
    """

    adapter: Adapter
    path: Path | None
    check: MergeCheck
    changed: ChangeCount
    per_role: tuple[ChangeTotals, ...]
    per_degree: tuple[ChangeTotals, ...]
    rounding: Rounding
    left_out: str | None
    kept_elements: tuple[int, ...] = ()


def extract(
    base: Base,
    finetuned: str | Path,
    *,
    out: str | Path | None = None,
    frames: Frames | None = None,
    **load_options: "Unpack[LoadOptions]",
) -> Extraction:
    """Make an adapter out of a native checkpoint that anyone fine-tuned, and the base that the fine-tune started from.

    Differences of parameters become the change, and differences of the reference energies become shifts. The base
    with this adapter is compared with the checkpoint in the upstream's own calculator.

    Parameters
    ----------
    base : str, Path or AbstractBackbone
        Base model; untouched afterwards.
    finetuned : str or Path
        File of the fine-tuned checkpoint.
    out : str or Path, optional
        Adapter file to write.
    frames : files, globs, a packaged set, Atoms or labelled frames, optional
        Structures to compare on; the first five count. By default the packaged set ``demo``, or small molecules for a
        base that does not know its elements.
    **load_options
        How the base is loaded, see `equisparse.inputs.base.LoadOptions`; the checkpoint is loaded in the same way.

    Raises
    ------
    AdapterMismatchError
        If the checkpoint differs from the base in something that an adapter cannot carry.
    InputError
        If the checkpoint is no file, equals the base, or has values that are not finite.
    StateError
        If base plus adapter does not give what the checkpoint gives.
    """
    path = _file(finetuned)
    backbone = loaded_base(base, load_options)
    backbone.check_untouched()
    tuned = _loaded(path, backbone)
    whole = tuned.with_elements_of(backbone)
    check_same_network(backbone, whole)
    origin = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    adapter, rounding = extracted_adapter(backbone, whole, origin)
    check = _checked(backbone, adapter, tuned, path, _structures(tuned, frames))
    rows = change_table(adapter)
    extraction = Extraction(
        adapter=adapter,
        path=None if out is None else Path(out),
        check=check,
        changed=count_changes(adapter, backbone.model),
        per_role=tuple(aggregate(rows, ("role",))),
        per_degree=tuple(aggregate(rows, ("l",))),
        rounding=rounding,
        left_out=_left_out(backbone, whole, adapter),
        kept_elements=tuple(sorted(backbone.elements - tuned.elements)),
    )
    if extraction.path is not None:
        make_folder(extraction.path.parent)
        save_adapter(adapter, extraction.path)
    return extraction


def _file(finetuned: str | Path) -> Path:
    """File of the checkpoint; InputError for the name of a published model."""
    path = Path(finetuned)
    if not path.is_file():
        raise InputError(
            "The fine-tuned checkpoint is no file.",
            given=str(finetuned),
            expected="BASE FINETUNED: a base by name or file, and the file that the fine-tune wrote",
            cause="a wrong path, or base and checkpoint swapped",
            next_step="give the base first, then the file of the checkpoint",
        )
    return path


def _loaded(path: Path, base: AbstractBackbone) -> AbstractBackbone:
    """The fine-tuned model, through the backbone and in the precision of the base."""
    try:
        kind = guess(str(path))
    except BackboneError:
        kind = base.identity.backbone
    if kind != base.identity.backbone:
        raise InputError(
            "Base and fine-tuned checkpoint belong to different upstreams.",
            given=f"{path.name}, a file of {kind}",
            expected=f"a file of {base.identity.backbone}, as {base.identity.source}",
            next_step="give the base that the fine-tune started from",
        )
    dtype = str(base.dtype).removeprefix("torch.")
    return load_backbone(str(path), backbone=kind, device=str(base.device), dtype=dtype, modality=base.modality)


def _structures(tuned: AbstractBackbone, frames: Frames | None) -> list[Atoms]:
    """Structures to compare on, of elements that the fine-tuned model knows."""
    if frames is not None:
        given = load_structures(frames)[:_COMPARED_FRAMES]
        check_structures(tuned, given)
        return given
    demo = load_structures("demo:valid")[:_COMPARED_FRAMES]
    if all(tuned.elements.issuperset(atoms.numbers.tolist()) for atoms in demo):
        return demo
    known = probe_structures(tuned.elements, "measure")
    chosen = [atoms for atoms in known if atoms.info["kind"] == "molecule"] or known
    if not chosen:
        raise InputError(
            "No packaged structure consists of elements of the checkpoint.",
            given=tuned.identity.source,
            next_step="give structures to compare on with --frames",
        )
    return chosen[:: max(1, len(chosen) // _COMPARED_FRAMES)][:_COMPARED_FRAMES]


def _left_out(base: AbstractBackbone, tuned: AbstractBackbone, adapter: Adapter) -> str | None:
    """Reference energies of other modalities that differ, as a sentence; None if there are none."""
    before, after = (backbone.model.state_dict()[base.reference_tensor] for backbone in (base, tuned))
    slots = {base.reference_slots[z] for z in adapter.shifts}
    others = int((before != after).sum()) - len(slots)
    return f"{others} reference energies of other modalities differ and stay in the checkpoint" if others > 0 else None


def _checked(
    base: AbstractBackbone, adapter: Adapter, tuned: AbstractBackbone, path: Path, structures: Sequence[Atoms]
) -> MergeCheck:
    """Compare base plus adapter with the checkpoint; StateError if they differ."""
    with adapter.applied(base.model):
        check = compare(AdaptedCalculator(base, adapter.shifts), tuned, path, structures)
    if not (check.equal or check.only_rounding):  # a file in single precision may hold large energies
        raise StateError(
            "Base and extracted adapter do not give what the fine-tuned checkpoint gives.",
            given=str(check),
            cause="a checkpoint that differs from the base in something besides weights and reference energies",
            next_step="try --dtype float64 if the checkpoint is in double precision; otherwise please report it",
        )
    return check
