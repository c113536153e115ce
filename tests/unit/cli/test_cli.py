"""The command line: words to options, help, suggestions, exit codes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

import equisparse
from equisparse.cli import main
from equisparse.cli.app import build_app, name_of, parsed
from equisparse.cli.command import Command
from equisparse.cli.commands import PANELS
from equisparse.cli.commands.adapter import Combine
from equisparse.cli.commands.train import Ensemble, Finetune
from equisparse.cli.terminal import plain
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.read import read_config
from equisparse.magnetism.orders import Order
from equisparse.options import options_of
from equisparse.run.folder import Run
from equisparse.tasks.ensemble import EnsembleRun

COMMANDS = [command for commands in PANELS.values() for command in commands]


def finetune(*words: str) -> Finetune:
    """Options of a fine-tune."""
    command = parsed(["finetune", *words])
    assert isinstance(command, Finetune)
    return command


def test_words_become_options() -> None:
    config = finetune("a.xyz", "b.xyz", "--batch-size", "4", "--targets", "all", "!radial", "--resume", "--no-fast")
    assert (config.train, config.batch_size, config.targets) == (["a.xyz", "b.xyz"], 4, ["all", "!radial"])
    assert (config.resume, config.fast, config.valid) == (True, False, None)


def test_options_may_come_first() -> None:
    assert finetune("--spin", "a.xyz", "b.xyz").train == ["a.xyz", "b.xyz"]


@pytest.mark.parametrize("words", [["a.xyz", "b.xyz"], ["--train", "a.xyz", "b.xyz"], ["--frames", "a.xyz", "b.xyz"]])
def test_frames_may_be_named(words: list[str]) -> None:
    assert finetune(*words, "--seed", "3").train == ["a.xyz", "b.xyz"]


def test_values_after_an_equals_sign() -> None:
    config = finetune("a.xyz", "--valid=v.xyz", "--lr=0.02", "--force", "--fast=false", "--spin=true")
    assert (config.valid, config.lr, config.force, config.fast, config.spin) == (["v.xyz"], 0.02, True, False, True)


@pytest.mark.parametrize("word", ["--batch-size", "--batch_size"])
def test_both_spellings_of_a_name(word: str) -> None:
    assert finetune("a.xyz", word, "4").batch_size == 4


@pytest.mark.parametrize(
    "words",
    [
        ["--method-options.rank", "16", "--method-options.start-width", "0.5", "--method-options.x", "null"],
        ["--method-options.rank=16", "--method-options.start_width=0.5", "--method-options.x=null"],
        ["--method-options", '{"rank": 16, "start_width": 0.5, "x": null}'],
    ],
)
def test_options_of_a_method(words: list[str]) -> None:
    assert finetune("a.xyz", *words).method_options == {"rank": 16, "start_width": 0.5, "x": None}


def test_options_of_methods_take_numbers_with_an_exponent() -> None:
    assert finetune("a.xyz", "--method-options.start-width", "1e-3").method_options == {"start_width": 1e-3}


def test_numbers_may_be_negative() -> None:
    command = parsed(["combine", "a", "b", "--weights", "0.5", "-1", "--out", "c"])
    assert isinstance(command, Combine)
    assert (command.adapters, command.weights) == (["a", "b"], [0.5, -1.0])


def test_options_of_an_ensemble() -> None:
    command = parsed(["ensemble", "a.xyz", "--members", "3", "--out", "many"])
    assert isinstance(command, Ensemble)
    assert (command.members, command.out) == (3, "many")


def test_the_file_of_a_run_and_options_that_override_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(FinetuneConfig(train=["a.xyz"], changed=0.03, seed=7, method_options={"rank": 4}).to_yaml())
    command = finetune("--config", str(path), "--seed", "8", "--valid", "v.xyz")
    assert (command.train, command.changed, command.seed, command.valid) == (["a.xyz"], 0.03, 8, ["v.xyz"])
    assert finetune("--config", str(path)).to_yaml() != ""
    assert read_config(path).method_options == finetune("--config", str(path)).method_options


def test_the_configuration_that_is_written_holds_no_options_of_the_command() -> None:
    command = finetune("a.xyz", "-q", "--json")
    assert command.quiet
    assert command.json


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["finetune", "a.xyz", "--batchsize", "3"], "Did you mean --batch-size?"),
        (["finetne", "a.xyz"], 'Did you mean "finetune"?'),
        (["finetune", "a.xyz", "--optimizer", "adam"], 'Did you mean "adamw"?'),
        (["finetune", "a.xyz", "--lr", "x"], '"x" is not a number'),
        (["finetune", "a.xyz", "--lr"], "--lr needs a value"),
        (["finetune", "a.xyz", "--seed", "-1"], "at least 0"),
        (["finetune", "a.xyz", "--fast", "false"], "--fast=false"),
        (["finetune"], "There are no training frames"),
        (["evaluate", "a.xyz"], "--base MODEL is missing"),
        (["evaluate", "--base", "7net-0"], "FRAMES... is missing"),
        (["evaluate", "a.xyz", "--base", "7net-0", "--json", "e.json"], "--json > e.json"),
        (["finetune", "a.xyz", "--changed", "0.1", "--budget", "4KB"], "mutually exclusive"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert not captured.out
    assert "Traceback" not in captured.err


def test_verbose_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none.safetensors"), "-v"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_user_errors_are_one_message_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none.safetensors")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: There is no such adapter file.")
    assert "Traceback" not in captured.err


def test_an_interrupted_command_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Finetune, "run", interrupt)
    assert main(["finetune", "a.xyz"]) == 130
    assert "--resume" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == equisparse.__version__


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], []):
        assert main(words) == 0
        text = capsys.readouterr().out
        assert text.startswith("Usage: equisparse COMMAND [OPTIONS]\n")
        assert all(re.search(rf"│ {name_of(command)} ", text) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_help_of_a_command(
    command: type[Command], columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main([name_of(command), "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: equisparse {name_of(command)} ")
    assert max(map(len, text.splitlines())) <= int(columns)
    shown = " ".join(re.sub("[│╭╰─╮╯]", " ", text).split())
    for name, field in options_of(command).items():
        assert field.option.sentence
        spelling = name.rstrip("_").replace("_", "-")
        assert field.option.positional or re.search(rf"--(no-)?{spelling}\b", shown), name
    assert "`" not in text
    assert "default: None" not in shown
    assert not re.search("true|True|False", text)


def test_completion_knows_commands_and_options() -> None:
    script = build_app().generate_completion(shell="bash")  # noqa: S604  the name of a shell
    assert "finetune" in script
    assert "--batch-size" in script


def test_the_help_imports_no_torch() -> None:
    code = (
        "import sys; from equisparse.cli import main; main(['finetune', '--help']); main(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'ase', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_json_of_values() -> None:
    assert plain({"a": (1, 2.5, float("nan")), 3: Path("x"), "b": {"c": None, "d": True}}) == {
        "a": [1, 2.5, None],
        "3": "x",
        "b": {"c": None, "d": True},
    }
    with pytest.raises(TypeError):
        plain(object())


def test_json_holds_all_orders(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ranked = [Order(Atoms("H"), 0.1 * rank, np.array([1.0]), "+", 1) for rank in range(30)]
    monkeypatch.setattr("equisparse.tasks.orders.orders", lambda *_, **__: ranked)
    words = ["orders", "a.xyz", "--base", "7net-0", "--adapter", "a.safetensors", "--top", "5"]
    assert main([*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 30
    assert main(words) == 0
    assert "the lowest 5 of 30" in capsys.readouterr().out


def test_an_audit_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["audit", "demo:valid", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] > 0
    assert code == (2 if any(finding["level"] == "error" for finding in found["findings"]) else 0)


def test_other_processes_read_nothing_of_what_the_first_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished = Run(tmp_path)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("equisparse.tasks.finetune.finetune_config", lambda *_, **__: unfinished)
    monkeypatch.setattr(
        "equisparse.tasks.ensemble.ensemble_config", lambda *_, **__: EnsembleRun(tmp_path, (unfinished,))
    )
    for command in ("finetune", "ensemble"):
        assert main([command, "a.xyz", "--json", "--devices", "2"]) == 0
    assert capsys.readouterr().out == ""
