"""What a plan predicts: spread, detectable differences, smaller designs; how budgets are written."""

from pathlib import Path

import numpy as np
import pytest
from tests.example_records import example_record, finished_record
from tests.study.example_study import FACTOR, example_context
from tests.tiny_trials import MLP, tiny_trial

import ceteris
from ceteris import recipe as r
from ceteris.api import budget_of, seconds_of
from ceteris.cli.plan_text import spread_source
from ceteris.errors import ConfigError
from ceteris.planning.dry_run import dry_run
from ceteris.planning.estimate import settings_of, smaller_designs
from ceteris.planning.power import assumed_spread, detectable, spread_of
from ceteris.records import CrossValidationSplit, Finished, Trial
from ceteris.stats import t_test_power
from ceteris.store import Store
from ceteris.study import Exploration

# ---------------------------------------------------------------------------------------------------------------------
# Times


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), (" 1H 0.5m", 3630), (12.5, 12.5)]
)
def test_a_duration_is_read(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "30", "1m30h", "two hours", "0s", "1e3s", -1.0, float("nan"), float("inf")])
def test_what_is_no_duration_is_refused_with_examples(text: str | float) -> None:
    with pytest.raises(ConfigError, match="as 90s, 30m, 2h or 1h30m"):
        seconds_of(text)


def test_a_budget_needs_something_to_spend_it_on() -> None:
    assert budget_of(True, "2h") == 7200
    assert budget_of(True, None) is budget_of(False, None) is None
    with pytest.raises(ConfigError, match="--until-decided"):
        budget_of(False, "2h")
    with pytest.raises(ConfigError, match="until_decided=True"):
        ceteris.run("digits", budget=60)


# ---------------------------------------------------------------------------------------------------------------------
# What can be found


def recorded(spread: float, arms: int, *, folds: int = 5, failing: int = 0) -> list[Finished]:
    """Arms whose differences have this spread; ``failing`` arms vary wildly."""
    random = np.random.default_rng(0)
    found = []
    for arm in range(arms):
        recipe = r.Recipe(model=MLP.model, optimizer=r.SGD(lr=0.01 * (1 + arm)), epochs=2)
        for fold in range(folds):
            noise = random.normal(0, 0.2 if arm < failing else spread / np.sqrt(2))
            found.append(finished_record(trial_of(recipe, fold, folds), accuracy=0.8 + noise))
    return found


def trial_of(recipe: r.Recipe, fold: int, folds: int = 5) -> Trial:
    return tiny_trial(recipe, split=CrossValidationSplit(folds=folds, index=fold, seed=0))


def test_the_spread_is_that_of_the_records_and_an_arm_that_fails_does_not_move_it() -> None:
    spread = spread_of(recorded(0.01, 40), trial_of(MLP, 0), 100)
    assert (spread.arms, spread.blocks) == (40, 5)
    assert spread.deviation == pytest.approx(0.01, rel=0.35)
    disturbed = spread_of(recorded(0.01, 40, failing=3), trial_of(MLP, 0), 100)
    assert disturbed.deviation < 0.03


def test_too_few_records_or_those_of_another_design_leave_an_assumption() -> None:
    few = spread_of(recorded(0.01, 2), trial_of(MLP, 0), 100)
    other = spread_of(recorded(0.01, 9), trial_of(MLP, 0, folds=3), 100)
    assert few.arms == other.arms == 0
    assert other.accuracy == 0.9
    assert "assumption" in spread_source(other)
    # two recipes that are right on 90 % of 100 images, each in its own way, disagree on 18 % of them
    assert other.deviation == pytest.approx(np.sqrt(0.18 / 100))


def test_the_spread_falls_with_the_square_root_of_the_held_out_images() -> None:
    assert assumed_spread(100).deviation == pytest.approx(2 * assumed_spread(400).deviation)


def test_a_detectable_difference_is_found_with_power_0_8_after_bonferroni() -> None:
    place = example_context(factors=(FACTOR,))
    rate, confirmation, final = dry_run(place).stages
    spread = assumed_spread(200)
    found = detectable(place.study, rate, spread)
    assert found is not None
    error = spread.deviation * np.sqrt(1 / 3 + 1 / 2)
    power = t_test_power(found, error=error, degrees=2, significance=0.05 / 2)
    assert power == pytest.approx(0.8, abs=1e-4)
    more = detectable(place.study, rate, spread, repetitions=4)
    assert more is not None
    assert more < found
    assert detectable(place.study, confirmation, spread) is not None
    assert detectable(place.study, final, spread) is None


def test_accuracies_are_read_from_the_store_without_their_arrays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for fold, status in ((0, "finished"), (1, "diverged"), (2, "finished")):
        store.put(example_record(trial_of(MLP, fold), accuracy=0.5 + fold / 10, status=status))
    (tmp_path / "records" / "ff").mkdir(exist_ok=True)
    (tmp_path / "records" / "ff" / "broken.safetensors").write_bytes(b"broken")
    found = {(entry.trial.split, entry.accuracy) for entry in store.finished("tiny")}
    assert found == {(trial_of(MLP, fold).split, 0.5 + fold / 10) for fold in (0, 2)}
    assert list(store.finished("other data")) == []


# ---------------------------------------------------------------------------------------------------------------------
# Smaller designs


def test_designs_shrink_by_repetitions_then_images_then_folds() -> None:
    designs = [(d.seeds, d.images, d.folds) for d in smaller_designs(Exploration(folds=5, seeds=3), 6000)]
    assert designs == [
        (3, 0, 5), (2, 0, 5), (1, 0, 5), (1, 3000, 5), (1, 1500, 5), (1, 1000, 5), (1, 1000, 4), (1, 1000, 3),
    ]  # fmt: skip


def test_a_small_design_is_not_made_larger() -> None:
    assert [(d.images, d.folds) for d in smaller_designs(Exploration(folds=2, images=800), 6000)] == [(800, 2)]


def test_a_smaller_design_is_told_as_settings() -> None:
    asked = Exploration(folds=5, seeds=2)
    assert settings_of(asked, asked) == ()
    assert settings_of(asked, Exploration(folds=4, seeds=1, images=1000)) == (
        "exploration.folds=4", "exploration.seeds=1", "exploration.images=1000",
    )  # fmt: skip
