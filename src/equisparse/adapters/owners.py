"""Which module holds a parameter."""

from torch import nn


def owner_of(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Module that holds a parameter, and the parameter's name in it."""
    path, _, leaf = name.rpartition(".")
    return model.get_submodule(path), leaf
