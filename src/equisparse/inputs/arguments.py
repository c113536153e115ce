"""Turn the arguments of `finetune` and `ensemble` into a configuration that can be run again from files."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias, TypeVar

from equisparse.backbones.base import AbstractBackbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.read import check_names
from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.data.identity import frame_digest
from equisparse.data.labels import LabelKeys
from equisparse.data.read import read_frames
from equisparse.errors import InputError
from equisparse.inputs.base import Base
from equisparse.inputs.frames import Frames, file_names, load_frames, load_structures, write_frames
from equisparse.methods.base import AbstractMethod
from equisparse.methods.registry import METHODS
from equisparse.options import plain_value
from equisparse.wording import counted

FRAMES = "frames"
"""Folder, within the folder of a run, of the frames that were given in memory."""

_LABEL_ENDINGS = ("_key", "_unit", "_sign", "_order")
_LABEL_FIELDS = tuple(field.name for field in fields(FinetuneConfig) if field.name.endswith(_LABEL_ENDINGS))

Parts: TypeAlias = Mapping[str, Frames | None]
"""Field of a configuration -> frames as a user gives them."""
Config = TypeVar("Config", bound=FinetuneConfig)


def configuration(
    kind: type[Config],
    parts: Parts,
    base: Base,
    method: str | AbstractMethod | None,
    options: Mapping[str, object],
) -> Config:
    """Configuration of a fine-tune; frames in memory are left out, see `store_frames`.

    Parameters
    ----------
    kind : type
        `FinetuneConfig`, or a class that extends it.
    parts : mapping of str to frames
        ``train``, ``valid``, ``test`` and ``replay``.
    base : str, Path or AbstractBackbone
    method : str, AbstractMethod or None
    options : mapping of str to object
        Further fields of the configuration.

    Raises
    ------
    InputError
        If there is no option of a name, if options of the method are given although the method is an object, or an
        option has an invalid value.
    """
    check_names(kind, options, "There is no option of this name.")
    names = {part: None if frames is None else file_names(frames) for part, frames in parts.items()}
    values = {**options, **names, **_base_fields(base), **_method_fields(method, options)}
    plain = {name: plain_value(value) for name, value in values.items()}
    return kind(**plain | {"train": names["train"] or []})  # type: ignore[arg-type]  # checked by the configuration


def store_frames(config: Config, parts: Parts) -> Config:
    """Write frames that are in memory to the folder of the run, and name their files in the configuration.

    If one of ``train``, ``valid`` and ``test`` is in memory, all three are written, because the files that are written
    have the default names and units of labels. The files of a run that is resumed stay as they are.

    Raises
    ------
    InputError
        If a run is resumed with frames that differ from those in its folder.
    """
    in_memory = {part for part, frames in parts.items() if frames is not None and file_names(frames) is None}
    changes: dict[str, object] = {}
    if "replay" in in_memory:
        changes["replay"] = _stored(config, "replay", unlabelled(load_structures(_given(parts, "replay")), "replay"))
    if in_memory - {"replay"}:
        labelled = [part for part in ("train", "valid", "test") if parts[part] is not None]
        for part in labelled:
            changes[part] = _stored(config, part, load_frames(_given(parts, part), config.keys, config.units))
        changes |= {field.name: field.default for field in fields(config) if field.name in _LABEL_FIELDS}
    return replace(config, **changes)  # type: ignore[arg-type]  # values of the fields that are named


def _stored(config: FinetuneConfig, part: str, frames: list[LabelledFrame]) -> list[str]:
    """Write the frames of one part, unless a run is resumed, and return the name of the file in a list."""
    path = Path(config.out) / FRAMES / f"{part}.extxyz"
    if not config.resume:
        return [str(write_frames(path, frames))]
    with TemporaryDirectory() as folder:
        given = _digests(write_frames(Path(folder, path.name), frames), config)
    known = _digests(path, config) if path.exists() else []
    if given != known:
        raise InputError(
            f"The run was started on other {part} frames, so it cannot be resumed on these. Nothing was written.",
            given=f"{counted(len(given), 'frame')}, {len(set(given) - set(known))} of them not in the run",
            expected=f"the {counted(len(known), 'frame')} of {path}",
            next_step="give the same frames in the same order, or start a new run in another folder",
        )
    return [str(path)]


def _digests(path: Path, config: FinetuneConfig) -> list[str]:
    """Digests of frames that `write_frames` has written."""
    return [frame_digest(frame) for frame in read_frames(path, LabelKeys(magnetic=config.spin))]


def _given(parts: Parts, part: str) -> Frames:
    """Frames of one part; empty if there are none."""
    frames = parts[part]
    return [] if frames is None else frames


def _base_fields(base: Base) -> dict[str, object]:
    """Fields that name a base."""
    if not isinstance(base, AbstractBackbone):
        return {"base": str(base)}
    return {
        "base": base.source or base.identity.source,
        "backbone": base.name,
        "device": str(base.device),
        "dtype": str(base.dtype).removeprefix("torch."),
        "modality": base.modality,
    }


def _method_fields(method: str | AbstractMethod | None, options: Mapping[str, object]) -> dict[str, object]:
    """Fields that name a method and its options."""
    if isinstance(method, type):
        raise InputError(
            "The method is given as a class, not as an object.",
            given=f"method={method.__name__}",
            expected=f"method={method.__name__}(...) with its options, or the name of a method",
            next_step=f"add parentheses: method={method.__name__}(), with options inside",
        )
    if not isinstance(method, AbstractMethod):
        return {"method": method}
    given = [name for name in ("regime", "changed", "budget", "method_options") if options.get(name) is not None]
    if given:
        raise InputError(
            "The options of a method are given twice: in the method and as arguments.",
            given=", ".join(given),
            expected=f"{type(method).__name__}(...) with all its options",
            next_step="give them to the method only",
        )
    if METHODS.get(method.name) is not type(method):
        raise InputError(
            "This method is not registered.",
            given=f"{type(method).__name__} with the name {method.name!r}",
            next_step="call equisparse.register_method with its class first",
        )
    return {"method": method.name, "method_options": method.options()}
