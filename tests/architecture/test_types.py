"""Public signatures say what they take and give: no `Any`."""

import ast
import fnmatch

ALLOWED = {
    "equisparse.backbones.*(batch)": "a batch of the upstream",
    "equisparse.backbones.*(graphs)": "graphs of the upstream",
    "equisparse.backbones.*.graph ->": "a graph of the upstream",
    "equisparse.backbones.*.collate ->": "a batch of the upstream",
    "equisparse.backbones.*.features.*(model)": "a model of the upstream",
    "equisparse.backbones.e3nn.*": "e3nn has no types",
    "equisparse.deploy.calculator.results(graph)": "a graph of the upstream",
    "equisparse.inference.dataset.*.graph*": "graphs of the upstream",
    "equisparse.inference.sample.Sample.graph": "graphs of the upstream",
    "equisparse.magnetism.model.SpinGraph.graph": "a graph of the upstream",
}
"""Patterns of places where `Any` may stand, each with the reason."""


def names_any(annotation):
    """Whether an annotation holds `Any`."""
    if annotation is None:
        return False
    names = {getattr(node, "attr", getattr(node, "id", None)) for node in ast.walk(annotation)}
    return "Any" in names


def places(found):
    """Places of a definition that say `Any`: ``name(parameter)``, ``name ->``, ``name.field``."""
    node = found.node
    if isinstance(node, ast.ClassDef):
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and not field.target.id.startswith("_") and names_any(field.annotation):
                yield f"{found.name}.{field.target.id}"
        return
    given = node.args
    for parameter in [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]:
        if parameter is not None and names_any(parameter.annotation):
            yield f"{found.name}({parameter.arg})"
    if names_any(node.returns):
        yield f"{found.name} ->"


def is_fixed(found, bases):
    """Whether another package's class fixes the signature of a method."""
    return any(isinstance(base, type) and hasattr(base, found.node.name) for base in bases(found))


def test_public_signatures_have_no_any(definitions, bases):
    wrong = []
    for found in definitions:
        if found.public and not is_fixed(found, bases):
            wrong += [place for place in places(found) if not any(fnmatch.fnmatch(place, one) for one in ALLOWED)]
    assert not wrong, "\n".join(wrong)
