"""Every public name is documented, by a first line that stands alone."""

import ast
import re

FRAGMENT = re.compile(r"(Of|What|Whether) ")
"""Beginnings of a clause, not of a sentence or a noun phrase."""


def documented(definitions):
    """Public classes, functions and methods, less magic methods and the setters of properties."""
    for found in definitions:
        decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in found.node.decorator_list}
        if found.public and not found.node.name.endswith("__") and not decorators & {"setter", "overload"}:
            yield found


def inherits_docstring(method, bases):
    """Whether a class that the method's class inherits from documents the method."""
    name = method.node.name
    for base in bases(method):
        if isinstance(base, type):
            if getattr(getattr(base, name, None), "__doc__", None):
                return True
        elif any(getattr(node, "name", None) == name and ast.get_docstring(node) for node in base.node.body):
            return True
    return False


def test_every_public_name_has_a_docstring(modules, definitions, bases):
    bare = [module.name for module in modules if not ast.get_docstring(module.tree)]
    for found in documented(definitions):
        if not ast.get_docstring(found.node) and not inherits_docstring(found, bases):
            bare += [found.name]
    assert not bare, "\n".join(bare)


def test_first_lines_stand_alone(modules, definitions):
    named = [(module.name, module.tree) for module in modules]
    named += [(found.name, found.node) for found in documented(definitions)]
    fragments, unended = [], []
    for name, node in named:
        first = (ast.get_docstring(node) or "Documented by its base.").splitlines()[0]
        if FRAGMENT.match(first):
            fragments.append(f"{name}: {first}")
        if not first.endswith("."):
            unended.append(f"{name}: {first}")
    assert not unended, "\n".join(unended)
    assert not fragments, "\n".join(fragments)
