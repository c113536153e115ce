"""Sparse fine-tuning of E(3)-equivariant materials foundation models.

The names below are imported when they are first used, so that reading an adapter needs no backbone and no trainer.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "load_backbone": "equisparse.backbones.registry",
    "read_frames": "equisparse.data.read",
    "make_method": "equisparse.methods.registry",
    "select": "equisparse.methods.select",
    "attach": "equisparse.adapters.attach",
    "load_adapter": "equisparse.adapters.file",
    "save_adapter": "equisparse.adapters.file",
    "AdapterBank": "equisparse.adapters.bank",
    "combine": "equisparse.adapters.arithmetic",
    "FinetuneConfig": "equisparse.config.finetune",
    "finetune": "equisparse.tasks.finetune",
    "calculator": "equisparse.tasks.calculator",
    "bank": "equisparse.tasks.calculator",
    "EnsembleConfig": "equisparse.config.finetune",
    "train_ensemble": "equisparse.tasks.ensemble",
    "merge": "equisparse.deploy.merge",
}

__all__ = [*_NAMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)
