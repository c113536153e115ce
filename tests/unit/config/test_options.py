"""Options as data: every one has a sentence and a group, and values are checked in one place."""

import re

import pytest

from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.errors import InputError
from equisparse.options import GROUPS, OptionField, options_of
from equisparse.training.options import TrainingOptions

OPTIONS = options_of(EnsembleConfig)


def test_every_field_is_an_option() -> None:
    assert set(OPTIONS) == set(EnsembleConfig.__dataclass_fields__)


@pytest.mark.parametrize("field", OPTIONS.values(), ids=lambda field: field.name)
def test_every_option_has_a_plain_sentence(field: OptionField) -> None:
    sentence = field.option.sentence
    assert 10 < len(sentence) < 140
    assert sentence[0].isupper() or sentence[0].isdigit()
    assert not sentence.endswith(".")
    assert not re.search(r"`|\bint\b|\bstr\b|\bNone\b|\bbool\b|\blist\b", sentence)
    assert field.option.group in GROUPS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"lr": 10.0}, "above 0 and below 10"),
        ({"lr": float("nan")}, "above 0 and below 10"),
        ({"anchor": -0.1}, "at least 0"),
        ({"replay_weight": float("inf")}, "below inf"),
        ({"epochs": 0}, "at least 1"),
        ({"valid_fraction": 1.0}, "above 0 and below 1"),
        ({"optimizer": "adam"}, "adamw or muon or schedulefree"),
        ({"optimizer": "muno"}, "use muon"),
        ({"stress_order": "xx"}, "ase or vasp"),
        ({"batch_size": 2.5}, "a whole number"),
        ({"batch_size": True}, "a whole number"),
        ({"lr": "fast"}, "a number"),
        ({"valid": "v.xyz"}, "a list"),
        ({"valid": [3]}, "a list"),
        ({"spin": "yes"}, "true or false"),
    ],
)
def test_values_out_of_range_are_refused_with_the_range(values: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        FinetuneConfig(train=["a.xyz"], **values)  # type: ignore[arg-type]


def test_a_whole_number_may_stand_for_a_number() -> None:
    assert TrainingOptions(lr=1, gradient_clip=0).lr == 1


def test_two_wishes_that_exclude_each_other() -> None:
    with pytest.raises(InputError, match="mutually exclusive"):
        FinetuneConfig(train=["a.xyz"], changed=0.1, budget="40KB")


def test_members_of_an_ensemble_differ_in_seed_and_folder_alone() -> None:
    config = EnsembleConfig(train=["a.xyz"], members=3, bootstrap=True, seed=4, out="many")
    members = [config.member(number) for number in range(config.members)]
    assert [(member.seed, member.out) for member in members] == [
        (4, "many/member-0"),
        (5, "many/member-1"),
        (6, "many/member-2"),
    ]
    assert all((member.split_seed, member.bootstrap, member.train) == (4, True, ["a.xyz"]) for member in members)
    with pytest.raises(InputError, match="members is out of range"):
        EnsembleConfig(train=["a.xyz"], members=1)


def test_all_conventions_of_labels_can_be_set() -> None:
    config = FinetuneConfig(train=["a.xyz"], stress_order="vasp", stress_sign="opposite", energy_key="E", spin=True)
    assert (config.units.stress_order, config.units.stress_sign) == ("vasp", "opposite")
    assert (config.keys.energy, config.keys.magnetic) == ("E", True)
