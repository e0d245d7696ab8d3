"""What a plan predicts: spread, detectable differences, smaller designs; how budgets are written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.example_records import example_record, finished_record
from tests.study.example_study import example_context
from tests.tiny_trials import MLP, tiny_images, tiny_trial

import ceteris
from ceteris import recipe as r
from ceteris.api import budget_of, seconds_of
from ceteris.cli.plan_text import disagreement_source
from ceteris.data import split_images
from ceteris.errors import ConfigError
from ceteris.planning.estimate import settings_of, smaller_designs
from ceteris.planning.power import Design, Disagreement, design_of, disagreement_of, gain_of_best
from ceteris.records import CrossValidationSplit, Finished, Trial
from ceteris.stats import t_test_power
from ceteris.stats.outcomes import BlockDifference
from ceteris.stats.two_way import two_way_test
from ceteris.stats.twopart import two_part_test
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


LABELS = tiny_images().labels


def recorded(differ: float, arms: int, *, folds: int = 5, failing: int = 0) -> list[Finished]:
    """Arms that are each wrong on other images, so that two of them differ on this share; ``failing`` arms guess one class."""
    random, found = np.random.default_rng(0), []
    for arm in range(arms):
        recipe = r.Recipe(model=MLP.model, optimizer=r.SGD(lr=0.01 * (1 + arm)), epochs=2)
        for fold in range(folds):
            trial = trial_of(recipe, fold, folds)
            truth = LABELS[split_images(trial.split, LABELS).held_out]
            wrong = random.random(len(truth)) < (1 if arm < failing else differ / 2)
            predicted = np.where(wrong, (truth + 1) % 3, truth).astype(np.uint8)
            accuracy = float(np.mean(predicted == truth))
            found.append(replace(finished_record(trial, accuracy=accuracy), predicted=predicted))
    return found


def trial_of(recipe: r.Recipe, fold: int, folds: int = 5) -> Trial:
    return tiny_trial(recipe, split=CrossValidationSplit(folds=folds, index=fold, seed=0))


def test_how_recipes_differ_is_read_from_the_records_and_an_arm_that_fails_does_not_move_it() -> None:
    design = design_of(recorded(0.1, 30), trial_of(MLP, 0), tiny_images(), len(LABELS))
    found = design.disagreement
    assert (design.folds, design.images, design.drawn) == (5, len(LABELS), 1)
    assert (found.arms, found.blocks) == (30, 5)
    assert found.share == pytest.approx(2 * 0.05 * 0.95, rel=0.2)
    assert found.error == pytest.approx(0.05, rel=0.2)
    assert found.ratio == pytest.approx(1, rel=0.3)  # mistakes here are independent, so images explain all
    disturbed = disagreement_of(recorded(0.1, 30, failing=3), trial_of(MLP, 0), tiny_images())
    assert disturbed.share < 2 * found.share


def test_too_few_records_or_those_of_another_design_leave_an_assumption() -> None:
    few = disagreement_of(recorded(0.1, 2), trial_of(MLP, 0), tiny_images())
    other = disagreement_of(recorded(0.1, 9), trial_of(MLP, 0, folds=3), tiny_images())
    assert few.arms == other.arms == 0
    assert few.error < other.error == 0.1
    assert "assumed: 10 % errors" in disagreement_source(other)
    assert "by 1.4 times what these explain" in disagreement_source(other)
    assert other.share == pytest.approx(0.27 * 0.3)


def test_records_of_the_same_training_under_another_name_tell_nothing() -> None:
    same = [replace(record, predicted=np.zeros_like(record.predicted)) for record in recorded(0.1, 5)]
    assert disagreement_of(same, trial_of(MLP, 0), tiny_images()).arms == 0


DESIGN = Design(folds=5, images=1000, drawn=1.0, disagreement=Disagreement(share=0.1, ratio=1.5, error=0.1))
STUDY = example_context().study


def test_the_difference_that_can_be_found_is_found_by_the_two_part_test_in_four_of_five_simulated_studies() -> None:
    random, found = np.random.default_rng(1), []
    truth = DESIGN.detectable(STUDY, 1, 5)
    # the luck of a training that makes blocks vary 1.5 times as much as their images explain
    luck = np.sqrt(0.5 * 0.1 / 200)
    for _ in range(400):
        blocks = []
        for block in range(5):
            lead = min(truth + random.normal(0, luck), 0.1)  # no more can differ
            values = random.choice([-1.0, 0.0, 1.0], 200, p=[(0.1 - lead) / 2, 0.9, (0.1 + lead) / 2])
            units = np.arange(200 * block, 200 * (block + 1))
            blocks.append(BlockDifference(units=units, values=values, repetition=0, same=False))
        found.append(two_part_test(blocks, folds=5).p_value < 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_more_levels_find_less_and_more_images_or_repetitions_find_more() -> None:
    one = DESIGN.detectable(STUDY, 1, 5)
    assert DESIGN.detectable(STUDY, 4, 5) > one
    assert replace(DESIGN, images=4000).detectable(STUDY, 1, 5) == pytest.approx(one / 2, rel=0.01)
    repeated = DESIGN.detectable(STUDY, 1, 15)
    fresh = replace(DESIGN, drawn=0.1).detectable(STUDY, 1, 15)
    assert fresh < repeated < one


def test_the_strict_test_finds_less() -> None:
    strict = DESIGN.detectable(replace(STUDY, test="corrected-t"), 1, 5)
    assert strict > 1.5 * DESIGN.detectable(STUDY, 1, 5)
    error = np.sqrt(1.5 * 0.1 / 200 * (1 / 5 + 1 / 4))
    assert t_test_power(strict, error=error, degrees=4) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("levels", [1, 4])
def test_the_gain_of_the_best_bet_is_that_of_simulated_factors(levels: int) -> None:
    random, error, noise = np.random.default_rng(2), 0.1, 0.01
    scales = random.choice([0.06, 0.4, 1.2], (20_000, levels), p=[0.5, 0.35, 0.15]) * error
    true = random.normal(0, scales)
    measured = true + random.normal(0, noise, true.shape)
    best = measured.argmax(axis=1)
    rows = np.arange(len(true))
    taken = np.where(measured[rows, best] > 0, true[rows, best], 0.0)  # the posterior mean has the sign of the measured
    assert gain_of_best(levels, noise, error) == pytest.approx(taken.mean(), rel=0.05)


def test_more_levels_and_more_images_bring_more() -> None:
    assert DESIGN.expected_gain(1, 5) < DESIGN.expected_gain(4, 5)
    assert DESIGN.expected_gain(4, 5) < replace(DESIGN, images=100_000).expected_gain(4, 5)


def test_what_a_reserve_finds_is_found_by_the_two_way_test_in_four_of_five_simulated_confirmations() -> None:
    random, found, seeds, images = np.random.default_rng(3), [], 5, 2000
    truth = DESIGN.detectable_on_reserve(STUDY, 1, seeds, images)
    luck = np.sqrt(0.5 * 0.1 * 5 / 1000)
    for _ in range(300):
        once, own = (random.choice([-1.0, 0.0, 1.0], shape, p=[0.05, 0.9, 0.05]) for shape in (images, (seeds, images)))
        # of two images in five the difference comes back with every seed
        table = np.where(random.random(images) < 0.4, once, own)
        found.append(two_way_test(table + truth + random.normal(0, luck, (seeds, 1))).p_value < 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.12)
    assert DESIGN.detectable_on_reserve(STUDY, 6, seeds, images) > truth
    assert DESIGN.detectable_on_reserve(STUDY, 1, 2 * seeds, images) < truth


def test_a_look_at_a_share_of_the_significance_finds_less() -> None:
    assert DESIGN.detectable(STUDY, 1, 5, share=0.3) > DESIGN.detectable(STUDY, 1, 5)


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
    asked = Exploration(folds=5, seeds=2, repetitions=3)
    designs = [(d.repetitions, d.seeds, d.images, d.folds) for d in smaller_designs(asked, 6000)]
    assert designs == [
        (3, 2, 0, 5), (2, 2, 0, 5), (1, 1, 0, 5), (1, 1, 3000, 5), (1, 1, 1500, 5), (1, 1, 1000, 5), (1, 1, 1000, 4),
        (1, 1, 1000, 3),
    ]  # fmt: skip


def test_a_small_design_is_not_made_larger() -> None:
    asked = Exploration(folds=2, images=800, repetitions=1)
    assert [(d.images, d.folds) for d in smaller_designs(asked, 6000)] == [(800, 2)]


def test_a_smaller_design_is_told_as_settings() -> None:
    asked = Exploration(folds=5, seeds=2)
    assert settings_of(asked, asked) == ()
    assert settings_of(asked, Exploration(folds=4, seeds=1, images=1000)) == (
        "exploration.folds=4", "exploration.seeds=1", "exploration.images=1000",
    )  # fmt: skip
