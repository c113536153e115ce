"""Options of a fine-tune as keyword arguments, with their types, for editors and type checkers."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Literal, ParamSpec, TypedDict, TypeVar, get_type_hints

from equisparse.config.finetune import FinetuneConfig
from equisparse.options import options_of

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class FinetuneOptions(TypedDict, total=False):
    """Keyword arguments of `equisparse.finetune` and `equisparse.ensemble`.

    The names, types, defaults and meanings are those of `equisparse.FinetuneConfig`; a test compares them.
    """

    # data
    valid_fraction: float
    split_seed: int | None
    bootstrap: bool
    force: bool
    energy_key: str | None
    forces_key: str | None
    stress_key: str | None
    spins_key: str | None
    moments_key: str | None
    magnetic_forces_key: str | None
    energy_unit: str
    length_unit: str
    stress_unit: str
    stress_sign: Literal["ase", "opposite"]
    stress_order: Literal["ase", "vasp"]
    # base model
    backbone: str | None
    device: str
    dtype: Literal["float32", "float64"]
    modality: str | None
    sha256: str | None
    fast: bool
    accelerator: Literal["auto", "none", "oeq", "flash", "cueq"]
    compile: Literal["auto", "on", "off"]
    # what changes
    regime: Literal["L", "H"] | None
    changed: float | None
    budget: str | None
    curve: bool
    start: str | None
    targets: list[str] | None
    method_options: dict[str, int | float | str | bool | None] | None
    # training
    epochs: int | None
    max_steps: int | None
    validate_every: int | None
    checkpoint_minutes: float
    batch_size: int
    max_atoms: int | None
    max_edges: int | None
    precision: Literal["full", "tf32"]
    workers: int
    cache: float
    lr: float | None
    optimizer: Literal["adamw", "muon", "schedulefree"]
    ema: float
    warmup_steps: int
    gradient_clip: float
    energy_weight: float | None
    force_weight: float
    stress_weight: float
    moment_weight: float
    magnetic_force_weight: float
    loss_weights: dict[str, float] | None
    huber_delta: float
    patience: int
    seed: int
    devices: int
    num_nodes: int
    logger: Literal["none", "tensorboard", "wandb", "mlflow"]
    # staying close to the base
    anchor: float
    replay_weight: float
    replay_batch_size: int
    drift_weight: float | None
    # output
    resume: bool
    # magnetism
    spin: bool
    spin_input: Literal["auto", "given", "order"]
    spin_orbit: bool
    spin_channels: int | None
    spin_cutoff: float | None
    spin_lr: float
    moments_on: Literal["all", "magnetic"]


def shows_options(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Show the options of a function by name, with types and defaults, in `help`, IPython and Jupyter.

    Parameters
    ----------
    function : callable
        Function with ``**options: Unpack[FinetuneOptions]``, which such programs show as one argument.
    """
    hints = get_type_hints(FinetuneOptions)
    described = {name: option for name, option in options_of(FinetuneConfig).items() if name in hints}
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=option.default, annotation=hints[name])
        for name, option in described.items()
    ]
    shown = signature(function)
    named = [parameter for parameter in shown.parameters.values() if parameter.kind is not Parameter.VAR_KEYWORD]
    function.__signature__ = shown.replace(parameters=[*named, *options])  # type: ignore[attr-defined]
    sentences = [f"    {name}\n        {field.option.sentence}." for name, field in described.items()]
    heading = "    Other Parameters\n    ----------------\n"
    function.__doc__ = f"{function.__doc__}\n{heading}" + "\n".join(sentences) + "\n    "
    return function
