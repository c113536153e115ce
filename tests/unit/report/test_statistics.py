"""Errors per frame and group are those computed the slow way; intervals and verdicts follow from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.report.html.sections.verdict import checks, error_ratios, judgement, verdict
from equisparse.report.statistics import (
    errors_by_element,
    errors_by_type,
    frame_errors,
    ratio_interval,
    worst_frames,
)
from equisparse.run.files import RunFolder
from equisparse.run.folder import read_run
from equisparse.run.predictions import SplitPredictions, load_predictions


@pytest.fixture
def split(make_run) -> SplitPredictions:
    """Twelve frames of four atoms, as read from a file."""
    return load_predictions(RunFolder(make_run()).predictions_of("test"))


def test_frames_have_their_own_atoms(split: SplitPredictions) -> None:
    before, after = frame_errors(split, FORCES)
    for frame in range(split.n_frames):
        own = split.atoms_of(frame)
        label = split.labels[FORCES][own]
        assert before[frame] == pytest.approx(1e3 * np.abs(split.before[FORCES][own] - label).mean())
        assert after[frame] == pytest.approx(1e3 * np.abs(split.after[FORCES][own] - label).mean())
        assert (split.frame_of_atom[own] == frame).all()
    first, second = frame_errors(split, ENERGY)
    np.testing.assert_allclose(second, 0.5 * first)


def test_groups_have_their_own_errors(split: SplitPredictions) -> None:
    oxygen, magnesium = errors_by_element(split)
    assert (oxygen.name, magnesium.name, oxygen.count) == ("O", "Mg", 24)
    assert oxygen.force_after == pytest.approx(oxygen.force_before)
    assert magnesium.force_after == pytest.approx(0.5 * magnesium.force_before)
    cold, hot = errors_by_type(split)
    assert (cold.name, cold.count, hot.name) == ("cold", 6, "hot")
    assert cold.energy_after == pytest.approx(frame_errors(split, ENERGY)[1][::2].mean())
    assert errors_by_type(replace(split, config_type=np.full(12, "cold"))) == []


def test_worst_frames_come_first_and_unlabelled_ones_never(split: SplitPredictions) -> None:
    worst = worst_frames(split, 3)
    assert worst == np.argsort(-frame_errors(split, FORCES)[1])[:3].tolist()
    forces = split.labels[FORCES].copy()
    forces[split.atoms_of(worst[0])] = np.nan
    assert worst_frames(replace(split, labels={**split.labels, FORCES: forces}), 12) == worst_frames(split, 12)[1:]
    without = replace(split, labels={**split.labels, FORCES: np.full_like(forces, np.nan)})
    assert worst_frames(without, 1) == [int(frame_errors(split, ENERGY)[1].argmax())]


def test_ratio_of_equal_gains_is_exact_and_without_labels_there_is_none() -> None:
    before, weights = np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3])
    found = ratio_interval(before, 0.5 * before, weights)
    assert found is not None
    assert (found.ratio, found.low, found.high, found.better, found.n_frames) == (0.5, 0.5, 0.5, 1.0, 3)
    assert ratio_interval(np.full(3, np.nan), before, weights) is None


@pytest.mark.parametrize(("gain", "mark"), [(0.5, "good"), (1.0, "caution"), (3.0, "bad")])
def test_verdict_follows_the_errors(make_run, predictions, gain: float, mark: str) -> None:
    run = read_run(make_run(predictions=predictions(12, 4, gain=gain)))
    assert judgement(error_ratios(run))[0] == mark


def test_the_verdict_says_where(make_run, predictions) -> None:
    mixed = str(verdict(read_run(make_run("mixed"))))
    assert "decreases most for Mg (to 50 % of the base&#39;s) and least for O (100 %)" in mixed
    worse = str(verdict(read_run(make_run("worse", predictions(12, 4, gain=3.0)))))
    assert "It increases for Mg, cold and hot." in worse


def test_a_worse_stress_is_no_clear_gain(make_run, predictions) -> None:
    split = predictions(12, 4)
    ones = np.ones_like(split.labels[STRESS])
    parts = {"labels": 0 * ones, "before": ones, "after": 2 * ones}
    changed = {name: {**getattr(split, name), STRESS: values} for name, values in parts.items()}
    run = read_run(make_run(predictions=replace(split, **changed)))
    sentence = "The fine-tuned model is better than its base in force and energy, and worse in stress."
    assert judgement(error_ratios(run)) == ("caution", sentence)


def test_checks_name_what_was_not_done(make_run) -> None:
    run = read_run(make_run(judged="valid"))
    found = dict(reversed(check) for check in checks(run, error_ratios(run)))
    assert next(mark for text, mark in found.items() if "selected the best epoch" in text) == "caution"
    assert next(mark for text, mark in found.items() if "merged checkpoint" in text) == "good"
    assert list(found.values()).count("open") == 2


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="not contain a finished run"):
        read_run(tmp_path)
