"""Laws of the checks of an audit, as functions: ``for law in AUDIT_LAWS: law(check, data)``.

Call them with frames that have the problem and with frames that do not have it. Each law raises AssertionError if it is
violated.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.finding import Finding, Level
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.inference.dataset import by_frame
from equisparse.quantities import Quantity

AuditCheck = Callable[[FrameSet], Iterable[Finding]]
"""A check of one set of frames."""
AuditLaw = Callable[[AuditCheck, FrameSet], None]
"""A law of one check on one set of frames."""


def findings_are_complete(check: AuditCheck, data: FrameSet) -> None:
    """Every finding has a level, a code for the documentation, a message and advice, and names frames of the set."""
    for finding in check(data):
        assert finding.level in get_args(Level), finding
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", finding.code), f"{finding.code} is not words joined by hyphens"
        for text in (finding.message, finding.next_step):
            assert text == text.strip(), f"{finding.code}: {text!r}"
            assert len(text.split()) > 1, f"{finding.code}: {text!r} is too short"
            assert not text.endswith("."), f"{finding.code}: a line of a list ends without a full stop"
        assert finding.dataset == data.name, finding
        assert list(finding.frames) == sorted(set(finding.frames) & set(range(len(data.frames)))), finding


def findings_are_reproducible(check: AuditCheck, data: FrameSet) -> None:
    """A second call gives the same findings."""
    assert list(check(data)) == list(check(_fresh(data)))


def frames_are_not_changed(check: AuditCheck, data: FrameSet) -> None:
    """Structures and labels are the same after the check."""
    before = [_contents(frame) for frame in data.frames]
    list(check(data))
    for index, (frame, expected) in enumerate(zip(data.frames, before, strict=True)):
        assert _contents(frame) == expected, f"frame {index} was changed"


def order_does_not_matter(check: AuditCheck, data: FrameSet) -> None:
    """Frames in another order give the same findings, about as many frames."""
    order = np.random.default_rng(0).permutation(len(data.frames))
    found = [(one.level, one.code, len(one.frames)) for one in check(_taken(data, order))]
    assert sorted(found) == sorted((one.level, one.code, len(one.frames)) for one in check(data))


def few_frames_are_accepted(check: AuditCheck, data: FrameSet) -> None:
    """Every frame alone can be checked, with and without its labels."""
    for index, frame in enumerate(data.frames):
        alone = _taken(data, [index])
        findings_are_complete(check, alone)
        bare = FrameSet(data.name, [LabelledFrame(frame.atoms)], data.elements, alone.base, spins=data.spins)
        findings_are_complete(check, bare)


AUDIT_LAWS: tuple[AuditLaw, ...] = (
    findings_are_complete,
    findings_are_reproducible,
    frames_are_not_changed,
    order_does_not_matter,
    few_frames_are_accepted,
)
"""All laws."""


def _fresh(data: FrameSet) -> FrameSet:
    """Same set without the quantities that were computed."""
    return FrameSet(data.name, data.frames, data.elements, data.base, spins=data.spins)


def _taken(data: FrameSet, indices: Sequence[int] | NDArray[np.int64]) -> FrameSet:
    """Some frames of a set, with their predictions of the base."""
    frames = [data.frames[index] for index in indices]
    base = None if data.base is None else dict(_predictions(data, indices))
    return FrameSet(data.name, frames, data.elements, base, spins=data.spins)


def _predictions(data: FrameSet, indices: Sequence[int] | NDArray[np.int64]) -> Iterator[tuple[Quantity, Floats]]:
    """Predictions of the base for some frames of a set."""
    base = data.base or {}
    parts = by_frame(base, np.array([frame.n_atoms for frame in data.frames]))
    for quantity in base:
        chosen = [parts[index][quantity] for index in indices]
        yield quantity, np.concatenate(chosen) if quantity.per == "atom" else np.stack(chosen)


def _contents(frame: LabelledFrame) -> str:
    """All numbers of a frame as text."""
    atoms = frame.atoms
    return repr((atoms.todict(), atoms.info, dict(frame.labels), frame.fixed, dict(frame.weights)))
