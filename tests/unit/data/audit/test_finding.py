"""How findings read."""

from equisparse.data.audit.finding import Finding, format_findings, format_frames, has_errors, sort_findings

NOTE = Finding("note", "few-frames", "only 3", (), "add frames")
WARNING = Finding("warning", "net-force", "not zero", (4, 5, 6, 9), "look", "test")
ERROR = Finding("error", "not-finite", "NaN", (3,), "remove")


def test_errors_come_first_and_are_counted() -> None:
    assert sort_findings([NOTE, WARNING, ERROR]) == [ERROR, WARNING, NOTE]
    assert format_findings([NOTE, WARNING, ERROR]).splitlines() == [
        "ERROR not-finite: NaN",
        "  train frames 3 (1 frame)",
        "  -> remove (docs/findings.md#not-finite)",
        "WARNING net-force: not zero",
        "  test frames 4-6, 9 (4 frames)",
        "  -> look (docs/findings.md#net-force)",
        "NOTE few-frames: only 3",
        "  -> add frames (docs/findings.md#few-frames)",
        "1 error, 1 warning, 1 note",
    ]
    assert format_findings([]) == "0 errors, 0 warnings, 0 notes"


def test_has_errors() -> None:
    assert has_errors([NOTE, ERROR])
    assert not has_errors([NOTE, WARNING])


def test_many_ranges_are_cut() -> None:
    assert format_frames([0, 1, 2, 3, 4, 9]) == "0-4, 9 (6 frames)"
    assert format_frames(range(0, 100, 2)) == "0, 2, 4, 6, 8, 10, ... (50 frames)"


def test_findings_about_a_whole_other_set_name_it() -> None:
    assert "  valid set\n" in format_findings([Finding("note", "x", "y", (), "z", "valid")])
