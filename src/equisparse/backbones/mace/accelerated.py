"""Accelerated form of a MACE model: the same function, names, parameters and state."""

from functools import partial
from typing import Any

from mace.modules.blocks import InteractionBlock
from mace.modules.symmetric_contraction import SymmetricContraction
from torch import Tensor, nn

from equisparse.backbones.e3nn.convolution import convolve
from equisparse.backbones.e3nn.edge_product import EdgeProduct, fits
from equisparse.backbones.e3nn.polynomials import Polynomials, contraction_weights


def accelerate_model(model: nn.Module) -> None:
    """Reorder the sums in all convolutions and symmetric contractions of a model, in place."""
    for module in list(model.modules()):
        if type(module) is SymmetricContraction:
            polynomials = Polynomials(module)
            module.add_module("polynomials", polynomials)
            module.forward = partial(_contract, module, polynomials)
        elif isinstance(module, InteractionBlock) and not hasattr(module, "conv_fusion") and fits(module.conv_tp):
            _replace_convolution(module)


def _replace_convolution(interaction: Any) -> None:
    """Let an interaction call one function for product and sum, as it does with upstream's own fused kernels."""
    product = EdgeProduct(interaction.conv_tp)
    interaction.conv_tp.add_module("edge_product", product)
    interaction.conv_tp.forward = partial(_convolve, product)
    interaction.conv_fusion = True


def _convolve(product: EdgeProduct, features: Tensor, harmonics: Tensor, weights: Tensor, edges: Tensor) -> Tensor:
    """Compute the product on all edges and its sum per receiver."""
    return convolve(product, features, harmonics, weights, source=edges[0], target=edges[1])


def _contract(module: Any, polynomials: Polynomials, features: Tensor, attributes: Tensor) -> Tensor:
    """Compute what `SymmetricContraction` computes, with the present weights of the module."""
    contracted: Tensor = polynomials(features, attributes, contraction_weights(module))
    return contracted
