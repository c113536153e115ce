"""Options of a fine-tune as keyword arguments, with their types, for editors and type checkers."""

from typing import Literal, TypedDict


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
    dtype: str
    modality: str | None
    sha256: str | None
    fast: bool
    # what changes
    regime: str
    changed: float | None
    budget: str | None
    targets: list[str] | None
    method_options: dict[str, int | float | str | bool | None] | None
    # training
    epochs: int | None
    batch_size: int
    lr: float | None
    optimizer: str
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
    logger: str
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
