"""Settings of all tests: one thread, reproducible Hypothesis runs, and no tests of a backbone that is missing."""

from importlib.util import find_spec

import torch
from hypothesis import HealthCheck, settings

collect_ignore = [] if find_spec("sevenn") else ["backbones", "integration"]
torch.set_num_threads(1)
settings.register_profile(
    "equisparse", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("equisparse")
