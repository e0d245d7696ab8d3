from dataclasses import replace

import numpy as np
import pytest
from tests.study.example_study import FACTOR, NORM, Accuracy, driven, example_context, example_study, model
from tests.tiny_trials import CNN, MLP, RESNET, tiny_trial

from ceteris import recipe as r
from ceteris.execution.queue import Request
from ceteris.findings import Failure
from ceteris.planning.timing import images_of
from ceteris.records import HoldoutSplit, Trial
from ceteris.report.search_words import decision_text
from ceteris.study import (
    Exploration,
    Factor,
    Final,
    Level,
    SearchResult,
    exploration_trials,
    final_trials,
    model_experiment,
    without_residual,
)
from ceteris.study.arms import arms_of
from ceteris.study.model_experiment import ModelResult
from ceteris.study.strategies import search_of
from ceteris.study.strategies.greedy import factor_by_factor
from ceteris.user_code import ALL_IMPORTS


def lr_of(recipe: r.Recipe) -> float:
    assert isinstance(recipe.optimizer, r.SGD | r.Adam)
    return recipe.optimizer.lr


def by_rate(trial: Trial) -> float:
    """The higher the rate the better, and every fold a little different."""
    noise = trial.split.index / 1e4 * lr_of(trial.recipe) if trial.split.kind == "cross-validation" else 0
    return 0.5 + lr_of(trial.recipe) / 2 + noise


def explored(accuracy: Accuracy = by_rate, **other: object) -> tuple[list[Request], SearchResult]:
    place = example_context(**other)
    return driven(factor_by_factor(place, place.study.models[0]), accuracy)


def test_every_factor_is_one_request_of_all_its_arms_on_all_blocks() -> None:
    requests, _ = explored(exploration=Exploration(folds=3, seeds=2))
    assert [(request.model, request.stage) for request in requests] == [("mlp", "rate"), ("mlp", "norm")]
    assert requests[0].labels == ("lr 0.05",) * 6 + ("lr 0.2",) * 6 + ("lr 0.5",) * 6
    assert [lr_of(trial.recipe) for trial in requests[0].trials] == [0.05] * 6 + [0.2] * 6 + [0.5] * 6


def test_the_arms_of_a_factor_differ_in_nothing_but_the_recipe() -> None:
    (request, _), _ = explored()
    blocks = [[replace(trial, recipe=MLP) for trial in request.trials[start : start + 3]] for start in (0, 3, 6)]
    assert blocks[0] == blocks[1] == blocks[2]
    assert blocks[0][0] != blocks[0][1]


def test_the_next_factor_starts_from_the_best_so_far() -> None:
    requests, route = explored()
    assert {lr_of(trial.recipe) for trial in requests[1].trials} == {0.5}
    assert route.best == replace(MLP, optimizer=r.SGD(lr=0.5))
    rate, norm = route.factors
    assert [(level.label, level.incumbent, level.chosen) for level in rate.levels] == [
        ("lr 0.05", True, False), ("lr 0.2", False, False), ("lr 0.5", False, True),
    ]  # fmt: skip
    assert [(level.label, level.incumbent, level.chosen) for level in norm.levels] == [
        ("off", True, True), ("on", False, False),
    ]  # fmt: skip


def test_when_nothing_helps_the_baseline_is_the_best() -> None:
    _, route = explored(lambda trial: 0.7)
    assert route.best == MLP
    comparison = route.factors[0].levels[1].comparison
    assert comparison is not None
    assert (comparison.difference, comparison.verdict) == (0.0, "equivalent")


