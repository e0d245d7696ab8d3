"""A quick version of benchmarks/calibration.py, whose full tables stand in docs/methodology.md."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STUDIES = 600  # the standard error of a share of 5 % is 0.9 points


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("calibration")


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(2026)


def row(
    calibration: ModuleType, title: str, generator: np.random.Generator
) -> tuple[float, float, float, float, float]:
    design = next(design for design in calibration.DESIGNS if design.title == title)
    found = calibration.corrected_row(design, STUDIES, generator)
    return found.false_positives, found.plain_false_positives, found.coverage, found.power, found.formula


def test_corrected_test_keeps_its_word_where_its_model_holds(
    calibration: ModuleType, generator: np.random.Generator
) -> None:
    false_positives, plain, coverage, power, formula = row(
        calibration, "Gaussian, correlation 1/5, 5 blocks", generator
    )
    assert false_positives == pytest.approx(0.05, abs=0.03)
    assert coverage == pytest.approx(0.95, abs=0.03)
    assert power == pytest.approx(formula, abs=0.06)
    assert plain > 0.1


@pytest.mark.parametrize("title", ["class means, 5 folds", "nearest neighbour, 5 folds"])
def test_corrected_test_is_careful_on_one_real_cross_validation(
    calibration: ModuleType, generator: np.random.Generator, title: str
) -> None:
    false_positives, _, coverage, _, _ = row(calibration, title, generator)
    assert false_positives < 0.07
    assert coverage > 0.94


def test_repeated_real_cross_validation_needs_the_correction(
    calibration: ModuleType, generator: np.random.Generator
) -> None:
    false_positives, plain, coverage, _, _ = row(calibration, "class means, 5 × 5 folds, new folds per seed", generator)
    assert false_positives < 0.07
    assert plain > 0.2
    assert coverage > 0.93


def test_a_factor_of_null_levels_is_rarely_claimed(calibration: ModuleType, generator: np.random.Generator) -> None:
    found = calibration.verdicts(150, generator)
    assert max(found.values()) < 0.1


def test_wilson_interval_covers_small_test_sets(calibration: ModuleType, generator: np.random.Generator) -> None:
    assert dict(calibration.test_set_coverage(400, generator))["accuracy 98%, 100 images"] > 0.9


def test_seeds_and_images_both_count_on_a_test_set(calibration: ModuleType, generator: np.random.Generator) -> None:
    design = calibration.TestSet(seeds=5, images=2000, luck=0.02, opinion=0.05)
    one_seed, two_way, power, coverage = calibration.two_way_row(design, 150, generator)
    assert one_seed > 0.4
    assert two_way < 0.1
    assert power > 0.4
    assert coverage > 0.88


@pytest.fixture
def two_part(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("calibration_two_part")


@pytest.mark.parametrize("repetitions", [1, 3])
@pytest.mark.parametrize("title", ["class means, 200 images", "nearest neighbour, 200 images", "Gaussian, luck 1"])
def test_two_part_test_keeps_its_word_and_finds_more(
    two_part: ModuleType, generator: np.random.Generator, title: str, repetitions: int
) -> None:
    world = next(world for world in two_part.WORLDS if world.title == title)
    null, gained = (
        two_part.first_repetitions(world.draw(generator, STUDIES, gain), repetitions) for gain in (0.0, world.gain)
    )
    two_part.check(null)
    truth = float(gained.differences.mean())
    assert two_part.two_part(null).claims() < 0.08
    assert two_part.two_part(gained).coverage(truth) > 0.92
    assert two_part.two_part(gained).claims() > two_part.corrected_t(gained).claims()
