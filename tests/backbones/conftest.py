"""Models, loaded once per run, and frames to try them on."""

from collections.abc import Callable
from functools import lru_cache

import pytest
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