def test_what_a_level_did_on_every_block_is_written_down() -> None:
    _, route = explored(lambda trial: None if lr_of(trial.recipe) == 0.2 and trial.split.kind != "holdout" else 0.75)
    steady, broken = route.factors[0].levels[:2]
    np.testing.assert_array_equal(steady.accuracies, [0.75] * 3)
    np.testing.assert_array_equal(steady.f1, [0.25] * 3)
    assert (steady.comparison, steady.changes, steady.failures) == (None, (), ())
    assert (steady.parameters, steady.forward_flops_per_image) == (10, 1000)
    assert np.isnan([broken.accuracies, broken.f1, broken.losses, broken.train_seconds]).all()
    assert broken.failures == (Failure(status="diverged", error="it diverged: é"),) * 3
    assert broken.changes == ("optimizer.lr: 0.05 → 0.2",)


@pytest.mark.parametrize(("asked", "stages"), [(False, []), (True, [("cross-validation", ("mlp",) * 3)])])
def test_a_model_without_factors_is_cross_validated_only_where_that_is_asked_for(
    asked: bool, stages: list[tuple[str, tuple[str, ...]]]
) -> None:
    place = example_context(factors=(), exploration=Exploration(folds=3, seeds=1, all_models=asked))
    requests, found = driven(search_of(place, place.study.models[0]), by_rate)
    assert [(request.stage, request.labels) for request in requests] == stages
    assert (found.best, found.factors) == (MLP, ())
    assert (found.cross_validated is not None) == asked


def test_a_factor_of_another_model_is_passed_over() -> None:
    requests, _ = explored(factors=(replace(FACTOR, models=("cnn",)), NORM))
    assert [request.stage for request in requests] == ["norm"]


def test_an_incumbent_that_is_no_level_is_compared_too() -> None:
    arms = arms_of(FACTOR, replace(MLP, optimizer=r.SGD(lr=0.3)))
    assert arms.incumbent == "as before (0.3)"
    assert list(arms.recipes) == [arms.incumbent, "lr 0.05", "lr 0.2", "lr 0.5"]
    assert arms.recipes[arms.incumbent] == replace(MLP, optimizer=r.SGD(lr=0.3))


def test_an_incumbent_that_is_a_level_stands_in_its_place() -> None:
    arms = arms_of(FACTOR, replace(MLP, optimizer=r.SGD(lr=0.2)))
    assert (list(arms.recipes), arms.incumbent) == (["lr 0.05", "lr 0.2", "lr 0.5"], "lr 0.2")


MOMENTUM = Factor(
    name="momentum",
    fields=("optimizer.momentum",),
    levels=(
        Level(label="without", changes={"optimizer.momentum": 0.0}),
        Level(label="with", changes={"optimizer.momentum": 0.9}),
    ),
)
ADAM = Factor(
    name="optimizer",
    tune=(), fields=("optimizer",), levels=(Level(label="adam", changes={"optimizer": {"kind": "adam", "lr": 0.5}}),)
)  # fmt: skip


def test_a_level_that_does_not_fit_what_was_found_is_left_out_and_the_study_goes_on() -> None:
    requests, route = explored(factors=(ADAM, MOMENTUM, NORM))
    assert isinstance(route.best.optimizer, r.Adam)
    assert [request.stage for request in requests] == ["optimizer", "momentum", "norm"]
    momentum = route.factors[1]
    assert [(level.label, level.incumbent, level.chosen) for level in momentum.levels] == [("as before", True, True)]
    assert 'with was left out, as it does not fit the best setting so far: "optimizer" (adam) has no' in decision_text(
        momentum
    )
    assert len(route.factors[2].levels) == 2


def test_a_factor_whose_field_is_gone_is_explored_where_it_fits() -> None:
    arms = arms_of(MOMENTUM, MLP)
    assert (list(arms.recipes), arms.incumbent) == (["without", "with"], "without")


# ---------------------------------------------------------------------------------------------------------------------
# Trials, finals and the plan


