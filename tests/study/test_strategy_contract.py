"""What every strategy keeps, whichever it is: a new one is in the table and is tested here at once."""

from dataclasses import replace
from typing import get_args

import pytest
from tests.example_records import assert_same
from tests.study.example_search import answered, digests, measured, place_of, search
from tests.study.example_study import driven, record_for

from ceteris.errors import ConfigError
from ceteris.fields import difference, lies_in
from ceteris.planning.dry_run import dry_run
from ceteris.study import search_of, strategy_named
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
    assert requests
