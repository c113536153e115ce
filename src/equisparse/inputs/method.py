"""Method of a configuration."""

from collections.abc import Sequence

from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig, MethodOption
from equisparse.config.size import parse_size
from equisparse.data.frames import LabelledFrame
from equisparse.data.kind import is_one_molecule
from equisparse.errors import InputError
from equisparse.methods.base import AbstractMethod
from equisparse.methods.choose import choose_method
from equisparse.methods.sparse import Sparse
from equisparse.wording import counted

_FOR_A_CURVE: dict[str, MethodOption] = {"annealing": "stages"}
"""Options of the method `Sparse` for a curve, whose points are finished models."""
_FROM_A_START: dict[str, MethodOption] = {"dense_share": 0.0, **_FOR_A_CURVE}
"""Those for a start that is trained already."""
_END_OF_CURVE = 0.005
"""Changed fraction at the end of a curve, if none is given."""


def configured_method(config: FinetuneConfig, layout: Layout) -> tuple[AbstractMethod, Layout]:
    """Method of a configuration, and the tensors of `layout` that it may change; see `choose_method`.

    Parameters
    ----------
    config : FinetuneConfig
    layout : Layout
        All tensors of the base; of the adapter from which training starts, if there is one.

    Raises
    ------
    InputError
        If the options contradict one another or cannot be met.
    """
    if config.curve:
        _check_sparse(config, "has a curve", "curve")
    if config.start:
        _check_sparse(config, "can start from an adapter", "start")
    wanted = config.curve and config.budget is None and "changed" not in (config.method_options or {})
    chosen = choose_method(
        Sparse.name if config.start or (config.curve and config.budget) else config.method,
        layout,
        changed=_END_OF_CURVE if wanted and config.changed is None else config.changed,
        budget=None if config.budget is None else parse_size(config.budget),
        targets=config.targets or (["all"] if config.start else None),
        options=_defaults(config) | (config.method_options or {}),
        regime=config.regime,
    )
    if config.start:
        _check_covered(config.start, chosen[1], layout)
    return chosen


def method_for(
    config: FinetuneConfig, layout: Layout, frames: Sequence[LabelledFrame]
) -> tuple[AbstractMethod, Layout]:
    """Method of a configuration with defaults for the training frames, and the tensors that it may change.

    Parameters
    ----------
    config, layout
        As in `configured_method`.
    frames : sequence of LabelledFrame
        Training frames.
    """
    method, selected = configured_method(config, layout)
    return method.suited_to(one_molecule=is_one_molecule(frames)), selected


def _defaults(config: FinetuneConfig) -> dict[str, MethodOption]:
    """Options of the method that follow from other options; those of the configuration override them."""
    return (_FROM_A_START if config.start else {}) | (_FOR_A_CURVE if config.curve else {})


def _check_sparse(config: FinetuneConfig, ability: str, option: str) -> None:
    """Raise InputError if the configuration names another method than `Sparse`."""
    if config.method not in (None, Sparse.name):
        raise InputError(
            f"Only the method sparse {ability}.",
            given=f"--{option} --method {config.method}",
            next_step=f"omit --method, or --{option}",
        )


def _check_covered(start: str, selected: Layout, changed: Layout) -> None:
    """Raise InputError if some tensors of an adapter are not among the selected ones."""
    if missing := [name for name in changed.tensors if name not in selected.tensors]:
        raise InputError(
            "The targets leave out tensors that the adapter changes.",
            given=f"{counted(len(missing), 'tensor')} of {start}, such as {missing[0]}",
            next_step="omit --targets",
        )
