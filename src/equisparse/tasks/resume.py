"""A resumed run is bound to the frames and options that it was started with."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path

from equisparse.backbones.base import AbstractBackbone
from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.read import read_config
from equisparse.data.find import find_files
from equisparse.data.frames import LabelledFrame
from equisparse.data.identity import frame_digest
from equisparse.data.split import FrameSplits
from equisparse.data.spool import Joined, selected
from equisparse.errors import EquisparseError, InputError
from equisparse.files import make_folder
from equisparse.inputs.method import configured_method
from equisparse.inputs.splits import PROBE, read_kept
from equisparse.methods.base import AbstractMethod
from equisparse.methods.registry import make_method
from equisparse.options import flag
from equisparse.run.files import RunFolder
from equisparse.run.record import RunRecord, read_record
from equisparse.tasks.listener import Listener
from equisparse.training.checkpoints import require_checkpoint
from equisparse.training.epochs import read_curve
from equisparse.training.loggers import check_logger
from equisparse.training.options import TrainingOptions
from equisparse.wording import agreeing, counted

_FREE = ("epochs", "patience", "logger", "workers", "cache", "checkpoint_minutes")
"""Training options that a resumed run may change; more epochs pass."""
_ALSO = (
    "bootstrap",
    "curve",
    "dtype",
    "modality",
    "start",
    "spin",
    "spin_input",
    "spin_orbit",
    "spin_channels",
    "spin_cutoff",
    "moments_on",
)
"""Options outside of the training options that determine its course."""
_SHORT = {"changed": "changed", "value_bytes": "budget", "regime": "regime"}
"""Options of methods that have a short form -> its name."""
_SHOWN = 4


def prepare_folder(config: FinetuneConfig) -> Path:
    """Make the folder of the results; refuse one that holds a run, or, for a run that is resumed, one without it.

    What is cheap to check in the configuration is checked before.

    Raises
    ------
    InputError
        If the folder holds a run already, a file of frames does not exist, or the method has no such option.
    StateError
        If there is no checkpoint to resume from.
    """
    check_inputs(config)
    folder = make_folder(Path(config.out))
    if config.resume:
        require_checkpoint(folder)
    else:
        check_free(RunFolder(folder))
    return folder


def check_inputs(config: FinetuneConfig) -> None:
    """Check that the files of frames exist, and that the method has the options given, without reading anything.

    Raises
    ------
    EquisparseError
        If they do not.
    """
    for names in (config.train, config.valid, config.test, config.replay):
        if files := [name for name in names or () if name != PROBE]:
            find_files(files)
    if config.method is not None:
        make_method(config.method, config.method_options)
    check_logger(config)


def check_free(files: RunFolder) -> None:
    """Check that a folder holds neither a finished run nor one that can be continued.

    Raises
    ------
    InputError
        If it does; the message says which.
    """
    if files.adapter.exists():
        raise InputError(
            "The output folder holds a run already.",
            given=f"{files.path} with {files.adapter.name}",
            expected="a new or empty folder",
            next_step="choose another --out, or train that run for more epochs with --resume",
        )
    if files.last_checkpoint.exists():
        done, started = len(read_curve(files.curve)), read_record(files.record)
        raise InputError(
            "The output folder holds a run that was interrupted.",
            given=f"{files.path}, stopped after epoch {done}" + (f" of {started.epochs}" if started else ""),
            expected="a new or empty folder",
            next_step=f"continue it with --resume; or, to start again, delete {files.checkpoints} or choose another "
            "--out",
        )


def start_or_resume(
    config: FinetuneConfig,
    splits: FrameSplits,
    backbone: AbstractBackbone,
    method: AbstractMethod,
    layout: Layout,
    listener: Listener,
) -> tuple[FrameSplits, TrainingOptions, RunRecord]:
    """Splits, resolved options and record of a training; those of the run in its folder if it is resumed.

    Parameters
    ----------
    config : FinetuneConfig
    splits : Splits of LabelledFrame
        As read, before labels are selected.
    backbone : AbstractBackbone
    method, layout
        Resolved method, and the tensors that it changes.
    listener : Listener
        Is told what a resumed run does differently.

    Raises
    ------
    InputError
        If a run is resumed with other frames or options; nothing was written.
    """
    folder = Path(config.out)
    started = _started(config, splits, backbone) if config.resume else None
    if started is not None and started.frames:
        splits = split_as_started(folder, started, splits, drawn=config.valid is None)
    options = config.training.resolved(len(splits.train), method.learning_rate)
    if started is not None and started.epochs and config.epochs is config.max_steps is None:
        options = replace(options, epochs=started.epochs)
    replayed = read_kept(config, backbone, splits.train) if config.replay else []
    record = record_of(config, splits, replayed, method, layout, options)
    if started is not None:
        check_options(folder, started, record)
    if started is not None and started.frames:
        check_frames(folder, "replay", [started.frames.get("replay", ())], replayed)
    if config.resume:
        for text in _remarks(started, record, options):
            listener.notice("resume", text)
    return splits, options, record


def _started(config: FinetuneConfig, splits: FrameSplits, backbone: AbstractBackbone) -> RunRecord | None:
    """Record of a run; for one of an earlier version, the options of its ``config.yaml`` if that can be read."""
    files = RunFolder(Path(config.out))
    if (record := read_record(files.record)) is not None:
        return record
    try:
        before = read_config(files.config)
        method, layout = configured_method(before, backbone.layout())
    except EquisparseError:
        return None
    options = before.training.resolved(len(splits.train), method.learning_rate)
    return replace(record_of(before, FrameSplits([], [], []), [], method, layout, options), frames={})


def _remarks(started: RunRecord | None, now: RunRecord, options: TrainingOptions) -> Iterator[str]:
    """State what a resumed run does differently, and what could not be checked."""
    if started is None or not started.frames:
        yield (
            "this run has no record of its frames, because an earlier version started it: they are not compared with "
            "those given now"
        )
    if started is not None and now.epochs > started.epochs:
        text = f"{counted(now.epochs, 'epoch')} in place of {started.epochs}"
        if options.optimizer != "schedulefree":
            text += (
                f"; from here on the learning rate follows its course over {counted(now.epochs, 'epoch')}, so it "
                "rises above that "
                f"over {counted(started.epochs, 'epoch')}. The best epoch so far is kept unless a later one is better"
            )
        yield text


def record_of(
    config: FinetuneConfig,
    splits: FrameSplits,
    replayed: Sequence[LabelledFrame],
    method: AbstractMethod,
    layout: Layout,
    options: TrainingOptions,
) -> RunRecord:
    """Record of what a training starts with.

    Parameters
    ----------
    config : FinetuneConfig
    splits : Splits of LabelledFrame
        As read, before labels are selected.
    replayed : sequence of LabelledFrame
        Structures that ``--replay`` names; empty without it.
    method, layout
        Resolved method, and the tensors that it changes.
    options : TrainingOptions
        Options with a number in place of every default.
    """
    values = {field.name: getattr(options, field.name) for field in fields(TrainingOptions)}
    values |= {name: getattr(config, name) for name in _ALSO}
    if config.valid is None:
        values["valid_fraction"] = config.valid_fraction
        values["split_seed"] = config.seed if config.split_seed is None else config.split_seed
    values |= {"method": method.name, "targets": list(layout.tensors)}
    values |= {_SHORT.get(name, f"method_options.{name}"): value for name, value in method.options().items()}
    frames = {name: tuple(map(frame_digest, part)) for name, part in [*splits.items(), ("replay", replayed)]}
    return RunRecord(options.epochs or 0, {name: values[name] for name in values if name not in _FREE}, frames)


def check_options(folder: Path, started: RunRecord, now: RunRecord) -> None:
    """Check that the options of a resumed run are those that it was started with; more epochs pass.

    Raises
    ------
    InputError
        If options differ; the message names them.
    """
    names = sorted(_differing(started.options, now.options))
    given = [_stated(name, now.options) for name in names]
    expected = [_stated(name, started.options) for name in names]
    if 0 < now.epochs < started.epochs:
        given.append(f"--epochs {now.epochs}")
        expected.append(f"--epochs {started.epochs} or more")
    if given:
        raise InputError(
            "The run was started with other options, so it cannot be resumed with these. Nothing was written.",
            given=", ".join(given),
            expected=", ".join(expected),
            cause="options that are not given have their defaults, also with --resume",
            next_step=f"resume with --config {folder}/config.yaml --out {folder} --resume, "
            "or start a new run in another --out",
        )


def split_as_started(folder: Path, started: RunRecord, splits: FrameSplits, *, drawn: bool) -> FrameSplits:
    """Splits of a resumed run, with the same frames in the same parts and order as when it was started.

    Parameters
    ----------
    folder : Path
    started : RunRecord
    splits : Splits of LabelledFrame
        As read now.
    drawn : bool
        Whether the validation frames were split off from the training frames.

    Raises
    ------
    InputError
        If the frames are others.
    """
    parts = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    given = {name: [frame_digest(frame) for frame in part] for name, part in parts.items()}
    known = {name: list(started.frames.get(name, ())) for name in parts}
    joined = (("train", "valid"), ("test",)) if drawn else (("train",), ("valid",), ("test",))
    for names in joined:
        frames = Joined([parts[name] for name in names])
        check_frames(folder, " and ".join(names), [known[name] for name in names], frames)
    together = Joined(list(parts.values()))
    index_of = {digest: index for index, digest in enumerate(chain.from_iterable(given.values()))}
    indices = {name: [index_of[digest] for digest in known[name]] for name in parts}
    return FrameSplits(*(selected(together, indices[name]) for name in parts))


def check_frames(folder: Path, what: str, known: Iterable[Iterable[str]], frames: Sequence[LabelledFrame]) -> None:
    """Check that frames are those that a run was started with.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    what : str
        Name of the frames, such as ``train``.
    known : iterable of iterable of str
        Digests of the frames of the run.
    frames : sequence of LabelledFrame
        Frames given now.

    Raises
    ------
    InputError
        If they are others.
    """
    before = Counter(digest for part in known for digest in part)
    now = Counter(map(frame_digest, frames))
    if before == now:
        return
    new = [f"{frame.source}, frame {frame.index}" for frame in frames if frame_digest(frame) not in before]
    shown = ", ".join(new[:_SHOWN]) + (" ..." if len(new) > _SHOWN else "")
    gone = (before - now).total()
    missing = agreeing(gone, "is missing", "are missing")
    raise InputError(
        f"The run was started on other {what} frames, so it cannot be resumed on these. Nothing was written.",
        given=f"{counted(now.total(), 'frame')}, {(now - before).total()} of them not in the run"
        + (f": {shown}" if new else ""),
        expected=f"the {counted(before.total(), 'frame')} of the run; {gone} of them {missing}",
        cause="the file has changed since, or other names, units or signs of labels are given",
        next_step=f"give the frames of the run in {folder}; to train on others, start a new run in another --out",
    )


def _differing(started: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    """Names of the options that differ; if the method differs, its options and tensors are not compared.

    An option that only one of both has belongs to another version of this package.
    """
    same_method = started.get("method") == now.get("method")
    for name in started.keys() & now.keys():
        of_method = name == "targets" or name in _SHORT.values() or name.startswith("method_options.")
        if (same_method or not of_method) and _plain(started[name]) != _plain(now[name]):
            yield name


def _plain(value: object) -> object:
    """Value as it is after a round trip through JSON."""
    return list(value) if isinstance(value, tuple) else value


def _stated(name: str, options: Mapping[str, object]) -> str:
    """Option and value, as on the command line."""
    value = options.get(name)
    if name == "targets" and isinstance(value, list):
        return f"--targets (which select {counted(len(value), 'tensor')}: {', '.join(map(str, value[:3]))} ...)"
    if isinstance(value, bool):
        return flag(name) if value else f"no {flag(name)}"
    return f"{flag(name)} {value}" if value is not None else f"no {flag(name)}"
