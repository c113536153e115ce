"""Sparse fine-tuning of E(3)-equivariant materials foundation models.

The public names are listed in ``__init__.pyi``, where type checkers and editors find them. Each is imported when it is
first used, so ``import equisparse`` is fast, and reading an adapter imports neither a backbone nor the trainer.
"""

import importlib
from functools import cache
from pathlib import Path

__version__ = "0.1.0"


@cache
def _modules() -> dict[str, str]:
    """Public name -> module that defines it, from the stub file."""
    import ast  # takes as long as everything else here

    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used; ``__all__`` are all of them."""
    if name != "__all__" and name not in _modules():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = __dir__() if name == "__all__" else getattr(importlib.import_module(_modules()[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, for completion."""
    return sorted([*_modules(), "__version__"])
