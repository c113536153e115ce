"""Kernels of MACE's accelerators in the convolutions of a model that stays as it is otherwise.

MACE's own conversion to cuEquivariance replaces every part of a model and orders its weights differently. Here only the
edge products are replaced, whose weights are outputs of a network and not parameters.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mace.modules import wrapper_ops
from mace.modules.blocks import InteractionBlock
from torch import Tensor, nn

from equisparse.backbones.upstream import default_dtype


def attach_kernels(model: nn.Module, accelerator: str) -> None:
    """Let all convolutions of a model use the kernels of an accelerator: ``oeq`` or ``cueq``."""
    weight = next(model.parameters())
    for interaction in list(model.modules()):
        if isinstance(interaction, InteractionBlock) and not hasattr(interaction, "conv_fusion"):
            with default_dtype(weight.dtype), _quiet_on_cpu(weight.device):
                kernel = _kernel(interaction.conv_tp, accelerator, weight.device)
            interaction.conv_tp.forward = partial(_convolve, kernel)
            interaction.conv_fusion = True


@contextmanager
def _quiet_on_cpu(device: torch.device) -> Iterator[None]:
    """Hide the warning that there are no kernels for a GPU, on a CPU."""
    with warnings.catch_warnings():
        if device.type == "cpu":
            warnings.filterwarnings("ignore", message="cuequivariance_ops_torch is not available")
        yield


class _Kernel:
    """Upstream's fused product and sum; no module, so that the state of the model stays as upstream stores it.

    Parameters
    ----------
    product : Module
        What upstream's `wrapper_ops` make, called with features, harmonics, weights and edges.
    before, after : Module or None
        Change the layout of the features and of the sums.
    """

    def __init__(self, product: nn.Module, before: nn.Module | None = None, after: nn.Module | None = None) -> None:
        self.product, self.before, self.after = product, before, after


def _kernel(product: Any, accelerator: str, device: torch.device) -> _Kernel:
    """Kernel that upstream uses for an edge product with this accelerator."""
    if accelerator == "oeq":
        config = wrapper_ops.OEQConfig(enabled=True, optimize_channelwise=True, conv_fusion="atomic")
        return _Kernel(_product(product, oeq_config=config).to(device))
    if device.type == "cuda":
        return _fused(product, device)
    kernel = _product(product, cueq_config=_cueq_config(conv_fusion=False))
    return _Kernel(wrapper_ops.with_scatter_sum(kernel).to(device))


def _fused(product: Any, device: torch.device) -> _Kernel:
    """Fused product and sum of cuEquivariance, whose features have the components of an irrep outside."""
    config = _cueq_config(conv_fusion=True)
    kernel = _product(product, cueq_config=config)
    before = wrapper_ops.TransposeIrrepsLayoutWrapper(product.irreps_in1, "mul_ir", "ir_mul", cueq_config=config)
    after = wrapper_ops.TransposeIrrepsLayoutWrapper(product.irreps_out, "ir_mul", "mul_ir", cueq_config=config)
    return _Kernel(kernel.to(device), before.to(device), after.to(device))


def _cueq_config(*, conv_fusion: bool) -> Any:
    """Upstream's settings with which only the edge products are replaced, and other modules stay those of e3nn."""
    return wrapper_ops.CuEquivarianceConfig(
        enabled=True, layout="mul_ir", group="O3_e3nn", optimize_channelwise=True, conv_fusion=conv_fusion
    )


def _product(product: Any, **config: object) -> Any:
    """Product of upstream's wrapper, with the irreps and paths of an e3nn product."""
    paths = [(path.i_in1, path.i_in2, path.i_out, "uvu", True) for path in product.instructions]
    return wrapper_ops.TensorProduct(product.irreps_in1, product.irreps_in2, product.irreps_out, paths, **config)


def _convolve(kernel: _Kernel, features: Tensor, harmonics: Tensor, weights: Tensor, edges: Tensor) -> Tensor:
    """Compute the product on all edges and its sum per receiver."""
    given = features if kernel.before is None else kernel.before(features)
    summed: Tensor = kernel.product(given, harmonics, weights, edges)
    return summed if kernel.after is None else kernel.after(summed)