def test_blocks_are_all_folds_of_every_seed_and_repetitions_have_folds_of_their_own() -> None:
    trials = exploration_trials(example_context(seed=10, exploration=Exploration(folds=2, seeds=2, images=30)), MLP)
    splits = [
        (trial.seed, trial.split.seed, trial.split.index) for trial in trials if trial.split.kind == "cross-validation"
    ]
    assert splits == [(10, 10, 0), (10, 10, 1), (11, 11, 0), (11, 11, 1)]
    assert {(trial.patience, trial.keep_weights, trial.keep_snapshots, trial.split.kind) for trial in trials} == {
        (0, False, False, "cross-validation")
    }


def test_final_trainings_stop_early_and_keep_their_weights() -> None:
    trials = final_trials(example_context(seed=5), MLP)
    assert [(trial.seed, trial.keep_weights, trial.keep_snapshots) for trial in trials] == [
        (5, True, True), (6, True, False),
    ]  # fmt: skip
    assert [trial.split for trial in trials] == [HoldoutSplit(fraction=0.25, seed=seed) for seed in (5, 6)]
    assert {(trial.patience, trial.recipe.epochs) for trial in trials} == {(2, 3)}
    kept = final_trials(example_context(final=Final(seeds=1, epochs=0, test_curves=False)), MLP)
    assert [(trial.recipe.epochs, trial.keep_snapshots) for trial in kept] == [(MLP.epochs, False)]


def finished(recipe: r.Recipe) -> tuple[list[Request], ModelResult]:
    place = example_context(models=(model("net", recipe),), factors=(FACTOR,))
    return driven(model_experiment(place, place.study.models[0]), by_rate)


def test_baseline_and_best_are_trained_in_the_end() -> None:
    requests, outcome = finished(MLP)
    assert [request.stage for request in requests] == ["rate", "confirmation", "final"]
    assert requests[-1].labels == ("baseline", "baseline", "best", "best")
    assert {version: [record.trial.seed for record in records] for version, records in outcome.finals.items()} == {
        "baseline": [0, 1], "best": [0, 1],
    }  # fmt: skip
    assert outcome.finals["best"][0].trial.recipe == replace(outcome.found.best, epochs=3)


def test_a_resnet_is_trained_without_its_connections_too() -> None:
    _, outcome = finished(RESNET)
    plain = outcome.finals["plain"][0].trial.recipe
    assert isinstance(plain.model, r.ResNet)
    assert not plain.model.residual
    assert replace(plain, model=replace(plain.model, residual=True)) == replace(outcome.found.best, epochs=3)


def test_a_cnn_with_shortcuts_is_trained_as_the_cnn_that_it_is_without_them() -> None:
    assert isinstance(CNN.model, r.CNN)
    connected = replace(CNN.model, residual=2, shortcut="projection")
    assert without_residual(replace(CNN, model=connected)) == CNN


@pytest.mark.parametrize("recipe", [MLP, replace(RESNET, model=r.ResNet(residual=False))])
def test_there_is_nothing_to_take_away_where_there_are_no_residual_connections(recipe: r.Recipe) -> None:
    assert without_residual(recipe) is None


@pytest.mark.parametrize(("images", "fitted"), [(0, 80), (60, 40), (500, 80)])
def test_the_images_that_a_trial_fits_on_are_counted(images: int, fitted: int) -> None:
    (trial, *_) = exploration_trials(example_context(exploration=Exploration(folds=3, images=images)), MLP)
    assert images_of(trial, 120)[0] == fitted


def test_a_holdout_leaves_the_rest_to_fit_on() -> None:
    assert images_of(tiny_trial(split=HoldoutSplit(fraction=0.25, seed=0)), 120) == (90, 30)


def test_own_code_is_part_of_a_trial_s_address() -> None:
    own = replace(MLP, model=r.CustomModel(path="tests.training.own_code:Recording"))
    (trial, *_) = exploration_trials(replace(example_context(), imports=ALL_IMPORTS), own)
    (plain, *_) = exploration_trials(example_context(), MLP)
    assert len(trial.code) == 64
    assert plain.code == ""
    assert example_study() == example_context().study
