"""Ensembles of adapters: several fine-tunes of one base, whose spread estimates the error of their mean.

A folder contains one folder per member, each with ``adapter.safetensors``, and ``ensemble.json`` (docs/adapters.md).
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import ADAPTER, load_adapter
from equisparse.errors import AdapterError, AdapterMismatchError, InputError
from equisparse.files import write_text
from equisparse.wording import counted

ENSEMBLE = "ensemble.json"
"""File that makes a folder an ensemble."""
FORMAT_VERSION = 1
"""Version that this package writes; newer versions are refused."""
MIN_MEMBERS = 2
"""Smallest number of members."""

_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""Exceptions that a damaged file can raise while it is read."""


@dataclass(frozen=True)
class Scales:
    """Factors that scale spreads to the size of errors; 1 if they were not calibrated.

    Parameters
    ----------
    energy, forces, stress : float
        Factor of the spread of each quantity.
    """

    energy: float = 1.0
    forces: float = 1.0
    stress: float = 1.0


@dataclass(frozen=True)
class Ensemble:
    """Members of an ensemble, and the scales of their spreads.

    Parameters
    ----------
    adapters : mapping of str to Adapter
        Name of a member -> its adapter; of one base, modality and precision, trained on the same elements.
    scales : Scales
    numbers : mapping
        Results of the calibration, plain values.

    Raises
    ------
    InputError
        If there are fewer than two members.
    AdapterMismatchError
        If the members differ in base, modality, precision or elements.
    """

    adapters: Mapping[str, Adapter]
    scales: Scales = field(default_factory=Scales)
    numbers: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.adapters) < MIN_MEMBERS:
            raise InputError("An ensemble needs at least two members.", given=counted(len(self.adapters), "member"))
        first, *others = self.adapters.values()
        for other in others:
            other.check_fits(first.base, first.modality, first.dtype)
            if other.elements != first.elements:
                raise AdapterMismatchError(
                    "The members of an ensemble were trained on different elements.",
                    given=f"atomic numbers {other.elements}",
                    expected=f"{first.elements}",
                    cause="fine-tunes on different data",
                )


def write_ensemble(folder: Path, members: list[str], scales: Scales, numbers: Mapping[str, object]) -> None:
    """Write the file that makes a folder of members an ensemble.

    Parameters
    ----------
    folder : Path
        Folder with one folder per member.
    members : list of str
        Names of the members' folders.
    scales : Scales
    numbers : mapping
        Plain values that describe the calibration.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    digests = {name: _digest(folder / name / ADAPTER) for name in members}
    values = {"version": FORMAT_VERSION, "members": digests, "scales": asdict(scales), "numbers": dict(numbers)}
    write_text(folder / ENSEMBLE, json.dumps(values, indent=2) + "\n")


def read_ensemble(folder: str | Path) -> Ensemble:
    """Read the ensemble of a folder.

    Raises
    ------
    AdapterError
        If there is no ensemble, if its file is damaged or too new, or if a member has changed since the calibration.
    """
    folder = Path(folder)
    if not (folder / ENSEMBLE).is_file():
        raise AdapterError(
            "There is no ensemble in this folder.",
            given=str(folder),
            expected=f"a folder with {ENSEMBLE}",
            next_step=f"run equisparse ensemble, or finish it with --resume; for a single run, give its {ADAPTER}",
        )
    try:
        values = json.loads((folder / ENSEMBLE).read_text(encoding="utf-8"))
        version = values["version"]
        if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
            raise ValueError(f"version {version!r:.20} is newer than {FORMAT_VERSION} or invalid")
        members = {_name(name): str(digest) for name, digest in values["members"].items()}
        scales = Scales(**{name: _positive(value) for name, value in values["scales"].items()})
        numbers = dict(values["numbers"])
    except _DAMAGE as error:
        raise AdapterError(
            "The file of the ensemble is damaged or too new.",
            given=str(folder / ENSEMBLE),
            cause=f"{type(error).__name__}: {str(error)[:200]}",
            next_step="write it again with equisparse ensemble ... --resume",
        ) from error
    return Ensemble(
        {name: _member(folder / name / ADAPTER, digest) for name, digest in members.items()}, scales, numbers
    )


def _member(path: Path, digest: str) -> Adapter:
    """Read the adapter of a member; AdapterError if its file has changed since the calibration."""
    adapter = load_adapter(path)
    if _digest(path) != digest:
        raise AdapterError(
            "A member of the ensemble has changed since the calibration.",
            given=str(path),
            cause="the member was trained again or its file was replaced",
            next_step="calibrate again with equisparse ensemble ... --resume",
        )
    return adapter


def _digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _name(value: str) -> str:
    """The same name; ValueError unless it is the name of a folder without a path."""
    if Path(value).name != value or not value.isprintable():
        raise ValueError(f"invalid name of a member: {value!r:.80}")
    return value


def _positive(value: object) -> float:
    """The same value; ValueError unless it is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{value!r:.20} is not a positive finite number")
    return float(value)
