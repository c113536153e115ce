"""What the command line prints while a task runs, and what is left of it when a command is quiet."""

from collections.abc import Callable
from pathlib import Path

import pytest

from equisparse.cli.listener import TerminalListener
from equisparse.cli.terminal import Terminal
from equisparse.data.audit.finding import Finding
from equisparse.run.folder import read_run

FINDINGS = [Finding("warning", "w", "a warning", (), "do this"), Finding("note", "n", "a note", (), "do that")]


@pytest.mark.parametrize("quiet", [False, True])
def test_results_and_warnings_stay_when_a_command_is_quiet(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    listener = TerminalListener(Terminal(quiet=quiet))
    listener.notice("speed", "a remark")
    listener.audited(FINDINGS, stopped=False)
    listener.finished(read_run(make_run(judged="valid")))
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("a warning", "force MAE", "changed    3 weights", "results    "))
    assert [text in shown for text in ("a remark", "a note")] == [not quiet, not quiet]


def test_nothing_but_json_is_on_standard_output(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    listener = TerminalListener(Terminal(json=True))
    listener.audited(FINDINGS, stopped=False)
    listener.member_started(0, 2, 7, finished_before=False)
    listener.finished(read_run(make_run(judged="valid")))
    captured = capsys.readouterr()
    assert not captured.out
    assert "a warning" in captured.err
