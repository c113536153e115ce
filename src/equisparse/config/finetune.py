"""The configuration of a fine-tune: one flat, frozen, typed value; the command line, YAML files and Python make it."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.errors import InputError
from equisparse.training.options import TrainingOptions

_SIZE = re.compile(r"^\s*([0-9.]+)\s*(B|KB|KiB|MB|MiB)?\s*$", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1000, "kib": 1024, "mb": 1000**2, "mib": 1024**2}


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingOptions):
    """Everything that a fine-tune depends on: the options of training, and the ones below.

    Parameters
    ----------
    train : list of str
        Files or glob patterns that ASE reads, or a packaged set: ``demo``, or ``demo-spin`` for `spin`.
    valid, test : list of str or None
        The same; without `valid` a part of the training frames is split off, near-duplicates kept together.
    replay : list of str or None
        Structures on which the model is to go on predicting what the base does: files or glob patterns, or ``probe``
        for the package's own. The anchor takes them, too; without any it takes the package's own.
    base : str
        Name or file of the base model.
    backbone : str or None
        Which upstream the base belongs to; guessed if not given.
    modality : str or None
        Task of a multi-task base, such as the head of a MACE model.
    sha256 : str or None
        What the SHA-256 of the base's file has to begin with; checked before the file is opened.
    method : str or None
        Name of the method; by default ``sparse``, and with `budget` the method that fits best per byte.
    regime : str
        ``L`` (accurate) or ``H`` (sparse) of the paper, for the method ``sparse``.
    changed : float or None
        Changed entries as a fraction of all parameters of the base.
    budget : str or None
        Largest size of the adapter file, such as ``40KB``.
    method_options : dict or None
        Further options of the method by name.
    targets : list of str or None
        Which tensors: ``all``, roles, ``l=2``, name patterns, ``!`` takes out; by default the method's own.
    out : str
        Folder of the results.
    device, dtype : str
        ``auto``, ``cpu``, ``cuda``; ``float32`` or ``float64``.
    fast : bool
        Train with faster forms of the base's inner computations, where they pass a self-check.
    valid_fraction : float
        Part that is split off without `valid`.
    split_seed : int or None
        Of that split; `seed` by default.
    bootstrap : bool
        Train on as many frames drawn with replacement from the training frames, by `seed`.
    resume : bool
        Go on with a run that was cut off, in the same folder.
    force : bool
        Train although the audit found errors.
    spin : bool
        Train a spin layer on the base beside the method: magnetic energies, moments and magnetic forces.
    spin_input : {"auto", "given", "order"}
        Whether lengths and directions of the input spins count, or their directions alone; by default ``given`` where
        there are magnetic forces in the data, else ``order``.
    spin_orbit : bool
        With the terms that tie spins to the lattice.
    spin_channels : int or None
        Width of the spin layer; by default that of a tenth of the base's parameters.
    spin_cutoff : float or None
        Largest distance of spins that interact, Angstrom; by default the base's cutoff.
    moments_on : {"all", "magnetic"}
        Atoms whose moments are labels: all, or those with an input spin.
    energy_key, forces_key, stress_key : str or None
        Names of the labels; the usual ones are searched if not given.
    spins_key, moments_key, magnetic_forces_key : str or None
        Names of the input spins (muB), the moments (muB) and the magnetic forces, with `spin`; the same.
    energy_unit, length_unit, stress_unit, stress_sign : str
        Units of the labels.
    """

    train: list[str]
    valid: list[str] | None = None
    test: list[str] | None = None
    replay: list[str] | None = None
    base: str = "7net-0"
    backbone: str | None = None
    modality: str | None = None
    sha256: str | None = None
    method: str | None = None
    regime: str = "L"
    changed: float | None = None
    budget: str | None = None
    method_options: dict[str, Any] | None = None
    targets: list[str] | None = None
    out: str = "equisparse-run"
    device: str = "auto"
    dtype: str = "float32"
    fast: bool = True
    valid_fraction: float = 0.1
    split_seed: int | None = None
    bootstrap: bool = False
    resume: bool = False
    force: bool = False
    spin: bool = False
    spin_input: Literal["auto", "given", "order"] = "auto"
    spin_orbit: bool = False
    spin_channels: int | None = None
    spin_cutoff: float | None = None
    moments_on: Literal["all", "magnetic"] = "all"
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    spins_key: str | None = None
    moments_key: str | None = None
    magnetic_forces_key: str | None = None
    energy_unit: str = "eV"
    length_unit: str = "Angstrom"
    stress_unit: str = "eV/Angstrom^3"
    stress_sign: Literal["ase", "opposite"] = "ase"

    @property
    def keys(self) -> LabelKeys:
        """Names of the labels."""
        return LabelKeys(
            energy=self.energy_key,
            forces=self.forces_key,
            stress=self.stress_key,
            spins=self.spins_key,
            moments=self.moments_key,
            magnetic_forces=self.magnetic_forces_key,
            magnetic=self.spin,
        )

    @property
    def units(self) -> LabelUnits:
        """Units of the labels."""
        return LabelUnits(
            energy=self.energy_unit, length=self.length_unit, stress=self.stress_unit, stress_sign=self.stress_sign
        )

    @property
    def training(self) -> TrainingOptions:
        """Options of training, not resolved yet."""
        return TrainingOptions(**{field.name: getattr(self, field.name) for field in fields(TrainingOptions)})

    def to_yaml(self) -> str:
        """Complete and re-runnable with ``equisparse finetune --config FILE``."""
        return yaml.safe_dump(asdict(self), sort_keys=False)


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(FinetuneConfig):
    """Several fine-tunes that differ in their seed: `seed`, ``seed + 1`` and so on; all split the frames alike.

    Parameters
    ----------
    members : int
        How many, at least two.
    """

    members: int = 5
    out: str = "equisparse-ensemble"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.members < 2:
            raise InputError("One model has no spread.", given=f"--members {self.members}", expected="two or more")

    def member(self, number: int) -> FinetuneConfig:
        """Configuration of one member, a whole run in a folder of its own."""
        values = {field.name: getattr(self, field.name) for field in fields(FinetuneConfig)}
        values["split_seed"] = self.seed if self.split_seed is None else self.split_seed
        return FinetuneConfig(**values | {"seed": self.seed + number, "out": str(Path(self.out, f"member-{number}"))})


def read_config(path: str | Path) -> FinetuneConfig:
    """Configuration of a YAML file.

    Raises
    ------
    InputError
        If the file cannot be read or has a key that is not known.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError("The configuration cannot be read.", given=str(path), cause=str(error)) from error
    known = {field.name for field in fields(FinetuneConfig)}
    if not isinstance(values, dict) or not set(values) <= known:
        wrong = sorted(set(values) - known) if isinstance(values, dict) else [type(values).__name__]
        raise InputError(
            "The configuration has keys that are not known.", given=", ".join(wrong), expected=", ".join(known)
        )
    return FinetuneConfig(**values)


def parse_size(text: str) -> int:
    """Bytes of a size such as ``40KB`` (40,000), ``40KiB`` (40,960) or ``0.1MB``.

    >>> parse_size("40KB")
    40000

    Raises
    ------
    InputError
        If it is no size.
    """
    found = _SIZE.match(text)
    if not found:
        raise InputError("This is no size.", given=text, expected="a number with B, KB, KiB, MB or MiB, such as 40KB")
    return int(float(found[1]) * _UNITS[(found[2] or "B").lower()])
