"""The source text of the package, parsed once, for the rules of its architecture."""

import ast
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Module(NamedTuple):
    """A module of the package: its dotted name, its file and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    def imports(self) -> dict[str, str]:
        """Names that the module imports, with what they stand for."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return found


class Definition(NamedTuple):
    """A class or function of the package.

    `name` is dotted, module and class included; `public` says that no part of it is private and that the definition
    does not stand in a function; `owner` is the name of a method's class.
    """

    name: str
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    public: bool
    owner: str | None
    module: Module


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module of the package."""
    source, found = ROOT / "src", []
    for path in sorted(source.rglob("*.py")):
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        found.append(Module(name.removesuffix(".__init__"), path, ast.parse(path.read_text(), str(path))))
    return found


@pytest.fixture(scope="session")
def definitions(modules: list[Module]) -> list[Definition]:
    """Every class and function of the package, those inside of others included."""
    return [found for module in modules for found in _definitions(module, module.tree, module.name, None, True)]


@pytest.fixture(scope="session")
def functions(definitions: list[Definition]) -> list[Definition]:
    """Every function and method of the package."""
    return [found for found in definitions if isinstance(found.node, FUNCTIONS)]


@pytest.fixture(scope="session")
def bases(definitions: list[Definition]) -> Callable[[Definition], Iterator[Definition | type]]:
    """Function that gives the classes that a method's class inherits from: definitions here, types from elsewhere."""
    classes = {found.name: found for found in definitions if isinstance(found.node, ast.ClassDef)}

    def listed(method: Definition) -> Iterator[Definition | type]:
        waiting = [classes[method.owner]] if method.owner else []
        while waiting:
            child = waiting.pop()
            for name in _base_names(child):
                if name in classes:
                    waiting.append(classes[name])
                    yield classes[name]
                elif (outside := _imported(name)) is not None:
                    yield outside

    return listed


def _definitions(module: Module, parent: ast.AST, prefix: str, owner: str | None, public: bool) -> Iterator[Definition]:
    """Definitions below a node of a module's syntax tree."""
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _definitions(module, node, prefix, owner, public)
            continue
        name, is_class = f"{prefix}.{node.name}", isinstance(node, ast.ClassDef)
        is_public = public and (not node.name.startswith("_") or node.name.endswith("__"))
        yield Definition(name, node, is_public, owner, module)
        yield from _definitions(module, node, name, name if is_class else None, is_public and is_class)


def _base_names(child: Definition) -> list[str]:
    """Dotted names of the classes that a class names as its bases."""
    imports, names = child.module.imports(), []
    for base in child.node.bases:
        first, *rest = ast.unparse(base.value if isinstance(base, ast.Subscript) else base).split(".")
        names.append(".".join([imports.get(first, f"{child.module.name}.{first}"), *rest]))
    return names


def _imported(name: str) -> type | None:
    """Class of that dotted name, if its package is installed."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
