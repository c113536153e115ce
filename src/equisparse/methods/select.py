"""Selection of the tensors of a layout that a method may change."""

import fnmatch
import re
from collections.abc import Sequence

from equisparse.blocks import ROLES, Block, Layout
from equisparse.errors import SelectionError

_DEGREE = re.compile(r"^l=(\d+)$")


def select(layout: Layout, targets: Sequence[str]) -> Layout:
    """Select the tensors that match any target.

    Parameters
    ----------
    layout : Layout
        All tensors of a model.
    targets : sequence of str
        Each target is ``"all"``, a role such as ``"linear"`` or ``"radial"``, a degree such as ``"l=2"`` (tensors that
        have a block of that degree), or a shell pattern over tensor names such as ``"3_*"``. A leading ``!``
        removes the matching tensors.

    Raises
    ------
    SelectionError
        If a target matches no tensor, or no tensor is left.
    """
    selected: set[str] = set()
    for target in targets:
        matched = _matches(layout, target.removeprefix("!"))
        selected = selected - matched if target.startswith("!") else selected | matched
    if not selected:
        raise SelectionError(
            "No tensor is selected.",
            given=", ".join(targets) or "nothing",
            expected="at least one target that is not removed by another one",
            next_step="give `--targets all` or a role: " + ", ".join(sorted({block.role for block in layout})),
        )
    return layout.restrict(selected)


def _matches(layout: Layout, target: str) -> set[str]:
    """Tensors that match one target."""
    matched = {block.tensor for block in layout if _block_matches(block, target)}
    if not matched:
        raise SelectionError(
            f"The target {target!r} matches no tensor.",
            given=target,
            expected="`all`, a role, `l=N`, or a pattern over tensor names",
            cause="a misspelt name, or this base has no such tensors",
            next_step="roles here: "
            + ", ".join(role for role in ROLES if any(block.role == role for block in layout))
            + "; first names: "
            + ", ".join(layout.tensors[:3]),
        )
    return matched


def _block_matches(block: Block, target: str) -> bool:
    """Return whether a block matches a target."""
    if degree := _DEGREE.match(target):
        return block.l == int(degree[1])
    return target in ("all", block.role) or fnmatch.fnmatchcase(block.tensor, target)
