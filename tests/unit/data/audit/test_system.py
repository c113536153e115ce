"""Charges, multiplicities and fields of frames, which are read one at a time."""

import weakref
from collections.abc import Iterator

from equisparse.data.audit.system import system_values


class Info(dict[str, object]):
    """Information of a frame that can be watched."""


def test_a_name_that_appears_late_is_absent_before() -> None:
    infos = [{"energy": 1.0}, {"charge": 1, "name": "a"}, {"charge": 1.0, "multiplicity": "3"}, {}]
    assert system_values(infos) == {
        "charge": ["not given", "1", "1", "not given"],
        "multiplicity": ["not given", "not given", "3", "not given"],
    }


def test_no_frame_is_kept_and_equal_values_are_one_object() -> None:
    ended: list[int] = []

    def infos() -> Iterator[Info]:
        for index in range(50):
            info = Info(charge=index % 2)
            weakref.finalize(info, ended.append, index)
            yield info
            assert len(ended) >= index - 1

    values = system_values(infos())["charge"]
    assert values == ["0", "1"] * 25
    assert values[0] is values[2]
