"""What was chosen meets the baseline again, as it would be delivered, on data that no choice has seen."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.study.example_images import image_record, images_context
from tests.study.example_search import ACTIVATION, answered
from tests.study.example_study import NORM
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.data import split_images
from ceteris.execution.queue import Request
from ceteris.findings import Confirmation, FactorPath
from ceteris.records import Record, Trial
from ceteris.study import ExperimentContext, Exploration, Final, SearchResult, model_experiment
from ceteris.study.model_experiment import (
    adjusted_over_models,
    confirm,
    delivered_recipe,
    expected_after,
    sure_choices,
)
from ceteris.study.study import ConfirmationDesign

NORMED = replace(MLP, model=r.MLP(hidden=(16,), batch_norm=True))
MANY, FEW = 2500, 1000


def normed(trial: Trial) -> bool:
    assert isinstance(trial.recipe.model, r.MLP)
    return trial.recipe.model.batch_norm


def place_of(count: int, **other: object) -> ExperimentContext:
    parts = {"exploration": Exploration(folds=5), "final": Final(seeds=1, validation=0.2, patience=3, epochs=7)}
    return images_context(count, factors=(NORM, ACTIVATION), **parts | other)


def explored(place: ExperimentContext, best: r.Recipe = NORMED) -> SearchResult:
    return SearchResult(model=place.study.models[0], best=best, search=FactorPath(factors=1, around="best", changed=1))


def confirmed(
    count: int, record: Callable[[Trial], Record], **other: object
) -> tuple[list[Request], Confirmation, SearchResult]:
    place = place_of(count, **other)
    requests, found = answered(confirm(place, explored(place)), record)
    assert isinstance(found, Confirmation)
    return requests, found, explored(place)


def gaining(gain: float, count: int) -> Callable[[Trial], Record]:
    return lambda trial: image_record(trial, 0.85 + gain * normed(trial), count)


def test_a_fifth_of_many_images_is_kept_for_the_confirmation_alone() -> None:
    place = place_of(MANY)
    requests, result = answered(model_experiment(place, place.study.models[0]), gaining(0.08, MANY))
    assert place.labels is not None
    seen, reserved = set[int](), set[int]()
    for request in requests:
        for trial in request.trials:
            images = split_images(trial.split, place.labels)
            if request.kind == "confirmation":
                assert (trial.recipe.epochs, trial.patience, len(images.held_out)) == (7, 3, 500)
                assert len(images.fitted) == 2000 * 0.8
                reserved |= set(images.held_out.tolist())
            elif request.kind != "final":
                seen |= {*images.fitted.tolist(), *images.held_out.tolist()}
    assert len(reserved) == 500
    assert not reserved & seen
    found = result.confirmation
    assert found is not None
    assert (found.fresh, found.images, found.fitted, found.epochs, len(found.best)) == (True, 500, 1600, 7, 5)
    assert found.comparison is not None
    assert (found.comparison.test, found.comparison.verdict) == ("two-way", "better")
    assert found.delivered != "baseline"
    assert result.found.best == delivered_recipe(result.found, found)


def test_few_images_are_confirmed_on_new_splits_and_said_to_be() -> None:
    requests, found, _ = confirmed(FEW, gaining(0.08, FEW))
    assert len(requests[0].trials) == 2 * 10
    assert (found.fresh, found.images, found.fitted, len(found.best)) == (False, FEW, 640, 10)
    assert found.comparison is not None
    assert (found.comparison.test, found.comparison.verdict) == ("two-part", "better")


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_choice_that_was_luck_is_not_delivered(count: int) -> None:
    _, found, search = confirmed(count, gaining(-0.08, count))
    assert found.delivered == "baseline"
    assert found.gain < 0
    assert found.comparison is not None
    assert found.comparison.verdict == "worse"
    assert delivered_recipe(search, found) == MLP


def test_a_recipe_of_which_a_training_failed_is_not_delivered() -> None:
    _, found, _ = confirmed(FEW, lambda trial: image_record(trial, None if normed(trial) else 0.8, FEW))
    assert (found.delivered, found.comparison) == ("baseline", None)


def test_nothing_is_confirmed_where_the_baseline_stays_or_the_study_wants_none() -> None:
    place = place_of(MANY)
    assert answered(confirm(place, explored(place, MLP)), gaining(0, MANY))[1] is None
    place = place_of(MANY, confirmation=ConfirmationDesign(seeds=0))
    assert place.reserve == 0
    assert answered(confirm(place, explored(place)), gaining(0, MANY))[1] is None


def test_the_sure_choices_alone_are_confirmed_too() -> None:
    """Normalisation brings 8 points; the small gain of an activation is less than 90 % likely to help."""

    def record(trial: Trial) -> Record:
        assert isinstance(trial.recipe.model, r.MLP)
        return image_record(
            trial, 0.8 + 0.08 * normed(trial) + 0.004 * (trial.recipe.model.activation.kind == "gelu"), FEW
        )

    for seed in range(20):
        place = place_of(FEW, seed=seed)
        _, result = answered(model_experiment(place, place.study.models[0]), record)
        assert result.confirmation is not None
        if [recipe.name for recipe in result.confirmation.recipes] == ["chosen", "sure"]:
            break
    assert result.confirmation is not None
    chosen, sure = result.confirmation.recipes
    assert sure.recipe == NORMED
    assert chosen.recipe != NORMED
    assert sure_choices(place, replace(result.found, best=chosen.recipe)) == NORMED


def test_exploration_and_confirmation_are_weighed_by_how_sure_they_are() -> None:
    _, found, _ = confirmed(FEW, gaining(0.08, FEW))
    measured = found.comparison
    assert measured is not None
    gain, chance = expected_after([(0.02, 0.001)], measured)
    assert 0.02 < gain < measured.difference
    assert chance > 0.99
    assert expected_after([], measured) == (measured.expected_gain, measured.chance)
    promised, likely = expected_after([(0.02, 0.001), (0.01, 0.02)], None)
    assert promised == pytest.approx(0.03)
    assert 0.5 < likely < 1


def test_one_claim_is_made_for_each_model_and_they_share_the_significance() -> None:
    place = place_of(FEW)
    results = []
    for gain in (0.08, 0.02, 0.0):
        _, result = answered(model_experiment(place, place.study.models[0]), gaining(gain, FEW))
        results.append(result)
    adjusted = [one.confirmation.comparison for one in adjusted_over_models(results, 0.05) if one.confirmation]
    alone = [one.confirmation.comparison for one in results if one.confirmation]
    assert len(adjusted) >= 2
    for claim, before in zip(adjusted, alone, strict=True):
        assert claim is not None
        assert before is not None
        assert claim.levels == len(adjusted)
        assert claim.adjusted_p >= before.adjusted_p
        assert (claim.verdict == "better") == (claim.adjusted_p < 0.05 and claim.difference > 0)


def test_studies_of_nothing_end_with_no_claim() -> None:
    """30 studies, of which 2.5 % may claim an improvement."""
    claims = 0
    for seed in range(30):
        place = place_of(FEW, seed=seed * 17)
        _, result = answered(model_experiment(place, place.study.models[0]), gaining(0.0, FEW))
        found = result.confirmation
        claims += bool(found and found.comparison and found.comparison.verdict == "better")
    assert claims <= 3  # binomial: more happens with probability 0.6 % at 2.5 %
