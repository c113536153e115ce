"""The configuration of a fine-tune: one flat, frozen, typed dataclass, made from the command line, YAML or Python."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml

from equisparse.config.shared import BASE, BaseOptions, LabelOptions
from equisparse.config.size import parse_size
from equisparse.errors import InputError
from equisparse.options import (
    ADVANCED,
    CHANGE,
    CLOSENESS,
    DATA,
    GROUPS,
    MAGNETISM,
    MODEL,
    OUTPUT,
    TRAINING,
    Option,
    options_of,
)
from equisparse.training.options import MOST_SEED, TrainingOptions

if TYPE_CHECKING:
    from equisparse.data.labels import LabelKeys

MethodOption = int | float | str | bool | None
"""Value of an option of a method."""


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(LabelOptions, BaseOptions, TrainingOptions):
    """All options of a fine-tune.

    Each field carries its own description; ``equisparse finetune --help`` prints all of them.

    Raises
    ------
    InputError
        If a value has the wrong type or is out of range.
    """

    train: Annotated[
        list[str],
        Option(
            "Training frames: files or globs that ASE reads, or a packaged set: demo, or demo-spin for --spin",
            DATA,
            "FRAMES",
            positional=True,
        ),
    ]
    valid: Annotated[
        list[str] | None,
        Option("Validation frames", DATA, "FRAMES", shown_default="split off from the training frames"),
    ] = None
    test: Annotated[list[str] | None, Option("Test frames, used for the final errors only", DATA, "FRAMES")] = None
    valid_fraction: Annotated[
        float,
        Option("Fraction of the training frames used for validation without --valid", DATA, above=0, below=1),
    ] = 0.1
    split_seed: Annotated[
        int | None,
        Option("Seed of the validation split", ADVANCED, least=0, most=MOST_SEED, shown_default="value of --seed"),
    ] = None
    bootstrap: Annotated[bool, Option("Train on a sample of the training frames, drawn with replacement", ADVANCED)] = (
        False
    )
    force: Annotated[bool, Option("Train even if the audit finds errors", DATA)] = False
    base: Annotated[str, Option(BASE, MODEL, "MODEL")] = "7net-0"
    method: Annotated[
        str | None,
        Option(
            "How the weights change: soft_threshold, sparse, lowrank, scale, elora, full, readout, scratch or mmea",
            CHANGE,
            "NAME",
            shown_default="sparse",
        ),
    ] = None
    regime: Annotated[
        Literal["L", "H"] | None,
        Option(
            "Regime of the method soft_threshold: L is the most accurate, H the most sparse",
            CHANGE,
            shown_default="L with --method soft_threshold",
        ),
    ] = None
    changed: Annotated[
        float | None,
        Option(
            "Fraction of the model's weights to change, such as 0.03; excludes --budget",
            CHANGE,
            "FRACTION",
            shown_default="the fewest that cost nothing",
            above=0,
            most=1,
        ),
    ] = None
    budget: Annotated[
        str | None,
        Option("Largest size of the adapter file, such as 40KB; excludes --changed", CHANGE, "SIZE"),
    ] = None
    curve: Annotated[
        bool,
        Option(
            "Keep an adapter and its errors for larger fractions on the way to --changed, which is then 0.005 if not "
            "given; see pick",
            CHANGE,
        ),
    ] = False
    start: Annotated[
        str | None,
        Option("Adapter from which training starts, for the method sparse; see sparsify", CHANGE, "ADAPTER"),
    ] = None
    targets: Annotated[
        list[str] | None,
        Option(
            "Tensors to change: all, roles, degrees such as l=2, or name patterns; a leading ! excludes",
            CHANGE,
            "TENSORS",
            shown_default="depends on the method",
        ),
    ] = None
    method_options: Annotated[
        dict[str, MethodOption] | None,
        Option("Further options of the method, such as --method-options.rank 16", CHANGE, ".NAME VALUE"),
    ] = None
    replay: Annotated[
        list[str] | None,
        Option(
            "Structures on which to preserve the base model's predictions: files, globs, or probe (packaged)",
            CLOSENESS,
            "FRAMES",
            shown_default="none; the anchor uses the packaged ones",
        ),
    ] = None
    out: Annotated[str, Option("Folder of the results", OUTPUT, "FOLDER")] = "equisparse-run"
    resume: Annotated[bool, Option("Continue an interrupted run in the same folder", OUTPUT)] = False
    fast: Annotated[
        bool,
        Option("With --no-fast, the base uses its original form instead of the faster, checked form", ADVANCED),
    ] = True
    accelerator: Annotated[
        Literal["auto", "none", "oeq", "flash", "cueq"],
        Option(
            "Kernels in the convolutions: OpenEquivariance, FlashTP or cuEquivariance; "
            "auto takes the first installed, on a GPU",
            ADVANCED,
        ),
    ] = "auto"
    compile: Annotated[
        Literal["auto", "on", "off"],
        Option("Compile the convolutions for the CPU with its C++ compiler; auto does so for long runs", ADVANCED),
    ] = "auto"
    spin: Annotated[
        bool, Option("Also train a spin layer: magnetic energies, moments and magnetic forces", MAGNETISM)
    ] = False
    spin_input: Annotated[
        Literal["auto", "given", "order"],
        Option(
            "Use input spins with their lengths (given) or their directions only (order); "
            "auto means given if there are magnetic forces, else order",
            MAGNETISM,
        ),
    ] = "auto"
    spin_orbit: Annotated[bool, Option("Include spin-orbit terms, which couple spins to the lattice", MAGNETISM)] = (
        False
    )
    spin_channels: Annotated[
        int | None,
        Option(
            "Width of the spin layer",
            MAGNETISM,
            least=1,
            shown_default="gives a tenth of the base's parameters",
        ),
    ] = None
    spin_cutoff: Annotated[
        float | None,
        Option(
            "Largest distance of interacting spins, in Angstrom", MAGNETISM, above=0, shown_default="cutoff of the base"
        ),
    ] = None
    moments_on: Annotated[
        Literal["all", "magnetic"],
        Option("Atoms whose moments are labels: all, or only those with an input spin", MAGNETISM),
    ] = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_weights(spins=self.spin)
        if self.budget is not None:
            parse_size(self.budget)
        if self.changed is not None and self.budget is not None:
            raise InputError(
                "--changed and --budget are mutually exclusive.",
                given=f"--changed {self.changed} --budget {self.budget}",
                next_step="omit one of them",
            )

    @property
    def keys(self) -> "LabelKeys":
        """Names of the labels."""
        return self.label_keys(magnetic=self.spin)

    @property
    def training(self) -> TrainingOptions:
        """Options of training; defaults that depend on the data are None."""
        return TrainingOptions(**{field.name: getattr(self, field.name) for field in fields(TrainingOptions)})

    def to_yaml(self) -> str:
        """Complete configuration as YAML; ``equisparse finetune --config FILE`` runs it again."""
        options = options_of(type(self))
        order = sorted(options, key=lambda name: GROUPS.index(options[name].option.group))
        values = asdict(self)
        return yaml.safe_dump({name: values[name] for name in order}, sort_keys=False)


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(FinetuneConfig):
    """All options of an ensemble: members have the seeds `seed`, ``seed + 1`` and so on, and the same splits."""

    members: Annotated[int, Option("Number of fine-tunes", TRAINING, least=2)] = 5
    out: Annotated[str, Option("Folder of the results", OUTPUT, "FOLDER")] = "equisparse-ensemble"

    def member(self, number: int) -> FinetuneConfig:
        """Configuration of one member, which is a complete run in its own folder."""
        values = {field.name: getattr(self, field.name) for field in fields(FinetuneConfig)}
        values["split_seed"] = self.seed if self.split_seed is None else self.split_seed
        values |= {"devices": 1, "num_nodes": 1}  # processes share the members
        return FinetuneConfig(**values | {"seed": self.seed + number, "out": str(Path(self.out, f"member-{number}"))})
