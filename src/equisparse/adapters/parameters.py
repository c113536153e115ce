"""Parameters of a model by name."""

from torch import nn


def parameter_owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Module that holds a parameter, and the parameter's name in it."""
    path, _, leaf = name.rpartition(".")
    return model.get_submodule(path), leaf
