"""Method of a configuration."""

from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.size import parse_size
from equisparse.methods.base import AbstractMethod
from equisparse.methods.choose import choose_method


def configured_method(config: FinetuneConfig, layout: Layout) -> tuple[AbstractMethod, Layout]:
    """Method of a configuration, and the tensors of `layout` that it may change; see `choose_method`.

    Raises
    ------
    InputError
        If the options contradict one another or cannot be met.
    """
    return choose_method(
        config.method,
        layout,
        changed=config.changed,
        budget=None if config.budget is None else parse_size(config.budget),
        targets=config.targets,
        options=config.method_options,
        regime=config.regime,
    )
