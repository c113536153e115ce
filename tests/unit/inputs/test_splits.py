"""Which frames a configuration names."""

from pathlib import Path
from typing import Any

import pytest

from equisparse.config.finetune import FinetuneConfig
from equisparse.data.demo import demo_files
from equisparse.errors import InputError
from equisparse.inputs.splits import read_splits


def test_a_packaged_set_brings_its_own_splits() -> None:
    splits, files = read_splits(FinetuneConfig(train=["demo"])), demo_files()
    sources = [{Path(frame.source) for frame in frames} for _, frames in splits.items()]
    assert sources == [{files.train}, {files.valid}, {files.test}]


@pytest.mark.parametrize(
    "names", [{"train": ["demo", "mine.xyz"]}, {"train": ["demo"], "valid": ["v.xyz"]}, {"train": ["demo", "demo"]}]
)
def test_a_packaged_set_goes_with_no_other_files(names: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="packaged set"):
        read_splits(FinetuneConfig(**names))


def test_parts_of_packaged_sets_are_files_like_others() -> None:
    splits = read_splits(FinetuneConfig(train=["demo:valid"], valid=["demo:test"]))
    assert [name for name, _ in splits.items()] == ["train", "valid"]
