"""What every strategy keeps, whichever it is: a new one is in the table and is tested here at once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from tests.example_records import assert_same
from tests.study.example_images import image_record, labels_of
from tests.study.example_search import answered, digests, measured, place_of, search
from tests.study.example_study import driven, record_for

from ceteris.errors import ConfigError
from ceteris.fields import difference, lies_in
from ceteris.findings import Comparison
from ceteris.planning.dry_run import dry_run
from ceteris.records import Record, Trial
from ceteris.study import SearchResult, search_of, strategy_named
from ceteris.study.strategies import STRATEGIES
from ceteris.study.study import STRATEGIES as CHOICES
from ceteris.study.study import Strategy as StrategyChoice

ALL = pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)


def test_the_table_has_the_strategies_that_a_study_file_can_name() -> None:
    assert list(STRATEGIES) == [choice.kind for choice in get_args(get_args(StrategyChoice)[0])]


@ALL
def test_a_strategy_has_its_words(choice: type[StrategyChoice]) -> None:
    strategy = strategy_named(choice.kind)
    assert strategy.name
    assert all(text.endswith(".") for text in (strategy.how, strategy.limits))


@ALL
def test_a_search_takes_the_same_way_whatever_the_order_of_the_records(choice: type[StrategyChoice]) -> None:
    forwards, found = driven(search(place_of(choice())), measured)
    backwards, again = answered(search(place_of(choice())), lambda trial: record_for(trial, measured(trial)))
    assert digests(backwards) == digests(forwards)
    assert_same(again, found)


@ALL
def test_the_baseline_is_trained_and_the_best_differs_from_it_in_what_the_factors_declare(
    choice: type[StrategyChoice],
) -> None:
    place = place_of(choice())
    requests, found = driven(search(place), measured)
    baseline = place.study.models[0].recipe
    assert sum(trial.recipe == baseline for request in requests for trial in request.trials) >= 2
    declared = [field for factor in place.study.factors for field in factor.fields]
    assert all(lies_in(field, declared) for field in difference(baseline, found.best))
    assert found.model.recipe == baseline


@ALL
def test_a_search_survives_trainings_that_all_fail(choice: type[StrategyChoice]) -> None:
    _, found = driven(search(place_of(choice())), lambda trial: None)
    assert found.best == found.model.recipe


@ALL
def test_a_plan_is_at_least_what_a_search_without_findings_trains(choice: type[StrategyChoice]) -> None:
    place, strategy = place_of(choice()), strategy_named(choice.kind)
    planned = {
        trial.digest
        for stage in dry_run(place).stages
        if stage.kind in ("search", "comparison")
        for trial in stage.trials
    }
    requests, _ = driven(search(place), lambda trial: 0.5)
    trained = {trial.digest for request in requests for trial in request.trials}
    assert len(trained) <= len(planned)
    if not strategy.leaves_early(choice()) and not strategy.follows_choices:
        assert trained == planned


@ALL
def test_the_most_that_a_strategy_can_train_is_a_strategy_whose_own_most_it_is(choice: type[StrategyChoice]) -> None:
    most = strategy_named(choice.kind).upper_bound(choice())
    assert strategy_named(most.kind).upper_bound(most) == most


@ALL
def test_a_study_without_factors_is_searched_or_refused_before_anything_is_trained(
    choice: type[StrategyChoice],
) -> None:
    place = place_of(choice())
    study = replace(place.study, factors=())
    if choice.kind in ("joint", "halving"):
        with pytest.raises(ConfigError, match=r"^strategy: .* has nothing to search"):
            strategy_named(choice.kind).check(study)
        return
    strategy_named(choice.kind).check(study)
    requests, found = driven(search_of(replace(place, study=study), study.models[0]), measured)
    assert found.best == study.models[0].recipe
    assert not requests, "there is nothing to choose"
    asked = replace(study, exploration=replace(study.exploration, all_models=True))
    requests, found = driven(search_of(replace(place, study=asked), asked.models[0]), measured)
    assert len(requests) == 1
    assert found.cross_validated is not None
    assert len(found.cross_validated.accuracies) == len(requests[0].trials)


# ---------------------------------------------------------------------------------------------------------------------
# Choices


def chosen(choice: type[StrategyChoice], record: Callable[[Trial], Record], **other: Any) -> SearchResult:
    """Search factors alone (the ranges of a strategy are left out), on 1,000 images."""
    place = replace(place_of(choice(), **other), labels=labels_of(1000))
    return answered(search(place), record)[1]


def normed(trial: Trial) -> bool:
    assert trial.recipe.model.kind == "mlp"
    return trial.recipe.model.batch_norm


def comparisons_of(found: SearchResult) -> list[Comparison]:
    compared = [level.comparison for factor in found.factors for level in factor.levels]
    return [one for one in (*compared, *(candidate.comparison for candidate in found.candidates)) if one]


@ALL
def test_a_level_with_a_large_gain_is_taken_and_shown(choice: type[StrategyChoice]) -> None:
    found = chosen(choice, lambda trial: image_record(trial, 0.8 + 0.1 * normed(trial)))
    assert found.best.model.kind == "mlp"
    assert found.best.model.batch_norm
    assert any(one.verdict == "better" and one.expected_gain > 0.05 for one in comparisons_of(found))


@ALL
def test_where_nothing_helps_the_cautious_keep_the_baseline(choice: type[StrategyChoice]) -> None:
    found = chosen(choice, lambda trial: image_record(trial, 0.8), caution=0.99)
    assert found.best == found.model.recipe


@ALL
def test_identical_trainings_differ_by_exactly_nothing_and_change_nothing(choice: type[StrategyChoice]) -> None:
    found = chosen(choice, lambda trial: image_record(trial, 0.8, same=True), caution=0.0)
    assert found.best == found.model.recipe
    assert comparisons_of(found)
    assert all((one.difference, one.expected_gain, one.identical) == (0.0, 0.0, True) for one in comparisons_of(found))
    reasons = {factor.reason.kind for factor in found.factors}
    assert reasons <= {"same-training", "in-best-recipe"}


@ALL
def test_a_recipe_of_which_a_training_failed_is_never_taken(choice: type[StrategyChoice]) -> None:
    def record(trial: Trial) -> Record:
        fails = normed(trial) and trial.split.kind == "cross-validation" and trial.split.index == 1
        return image_record(trial, None if fails else 0.8 + 0.1 * normed(trial))

    found = chosen(choice, record)
    assert found.best.model.kind == "mlp"
    assert not found.best.model.batch_norm
