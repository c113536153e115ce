"""Accelerated form of a SevenNet model: the same function, names, parameters and state."""

from functools import partial
from typing import Any

from sevenn.nn.convolution import IrrepsConvolution
from torch import nn

from equisparse.backbones.e3nn.convolution import convolve
from equisparse.backbones.e3nn.edge_product import EdgeProduct, fits
from equisparse.backbones.e3nn.fx_graphs import rewrite_graphs


def accelerate_model(model: nn.Module) -> None:
    """Reorder the sums in all convolutions of a model, and rewrite its generated graphs, in place."""
    for module in list(model.modules()):
        if type(module) is IrrepsConvolution and _is_plain(module):
            product = EdgeProduct(module.convolution)
            module.add_module("edge_product", product)
            module.forward = partial(_convolve, module, product)
    rewrite_graphs(model)


def _is_plain(module: Any) -> bool:
    """Tell whether a convolution has a product that can be replaced, and no kernel in its place."""
    return not module.is_parallel and "forward" not in vars(module) and fits(module.convolution)


def _convolve(module: Any, product: EdgeProduct, data: Any) -> Any:
    """Compute what `IrrepsConvolution` computes."""
    target, source = data[module.key_edge_idx]
    weights = module.weight_nn(data[module.key_weight_input])
    summed = convolve(product, data[module.key_x], data[module.key_filter], weights, source=source, target=target)
    data[module.key_x] = summed.div(module.denominator)
    return data
