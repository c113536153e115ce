"""Fine-tune an ensemble, and calibrate its spread on frames that no member was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equisparse.adapters.ensemble_file import Ensemble, Scales, read_ensemble, write_ensemble
from equisparse.adapters.file import load_adapter
from equisparse.backbones.device import resolve_device
from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.config.keywords import FinetuneOptions, shows_options
from equisparse.deploy.calculator import check_adapter
from equisparse.errors import InputError
from equisparse.files import make_folder
from equisparse.inputs.arguments import configuration, store_frames
from equisparse.inputs.base import configured_base
from equisparse.inputs.frames import Frames
from equisparse.inputs.method import method_for
from equisparse.inputs.splits import read_splits
from equisparse.inputs.start import available_layout, starting_adapter
from equisparse.interpret.calibration import Floats, bins, judge, spread_scale
from equisparse.methods.base import AbstractMethod
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.report.calibration import spread_title
from equisparse.report.paper.figures import reliability, save
from equisparse.run.files import EnsembleFolder, RunFolder
from equisparse.run.folder import Run
from equisparse.run.predictions import SplitPredictions, load_predictions
from equisparse.run.record import read_record
from equisparse.tasks.finetune import finetune_config
from equisparse.tasks.listener import Listener
from equisparse.tasks.resume import check_free, check_inputs, start_or_resume
from equisparse.training.checkpoints import check_resumable
from equisparse.training.group import Group, process_group

if TYPE_CHECKING:
    from typing_extensions import Unpack

FITTED_ON = "valid"
"""Split that the scales are fitted on: it chose the best epoch, but no member was trained on it."""
_CALIBRATED = (ENERGY, FORCES, STRESS)
"""Quantities whose spread is calibrated: the fields of `equisparse.adapters.ensemble_file.Scales`."""


@dataclass(frozen=True)
class Deviations:
    """Errors of the mean of the members, and their sample standard deviations, for one quantity and split."""

    errors: Floats
    spreads: Floats


@dataclass(frozen=True)
class EnsembleRun:
    """A finished ensemble.

    Parameters
    ----------
    folder : Path
        Folder of the ensemble; `equisparse.calculator` takes it in place of an adapter.
    members : tuple of Run
    """

    folder: Path
    members: tuple[Run, ...]

    @cached_property
    def ensemble(self) -> Ensemble:
        """Adapters of the members, the scales of their spread, and how well the scaled spread fits."""
        return read_ensemble(self.folder)


def folder_of(ensemble: str | Path | EnsembleRun) -> Path:
    """Folder of an ensemble."""
    return ensemble.folder if isinstance(ensemble, EnsembleRun) else Path(ensemble)


@shows_options
def ensemble(
    train: Frames,
    *,
    members: int = 5,
    valid: Frames | None = None,
    test: Frames | None = None,
    replay: Frames | None = None,
    base: str | Path = "7net-0",
    method: str | AbstractMethod | None = None,
    out: str | Path = "equisparse-ensemble",
    listener: Listener | None = None,
    **options: "Unpack[FinetuneOptions]",
) -> EnsembleRun:
    """Fine-tune several members that differ in their seed, and calibrate their spread.

    Parameters
    ----------
    train, valid, test, replay, method, listener, **options
        As in `equisparse.finetune`. The seed is that of the first member; ``resume=True`` keeps finished members.
        The processes of ``devices`` and ``num_nodes`` share the members; each member is trained by one of them.
    members : int
        Number of members, at least two.
    base : str or Path
        Name or file of the base model.
    out : str or Path
        Folder of the ensemble; each member is a run in a folder of its own.

    Raises
    ------
    EquisparseError
        If any input cannot be used; before the first training starts.
    """
    parts = {"train": train, "valid": valid, "test": test, "replay": replay}
    chosen = {**options, "out": str(out), "members": members}
    config = configuration(EnsembleConfig, parts, base, method, chosen)
    with process_group(config) as group:
        if group.is_first:
            begun = [member for member in _prepare(config) if _begun(member)]
            config = store_frames(replace(config, resume=config.resume and bool(begun)), parts)
        return _ensemble(group.of_first(config), group, listener)


def ensemble_config(config: EnsembleConfig, *, listener: Listener | None = None) -> EnsembleRun:
    """Fine-tune all members of an ensemble from a configuration, and calibrate their spread.

    With ``config.resume``, finished members are kept, unless they had fewer epochs, and an interrupted member
    continues. All members that have begun are compared with the configuration before any of them is trained. Several
    processes share the members; each member is trained by one process, as in an ensemble on one process.

    Raises
    ------
    EquisparseError
        If any input cannot be used; before the first training starts.
    """
    with process_group(config) as group:
        return _ensemble(config, group, listener)


def _ensemble(config: EnsembleConfig, group: Group, listener: Listener | None) -> EnsembleRun:
    """Train the members that belong to this process; the first one calibrates their spread when all are done."""
    group.check_devices(resolve_device(config.device))
    members, is_finished = group.of_first(_checked(config) if group.is_first else ([], []))
    shown = listener if listener and group.is_first else Listener()
    left = [number for number, finished in enumerate(is_finished) if not finished]
    for number, member in enumerate(members):
        if is_finished[number]:
            shown.member_started(number, len(members), member.seed, finished_before=True)
        elif group.owns(left.index(number)):
            shown.member_started(number, len(members), member.seed, finished_before=False)
            finetune_config(_continued(member), listener=shown)
    folder = Path(config.out)
    group.gathered(None)  # wait for the members of the other processes
    if group.is_first:
        calibrate(folder, [Path(member.out).name for member in members])
    group.gathered(None)  # wait for the file of the ensemble
    return EnsembleRun(folder, tuple(Run(Path(member.out)) for member in members))


def _checked(config: EnsembleConfig) -> tuple[list[FinetuneConfig], list[bool]]:
    """Configurations of all members, after all checks, and which of them are finished."""
    members = _prepare(config)
    if config.resume:
        members = _with_epochs(members)
        _check_begun(members)
    return members, [_is_finished(member) for member in members]


def _prepare(config: EnsembleConfig) -> list[FinetuneConfig]:
    """Configurations of all members, whose folders are made or, if the ensemble is not resumed, refused.

    Raises
    ------
    InputError
        If members cannot be trained as the configuration asks for, or a folder holds a run.
    """
    start = starting_adapter(config)
    if config.spin or (start is not None and start.spins is not None):
        raise InputError(
            "Members of an ensemble cannot have spin layers.",
            given="--spin" if config.spin else f"{config.start}, an adapter with a spin layer",
            cause="members share one model in memory, and a spin layer is a model of its own",
            next_step="leave --spin out, or train single runs with `equisparse finetune --spin --seed N`",
        )
    check_inputs(config)
    members = [config.member(number) for number in range(config.members)]
    for member in members if not config.resume else ():
        check_free(RunFolder(Path(member.out)))
    for member in members:
        make_folder(Path(member.out))
    return members


def _with_epochs(members: Sequence[FinetuneConfig]) -> list[FinetuneConfig]:
    """Members with the number of epochs that the ensemble was started with, unless one is given."""
    records = [read_record(RunFolder(Path(member.out)).record) for member in members]
    epochs = max((record.epochs for record in records if record is not None), default=None)
    return [replace(member, epochs=member.epochs or epochs or None) for member in members]


def _is_finished(member: FinetuneConfig) -> bool:
    """Return whether a member has all its results, for the number of epochs asked for."""
    files = RunFolder(Path(member.out))
    record = read_record(files.record)
    longer = record is not None and member.epochs is not None and member.epochs > record.epochs
    return files.report.exists() and not longer  # the report is written last


def _check_begun(members: Sequence[FinetuneConfig]) -> None:
    """Check that base, frames and options are those of all members that have begun; see `start_or_resume`."""
    begun = {member.out: member for member in members if _begun(member) or _is_finished(member)}
    if not begun:
        return
    splits, backbone = read_splits(members[0]), configured_base(members[0])
    available = available_layout(backbone, starting_adapter(members[0]))
    method, layout = method_for(members[0], available, splits.train)
    for out, member in begun.items():
        if _begun(member):
            check_resumable(Path(out), backbone)
        else:  # its checkpoints were deleted
            check_adapter(backbone, load_adapter(RunFolder(Path(out)).adapter))
        start_or_resume(replace(member, resume=True), splits, backbone, method, layout, Listener())


def _continued(member: FinetuneConfig) -> FinetuneConfig:
    """Configuration of a member, which is resumed only if it has begun."""
    return replace(member, resume=member.resume and _begun(member))


def _begun(member: FinetuneConfig) -> bool:
    """Return whether a member has a checkpoint."""
    return RunFolder(Path(member.out)).last_checkpoint.exists()


def calibrate(folder: Path, members: Sequence[str]) -> None:
    """Fit scales on the validation frames, test them on all splits that were not trained on, and write both.

    Raises
    ------
    InputError
        If the members do not belong together, were evaluated on different frames, or their spread cannot be calibrated.
    """
    files = EnsembleFolder(folder)
    runs = {name: files.member(name) for name in members}
    Ensemble({name: load_adapter(run.adapter) for name, run in runs.items()})
    names = [name for name in runs[members[0]].predicted_splits() if name != "train"]
    splits = {name: deviations([run.predictions_of(name) for run in runs.values()]) for name in names}
    scales = {quantity: spread_scale(values.errors, values.spreads) for quantity, values in splits[FITTED_ON].items()}
    numbers = {name: _calibration(quantities, scales) for name, quantities in splits.items()}
    shown = "test" if "test" in splits else FITTED_ON
    save(reliability(list(_panels(splits[shown], scales, numbers[shown])), label=shown), files.reliability)
    write_ensemble(folder, list(members), Scales(**scales), {"fitted_on": FITTED_ON, "splits": numbers})


def _calibration(deviations: Mapping[str, Deviations], scales: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Agreement of scaled spreads with errors, by quantity, as plain values; only for quantities with a scale."""
    scaled = {name: deviations[name] for name in scales if name in deviations}
    return {name: asdict(judge(values.errors, scales[name] * values.spreads)) for name, values in scaled.items()}


