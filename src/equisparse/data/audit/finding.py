"""Findings of an audit, and their text for a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
"""Severity of a finding. Error: training fails or gives a wrong model. Warning: look at it. Note: good to know."""

_ORDER: dict[str, int] = {"error": 0, "warning": 1, "note": 2}
_MOST_RANGES = 6


@dataclass(frozen=True)
class Finding:
    """One observation of an audit.

    Parameters
    ----------
    level : {"error", "warning", "note"}
        Severity.
    code : str
        Stable name of the observation, such as ``duplicate-frames``.
    message : str
        The observation, with numbers and units.
    frames : tuple of int
        Indices into the audited list, rising; empty if the finding is about the whole set.
    next_step : str
        Advice.
    dataset : str
        ``train``, ``valid`` or ``test``: the list that `frames` refers to.
    """

    level: Level
    code: str
    message: str
    frames: tuple[int, ...]
    next_step: str
    dataset: str = "train"

    @property
    def page(self) -> str:
        """Section of the documentation that explains the finding."""
        return f"docs/findings.md#{self.code}"


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: errors, then warnings, then notes; otherwise in the given order."""
    return sorted(findings, key=lambda finding: _ORDER[finding.level])


def has_errors(findings: Iterable[Finding]) -> bool:
    """Return whether any finding is an error."""
    return any(finding.level == "error" for finding in findings)


def format_findings(findings: Iterable[Finding]) -> str:
    """Plain text of findings for a terminal, errors first, two or three lines each, with the section that explains it.

    >>> print(format_findings([Finding("note", "few-frames", "only 3 frames", (0, 1, 2), "add frames")]))
    NOTE few-frames: only 3 frames
      train frames 0-2 (3 frames)
      -> add frames (docs/findings.md#few-frames)
    0 errors, 0 warnings, 1 note
    """
    ordered = sort_findings(findings)
    counts = [sum(finding.level == level for finding in ordered) for level in _ORDER]
    summary = ", ".join(f"{n} {level}{'' if n == 1 else 's'}" for n, level in zip(counts, _ORDER, strict=True))
    return "\n".join([*(_format_one(finding) for finding in ordered), summary])


def format_frames(frames: Sequence[int]) -> str:
    """Frame indices in short form: ``0-4, 9, ... (37 frames)``.

    >>> format_frames([0, 1, 2, 3, 4, 9])
    '0-4, 9 (6 frames)'
    """
    ranges: list[list[int]] = []
    for index in sorted(frames):
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in ranges[:_MOST_RANGES]]
    more = ["..."] if len(ranges) > _MOST_RANGES else []
    return f"{', '.join(texts + more)} ({len(frames)} frame{'' if len(frames) == 1 else 's'})"


def _format_one(finding: Finding) -> str:
    """Lines of text about one finding."""
    lines = [f"{finding.level.upper()} {finding.code}: {finding.message}"]
    if finding.frames:
        lines.append(f"  {finding.dataset} frames {format_frames(finding.frames)}")
    elif finding.dataset != "train":
        lines.append(f"  {finding.dataset} set")
    return "\n".join([*lines, f"  -> {finding.next_step} ({finding.page})"])
