"""The command line: words to options, options to configuration, configuration to YAML and back."""

from pathlib import Path

import pytest

from equisparse.cli import build_parser, main, normalised
from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.config.read import read_config
from equisparse.config.size import parse_size
from equisparse.errors import InputError


def parsed(*words: str) -> FinetuneConfig:
    """Configuration of a command line."""
    values = build_parser().parse_args(normalised(list(words))).finetune.as_dict()
    return FinetuneConfig(**{name: value for name, value in values.items() if name != "config"})


def test_words_become_options() -> None:
    config = parsed("finetune", "a.xyz", "b.xyz", "--batch-size", "4", "--targets", "all", "!radial", "--resume")
    assert (config.train, config.batch_size, config.targets) == (["a.xyz", "b.xyz"], 4, ["all", "!radial"])
    assert config.resume is True
    assert config.valid is None


def test_values_after_an_equals_sign() -> None:
    config = parsed("finetune", "a.xyz", "--valid=v.xyz", "--lr=0.02", "--force")
    assert (config.valid, config.lr, config.force) == (["v.xyz"], 0.02, True)


def test_members_of_an_ensemble_differ_in_seed_and_folder_alone() -> None:
    words = ["ensemble", "a.xyz", "--members", "3", "--bootstrap", "--seed", "4", "--out", "many"]
    values = build_parser().parse_args(normalised(words)).ensemble.as_dict()
    config = EnsembleConfig(**{name: value for name, value in values.items() if name != "config"})
    members = [config.member(number) for number in range(config.members)]
    assert [(member.seed, member.out) for member in members] == [
        (4, "many/member-0"),
        (5, "many/member-1"),
        (6, "many/member-2"),
    ]
    assert all((member.split_seed, member.bootstrap, member.train) == (4, True, ["a.xyz"]) for member in members)
    with pytest.raises(InputError, match="members is out of range"):
        EnsembleConfig(train=["a.xyz"], members=1)


def test_numbers_may_be_negative() -> None:
    options = (
        build_parser().parse_args(normalised(["combine", "a", "b", "--weights", "0.5", "-1", "--out", "c"])).combine
    )
    assert (options.adapters, options.weights) == (["a", "b"], [0.5, -1.0])


def test_yaml_round_trip_and_override(tmp_path: Path) -> None:
    config = parsed("finetune", "a.xyz", "--changed", "0.03", "--seed", "7")
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    assert read_config(path) == config
    assert parsed("finetune", "--config", str(path)) == config
    assert parsed("finetune", "--config", str(path), "--seed", "8").seed == 8


def test_an_unknown_key_in_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("train: [a.xyz]\nlearning_rate: 3\n")
    with pytest.raises(InputError, match="learning_rate"):
        read_config(tmp_path / "c.yaml")


@pytest.mark.parametrize(("text", "size"), [("40KB", 40_000), ("40KiB", 40_960), ("512", 512), ("0.1 MB", 100_000)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_no_size() -> None:
    with pytest.raises(InputError, match="Invalid size"):
        parse_size("forty")


def test_user_errors_are_one_message_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none.safetensors")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: There is no such adapter file.")
    assert "Traceback" not in captured.err
