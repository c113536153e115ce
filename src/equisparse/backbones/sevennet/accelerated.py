"""Accelerated form of a SevenNet model: the same function, names, parameters and state."""

from functools import partial
from typing import Any

from sevenn.nn.convolution import IrrepsConvolution
from torch import nn

from equisparse.backbones.e3nn.edge_product import EdgeProduct, fits
from equisparse.backbones.e3nn.fx_graphs import concatenate, rewrite_graphs


def accelerate_model(model: nn.Module) -> None:
    """Reorder the sums in all convolutions of a model, and rewrite its generated graphs, in place."""
    for module in list(model.modules()):
        if type(module) is IrrepsConvolution and not module.is_parallel and fits(module.convolution):
            product = EdgeProduct(module.convolution)
            module.add_module("edge_product", product)
            module.forward = partial(_convolve, module, product)
    rewrite_graphs(model)


def _convolve(module: Any, product: EdgeProduct, data: Any) -> Any:
    """Compute what `IrrepsConvolution` computes; sum the messages of a path over edges before paths are joined."""
    target, source = data[module.key_edge_idx]
    features = data[module.key_x]
    messages = product(
        features.index_select(0, source), data[module.key_filter], module.weight_nn(data[module.key_weight_input])
    )
    summed = [message.new_zeros(len(features), message.shape[1]).index_add(0, target, message) for message in messages]
    data[module.key_x] = concatenate(summed).div(module.denominator)
    return data
