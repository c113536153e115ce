"""The benchmarks use the package as a user does: only what `equisparse` itself offers, but for the listed modules."""

import ast

INTERNALS = {
    "cost": {
        "equisparse.adapters.adapter",
        "equisparse.adapters.parameters",
        "equisparse.backbones.accelerators",
        "equisparse.backbones.e3nn.compiled",
        "equisparse.inference.dataset",
        "equisparse.inference.predict",
        "equisparse.inputs.splits",
        "equisparse.methods.base",
        "equisparse.methods.grouped",
        "equisparse.methods.soft_threshold",
        "equisparse.training.loss",
        "equisparse.training.optim",
    },
    "elements": {"equisparse.interpret.changes"},
    "ensemble": {"equisparse.formats.entries"},
    "magnetism": {
        "equisparse.backbones.base",
        "equisparse.inference.dataset",
        "equisparse.inference.predict",
        "equisparse.inputs.splits",
        "equisparse.magnetism.model",
        "equisparse.training.loss",
    },
    "run_profile": {"equisparse.cli"},
    "scale": {"equisparse.testing.small_sevennet"},
    "supports": {"equisparse.interpret.changes", "equisparse.interpret.stability"},
}
"""Benchmark -> modules of which it needs more than the public names: it times single steps or a whole command, or
builds adapters."""


def imported(tree: ast.Module) -> set[str]:
    """Modules of the package that a source text imports."""
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return {module for module in modules if module.startswith("equisparse.")}


def test_benchmarks_import_public_names(root):
    found = {path.stem: imported(ast.parse(path.read_text())) for path in (root / "benchmarks").glob("*.py")}
    assert len(found) > 10
    assert {name: modules for name, modules in found.items() if modules} == INTERNALS
