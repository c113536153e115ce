"""Global state that NequIP sets for the whole process, confined to the blocks that need it."""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import e3nn
import numpy as np
import torch
import torch._dynamo
from nequip.utils import global_state

from equisparse.backbones.upstream import environment_restored

_ATTRIBUTES = (
    (global_state, "_GLOBAL_STATE_INITIALIZED"),
    (torch.backends, "fp32_precision"),
    (torch._dynamo.config, "capture_dynamic_output_shape_ops"),
    (torch._dynamo.config, "capture_scalar_outputs"),
)
"""Attributes that `set_global_state` assigns; older versions of torch lack some."""


@contextmanager
def nequip_state() -> Iterator[None]:
    """Set NequIP's global state within the block, as building and loading models needs it, and restore it afterwards.

    NequIP itself never restores it. It makes double precision the default, seeds every random generator, and sets
    environment variables and options of e3nn, dynamo and multiprocessing.
    """
    attributes = [(owner, name, getattr(owner, name)) for owner, name in _ATTRIBUTES if hasattr(owner, name)]
    optimization = dict(e3nn.get_optimization_defaults())
    dtype, sharing = torch.get_default_dtype(), torch.multiprocessing.get_sharing_strategy()
    seeds = random.getstate(), np.random.get_state()  # noqa: NPY002  upstream seeds the old generator
    with environment_restored(), torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Found `per_type_energy_s")
        fusion = torch.jit.set_fusion_strategy([("DYNAMIC", 10)])
        try:
            global_state.set_global_state()
            yield
        finally:
            torch.jit.set_fusion_strategy(fusion)
            torch.set_default_dtype(dtype)
            torch.multiprocessing.set_sharing_strategy(sharing)
            e3nn.set_optimization_defaults(**optimization)
            random.setstate(seeds[0])
            np.random.set_state(seeds[1])  # noqa: NPY002
            for owner, name, value in attributes:
                setattr(owner, name, value)
