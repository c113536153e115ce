"""Configurations as YAML: written and read again, strict keys, and files of earlier versions."""

from pathlib import Path

import pytest
import yaml

from equisparse.config.finetune import FinetuneConfig
from equisparse.config.read import read_config
from equisparse.config.size import parse_size
from equisparse.config.upgrade import upgraded
from equisparse.errors import InputError

OLD = Path(__file__).parents[2] / "regression" / "configs"
"""Files that version 0.1.0 of June to November 2026 wrote: its defaults, --changed, --spin, and lowrank by --budget."""


def written(folder: Path, text: str) -> Path:
    """A YAML file."""
    path = folder / "c.yaml"
    path.write_text(text)
    return path


def test_a_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = FinetuneConfig(
        train=["a.xyz"],
        changed=0.03,
        seed=7,
        targets=["linear", "!l=2"],
        method_options={"rank": None, "last_lr": 0.5},
    )
    assert read_config(written(tmp_path, config.to_yaml())) == config


def test_numbers_with_an_exponent_need_no_point(tmp_path: Path) -> None:
    text = "train: [a.xyz]\nlr: 1e-3\nout: 1e3\nmethod_options: {start_width: 2e-4}\nloss_weights: {dipole: 1E1}\n"
    with pytest.raises(InputError, match="no such quantity"):  # after the types were checked
        read_config(written(tmp_path, text))
    config = read_config(written(tmp_path, text.partition("loss_weights")[0]))
    assert (config.lr, config.out, config.method_options) == (1e-3, "1e3", {"start_width": 2e-4})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [a.xyz]\nbatchsize: 3\n", "use batch_size"),
        ("train: [a.xyz]\nlearning_rate: 3\n", "learning_rate"),
        ("epochs: 3\n", "no training frames"),
        ("train: [a.xyz]\nepochs: many\n", "a whole number"),
        ("just text", "cannot be read"),
        ("a: [", "cannot be read"),
        ("train: [a.xyz]\nmethod_options: {tau_per: path}\n", "leave out tau_per"),
        ("train: [a.xyz]\nmethod: mmea\nmethod_options: {gate: residual}\n", "leave out gate"),
    ],
)
def test_wrong_files_are_refused_with_the_edit_to_make(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_config(written(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", sorted(OLD.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_of_an_earlier_version_means_the_same(path: Path) -> None:
    values = yaml.safe_load(path.read_text())
    config = read_config(path)
    assert {name: getattr(config, name) for name in values} == values
    assert config.stress_order == "ase"


def test_there_are_files_of_an_earlier_version() -> None:
    assert len(list(OLD.glob("*.yaml"))) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"method": "sparse"}, {"method": "sparse"}),
        ({"method": "sparse", "regime": "H"}, {"method": "soft_threshold", "regime": "H"}),
        ({"method": "sparse", "changed": 0.1}, {"method": "sparse", "changed": 0.1}),
        ({"method": "sparse", "budget": "4KB"}, {"method": "sparse", "budget": "4KB"}),
        (
            {"method": "sparse", "method_options": {"changed": 0.1}},
            {"method": "sparse", "method_options": {"changed": 0.1}},
        ),
        ({"method_options": {"tau_per": "tensor", "rank": 4}}, {"method_options": {"rank": 4}}),
        ({"method": "mmea", "method_options": {"gate": "exp"}}, {"method": "mmea", "method_options": {}}),
        ({"method": None}, {"method": None}),
    ],
)
def test_names_of_earlier_versions_are_translated(old: dict[str, object], new: dict[str, object]) -> None:
    assert upgraded(old) == new


@pytest.mark.parametrize(("text", "size"), [("40KB", 40_000), ("40KiB", 40_960), ("512", 512), ("0.1 MB", 100_000)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["forty", "1.2.3KB", ".", ""])
def test_invalid_sizes(text: str) -> None:
    with pytest.raises(InputError, match="Invalid size"):
        parse_size(text)
