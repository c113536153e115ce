"""Models, loaded once per run, and frames to try them on."""

import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import load_backbone
from equisparse.testing.backbones import rattled

Load = Callable[..., AbstractBackbone]


@pytest.fixture(scope="session")
def load() -> Load:
    """`load_backbone`, which gives the same model for the same arguments."""
    return lru_cache(maxsize=None)(load_backbone)


@pytest.fixture(scope="session")
def oxides() -> list[Atoms]:
    """Frames of magnesium, aluminium and oxygen without symmetry: small cell, larger cell, molecule."""
    wurtzite = bulk("MgO", "wurtzite", a=3.3, c=5.1)
    alloy = bulk("MgO", "rocksalt", a=4.2, cubic=True)
    alloy.numbers[0] = 13
    ozone = molecule("O3")
    return [rattled(wurtzite, 0), rattled(alloy, 1), rattled(ozone, 2)]


@pytest.fixture
def kernel_package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Package with the interface of OpenEquivariance, and `uvu_TP` with that of FlashTP, that computes with e3nn."""
    from e3nn.o3 import TensorProduct

    class Summed(torch.nn.Module):
        def __init__(self, irreps: tuple[Any, ...], paths: list[tuple[Any, ...]], dtype: torch.dtype) -> None:
            super().__init__()
            product = TensorProduct(*irreps, paths, shared_weights=False, internal_weights=False)
            self.products, self.dtype = [product.to(dtype)], dtype  # as those packages, without a part in the state

        def summed(self, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, source: Any, target: Any) -> torch.Tensor:
            assert x.dtype == y.dtype == w.dtype == self.dtype
            messages = self.products[0](x[source], y, w)
            return messages.new_zeros(len(x), messages.shape[1]).index_add(0, target, messages)

    class TPProblem:
        def __init__(self, *given: Any, irrep_dtype: Any, weight_dtype: Any, **shared: bool) -> None:
            assert irrep_dtype == weight_dtype
            assert not any(shared.values())
            *irreps, self.paths = given
            self.irreps, self.dtype = tuple(irreps), irrep_dtype
            self.weight_numel = 0

    class TensorProductConv(Summed):
        def __init__(self, problem: TPProblem, **_: bool) -> None:
            super().__init__(problem.irreps, problem.paths, problem.dtype)
            self.input_args = {"problem": problem}

        def forward(self, x: Any, y: Any, w: Any, rows: Any, cols: Any) -> torch.Tensor:
            assert rows.dtype == cols.dtype == torch.int64
            return self.summed(x, y, w, source=cols, target=rows)

    class UvuTP(Summed):
        def __init__(self, *, dtype: Any, use_lammps: bool, instructions: Any, **irreps: Any) -> None:
            assert not use_lammps
            super().__init__(tuple(irreps.values()), instructions, dtype)

        def forward(self, x: Any, y: Any, w: Any, edge_src: Any, edge_dst: Any) -> torch.Tensor:
            assert edge_src.dtype == edge_dst.dtype == torch.int32
            return self.summed(x, y, w, edge_src.long(), edge_dst.long())

    package = ModuleType("openequivariance")
    vars(package).update(
        TPProblem=TPProblem, TensorProductConv=TensorProductConv, torch_to_oeq_dtype=lambda dtype: dtype, uvu_TP=UvuTP
    )
    monkeypatch.setitem(sys.modules, "openequivariance", package)
    return package
