"""Choice of the method, its options and its tensors from the options of a user."""

from collections.abc import Mapping, Sequence

from equisparse.blocks import Layout
from equisparse.errors import InputError
from equisparse.formats.sizes import value_bytes
from equisparse.methods.base import AbstractMethod
from equisparse.methods.registry import make_method
from equisparse.methods.select import select
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.methods.sparse import Sparse

OPTIONS_OF_THE_OTHER = {
    Sparse.name: ("regime", "start_width", "start_threshold", "tau_lr"),
    SoftThreshold.name: (
        "changed",
        "value_bytes",
        "prune_start",
        "prune_end",
        "prune_interval",
        "dense_share",
        "dense_lr",
        "annealing",
        "last_lr",
        "tolerance",
        "rates",
        "stored_values",
    ),
}
"""Method -> options that only the other one of these two has; earlier versions had both under the name ``sparse``."""


def choose_method(
    method: AbstractMethod | str | None,
    layout: Layout,
    *,
    changed: float | None = None,
    budget: int | None = None,
    targets: Sequence[str] | None = None,
    options: Mapping[str, object] | None = None,
    regime: str | None = None,
) -> tuple[AbstractMethod, Layout]:
    """Choose a method and the tensors that it may change.

    Without a method, it is `Sparse`, which searches the fewest entries that cost nothing if there is no fraction and no
    size; with only a regime or another option of `SoftThreshold`, it is that method.

    Parameters
    ----------
    method : AbstractMethod, str or None
        Method with its options, or name of a method.
    layout : Layout
        All tensors of the base model.
    changed : float, optional
        Changed entries as a fraction of all parameters of the base.
    budget : int, optional
        Largest size of the adapter file, bytes.
    targets : sequence of str, optional
        Targets for `equisparse.methods.select.select`; by default those of the method.
    options : mapping, optional
        Options by name, for a method that is given by name or chosen here.
    regime : {"L", "H"}, optional
        Option of ``soft_threshold``, which is the method if neither another one nor a size is given.

    Returns
    -------
    tuple of AbstractMethod and Layout
        Resolved method, and layout of the selected tensors.

    Raises
    ------
    InputError
        If the arguments contradict one another or cannot be met.
    """
    if changed is not None and budget is not None:
        raise InputError("--changed and --budget are mutually exclusive.", given=f"{changed} and {budget} bytes")
    if isinstance(method, AbstractMethod):
        _check_only_method(changed, options)
        return _complete(method, budget, targets, layout)
    name = _name(method, changed, budget, _default(regime, options or {}))
    own = dict(options or {}) if method is not None else own_options(name, options or {})
    if changed is not None:
        own = {"changed": changed} | own
    if name == SoftThreshold.name and regime is not None:
        own = {"regime": regime} | own
    return _complete(make_method(name, own), budget, targets, layout)


def _complete(
    method: AbstractMethod, budget: int | None, targets: Sequence[str] | None, layout: Layout
) -> tuple[AbstractMethod, Layout]:
    """Method that fits into the budget, resolved, and layout of the selected tensors."""
    if budget is None:
        selected = select(layout, targets or method.default_targets)
        return method.resolve(selected), selected
    selected = select(layout, targets or Sparse().default_targets)
    room = value_bytes(budget, selected, method.format)
    return method.fit_into(room, selected).resolve(selected), selected


def _name(name: str | None, changed: float | None, budget: int | None, default: str) -> str:
    """Name of the chosen method; `default` without a name, a fraction and a size."""
    if budget is not None and name is None:
        return Sparse.name
    if changed is not None:
        if name not in (None, Sparse.name):
            raise InputError(
                f"The method {name} has no option for the changed fraction.",
                given=f"--changed {changed} --method {name}",
                next_step="use --method sparse, or omit --changed",
            )
        return Sparse.name
    return default if name is None else name


def _default(regime: str | None, options: Mapping[str, object]) -> str:
    """Name of the method without a name, a fraction of all weights and a size of the file."""
    targeted = any(options.get(target) is not None for target in ("changed", "value_bytes"))
    thresholds = regime is not None or any(name in OPTIONS_OF_THE_OTHER[Sparse.name] for name in options)
    return SoftThreshold.name if thresholds and not targeted else Sparse.name


def own_options(method: str, options: Mapping[str, object]) -> dict[str, object]:
    """Leave out the options in `OPTIONS_OF_THE_OTHER`; the method was not named, or by a file of an earlier version."""
    ignored = OPTIONS_OF_THE_OTHER.get(method, ())
    return {option: value for option, value in options.items() if option not in ignored}


def _check_only_method(changed: float | None, options: Mapping[str, object] | None) -> None:
    """Raise InputError if further options are given together with a method that has its options."""
    if changed is not None or options:
        raise InputError(
            "A method that is given as an object already has its options.",
            given=f"changed={changed}" if changed is not None else ", ".join(options or {}),
            next_step="pass the options to the method, such as Sparse(changed=0.03)",
        )