def deviations(files: Sequence[Path]) -> dict[str, Deviations]:
    """Errors and spreads of every quantity with labels, from the predictions of all members for one split.

    Raises
    ------
    InputError
        If they are not predictions of the same frames.
    """
    splits = [load_predictions(file) for file in files]
    first = splits[0]
    if not all(_same_frames(first, other) for other in splits[1:]):
        raise InputError(
            "The members of the ensemble were evaluated on different frames.",
            given=", ".join(map(str, files)),
            expected="the same validation frames",
            cause="members that were trained with other files or another split",
        )
    by_quantity = {}
    for quantity in _CALIBRATED:
        if quantity not in first.labels:
            continue
        values = np.stack([split.per_atom(quantity, split.after[quantity]) for split in splits])
        errors = values.mean(0) - first.per_atom(quantity, first.labels[quantity])
        if np.isfinite(errors).any():
            by_quantity[quantity.name] = Deviations(errors, np.asarray(values.std(0, ddof=1)))
    return by_quantity


def _same_frames(first: SplitPredictions, other: SplitPredictions) -> bool:
    """Tell whether two members were evaluated on the same labelled structures."""
    structures = all(
        np.array_equal(getattr(first, name), getattr(other, name)) for name in ("n_atoms", "numbers", "positions")
    )
    return structures and all(
        np.array_equal(first.labels[quantity], other.labels[quantity], equal_nan=True) for quantity in (ENERGY, FORCES)
    )


def _panels(
    deviations: Mapping[str, Deviations], scales: Mapping[str, float], numbers: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, list[tuple[float, float]], list[tuple[float, float]], str]]:
    """Panels of the reliability figure."""
    for quantity, row in numbers.items():
        (unit, factor), values = spread_title(quantity), deviations[quantity]
        raw, scaled = (
            bins(factor * values.errors, factor * scale * values.spreads) for scale in (1.0, scales[quantity])
        )
        text = (
            f"scale {scales[quantity]:.2f}\nSpearman {row['spearman']:.2f}\nmiscalibration {row['miscalibration']:.3f}"
        )
        yield unit, raw, scaled, text
