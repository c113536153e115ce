"""Kernels of SevenNet's accelerators in the convolutions of a model that stays as it is otherwise."""

from functools import partial
from typing import Any

import torch
from e3nn.o3 import Irreps
from sevenn.nn import cue_helper, flash_helper, oeq_helper
from sevenn.nn.convolution import IrrepsConvolution
from torch import Tensor, nn

from equisparse.backbones.upstream import default_dtype


def attach_kernels(model: nn.Module, accelerator: str) -> None:
    """Let all convolutions of a model use the kernels that upstream uses with its option of the same name."""
    for module in list(model.modules()):
        if type(module) is IrrepsConvolution and not module.is_parallel:
            weight = next(module.parameters())
            with default_dtype(weight.dtype):
                kernel = _kernel(module, accelerator, weight).to(weight.device)
            module.forward = partial(_convolve, module, _Unregistered(kernel))


class _Unregistered:
    """Holds a module without making it a part of the model, whose state stays as upstream stores it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module


def _kernel(module: Any, accelerator: str, weight: Tensor) -> Any:
    """Kernel that upstream puts in the place of the edge product of a convolution."""
    patched = _patched(_not_built(module), accelerator, weight.device)
    options = patched.convolution_kwargs | ({"dtype": weight.dtype} if accelerator == "flash" else {})
    return patched.convolution_cls(**options)


def _patched(blank: IrrepsConvolution, accelerator: str, device: torch.device) -> Any:
    """The convolution as upstream patches it, with the settings of ``sevenn.model_build``."""
    if accelerator == "oeq":
        return oeq_helper.patch_convolution(blank)
    if accelerator == "flash":
        return flash_helper.patch_convolution(blank)
    method = "naive" if device.type == "cpu" else "uniform_1d"
    return cue_helper.patch_convolution(
        blank, _group(blank), use_scatter_fusion=True, tp_method=method, layout="mul_ir"
    )


def _not_built(module: Any) -> IrrepsConvolution:
    """Convolution with the product of `module` that is not built yet: upstream patches only such."""
    options, network = dict(module.convolution_kwargs), module.weight_nn_kwargs
    irreps = (options["irreps_in1"], options["irreps_in2"], options["irreps_out"])
    blank = IrrepsConvolution(*irreps, network["hs"][:-1], network["act"])
    blank.convolution_kwargs = options
    return blank


def _group(blank: IrrepsConvolution) -> str:
    """Group of cuEquivariance that upstream takes: SO3 for a model without parity."""
    irreps = [Irreps(blank.convolution_kwargs[name]) for name in ("irreps_in1", "irreps_in2", "irreps_out")]
    return "SO3" if all(part.ir.p == 1 for parts in irreps for part in parts) else "O3"


def _convolve(module: Any, kernel: _Unregistered, data: Any) -> Any:
    """Compute what `IrrepsConvolution` computes; upstream's kernels cannot be called without edges."""
    target, source = data[module.key_edge_idx].to(torch.int32)
    weights = module.weight_nn(data[module.key_weight_input])
    features, harmonics = data[module.key_x], data[module.key_filter]
    if source.numel():
        summed = kernel.module(features, harmonics, weights, source, target)
    else:
        zero = 0 * (harmonics.sum() + weights.sum())  # keeps the weights in the graph
        summed = features.new_zeros(len(features), module.convolution.irreps_out.dim) + zero
    data[module.key_x] = summed.div(module.denominator)
    return data
