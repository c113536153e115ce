"""Method of a configuration."""

from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.size import parse_size
from equisparse.errors import InputError
from equisparse.methods.base import AbstractMethod
from equisparse.methods.choose import choose_method
from equisparse.methods.sparse import Sparse

_END_OF_CURVE = 0.005
"""Changed fraction at the end of a curve, if none is given."""


def configured_method(config: FinetuneConfig, layout: Layout) -> tuple[AbstractMethod, Layout]:
    """Method of a configuration, and the tensors of `layout` that it may change; see `choose_method`.

    Raises
    ------
    InputError
        If the options contradict one another or cannot be met.
    """
    if config.curve and config.method not in (None, Sparse.name):
        raise InputError(
            "Only the method sparse has a curve.",
            given=f"--curve --method {config.method}",
            next_step="omit --method, or --curve",
        )
    wanted = config.curve and config.budget is None and "changed" not in (config.method_options or {})
    return choose_method(
        Sparse.name if config.curve and config.budget else config.method,
        layout,
        changed=_END_OF_CURVE if wanted and config.changed is None else config.changed,
        budget=None if config.budget is None else parse_size(config.budget),
        targets=config.targets,
        options=config.method_options,
        regime=config.regime,
    )
