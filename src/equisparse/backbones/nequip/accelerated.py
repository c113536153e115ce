"""Accelerated form of a NequIP model: the same function, names, parameters and state."""

from functools import partial

from nequip.nn._tp_scatter_base import TensorProductScatter
from torch import Tensor, nn

from equisparse.backbones.e3nn.convolution import convolve
from equisparse.backbones.e3nn.edge_product import EdgeProduct, fits
from equisparse.backbones.e3nn.fx_graphs import rewrite_graphs


def accelerate_model(model: nn.Module) -> None:
    """Reorder the sums in all convolutions of a model, and rewrite its generated graphs, in place."""
    for module in list(model.modules()):
        if type(module) is TensorProductScatter and fits(module.tp):
            product = EdgeProduct(module.tp)
            module.add_module("edge_product", product)
            module.forward = partial(_convolve, product)
    rewrite_graphs(model)


def _convolve(
    product: EdgeProduct, x: Tensor, edge_attr: Tensor, edge_weight: Tensor, edge_dst: Tensor, edge_src: Tensor
) -> Tensor:
    """Compute what `TensorProductScatter` computes; upstream calls it with the names of its arguments."""
    return convolve(product, x, edge_attr, edge_weight, source=edge_src, target=edge_dst)
