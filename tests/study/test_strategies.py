from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.example_records import example_record
from tests.study.example_images import image_record, images_context
from tests.study.example_search import answered
from tests.study.example_study import NORM, Accuracy, driven, example_context, example_study, model
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.errors import ConfigError
from ceteris.execution.queue import Request
from ceteris.findings import Comparison, Confirmation, FactorPath
from ceteris.records import Trial
from ceteris.report.search_words import confirmation_sentence, decision_text, search_text, tuning_sentence
from ceteris.study import ExperimentContext, Exploration, Extension, Factor, Level, SearchResult, parse_study
from ceteris.study.arms import arm
from ceteris.study.model_experiment import confirm
from ceteris.study.strategies import search_of
from ceteris.study.strategies.comparison import looks_of, reserve
from ceteris.study.strategies.tuning import tune_arms
from ceteris.study.study import ConfirmationDesign, LeaveOneOut, Nuisance, OneAtATime, Study, nuisances_of
from ceteris.study.trials import CONFIRMATION_REPETITION, TUNING_REPETITION, exploration_trials

ADAM = Level(label="adam", changes={"optimizer": {"kind": "adam", "lr": 0.001}})
SGD = Level(label="sgd", changes={"optimizer": {"kind": "sgd", "lr": 0.001}})
OPTIMIZER = Factor(name="optimizer", fields=("optimizer",), levels=(SGD, ADAM))
BASE = replace(MLP, optimizer=r.SGD(lr=0.001))


def lr_of(recipe: r.Recipe) -> float:
    assert isinstance(recipe.optimizer, r.SGD | r.Adam)
    return recipe.optimizer.lr


def norm_of(recipe: r.Recipe) -> bool:
    assert isinstance(recipe.model, r.MLP)
    return recipe.model.batch_norm


def noise(trial: Trial, size: float = 0.002) -> float:
    """A number that belongs to the recipe and the block alone."""
    return size * (int(trial.digest[:6], 16) / 2**24 - 0.5)


def near(best: float, recipe: r.Recipe) -> float:
    """How good a learning rate is: 0 at the best one, less by 0.1 for every factor of ten."""
    return -0.1 * abs(float(np.log10(lr_of(recipe) / best)))


def explored(place: ExperimentContext, accuracy: Accuracy) -> tuple[list[Request], SearchResult]:
    return driven(search_of(place, place.study.models[0]), accuracy)


# ---------------------------------------------------------------------------------------------------------------------
# Tuning inside the arms


def by_optimizer(trial: Trial) -> float:
    """SGD is as good as Adam, at a rate that is a hundred times as high."""
    best = 0.1 if trial.recipe.optimizer.kind == "sgd" else 0.001
    return 0.9 + near(best, trial.recipe) + noise(trial)


def sgd_case(tune: tuple[Nuisance, ...] | None) -> SearchResult:
    place = example_context(models=(model("net", BASE),), factors=(replace(OPTIMIZER, tune=tune),))
    return explored(place, by_optimizer)[1]


def test_an_optimizer_at_a_rate_that_suits_another_one_loses_and_at_its_own_it_does_not() -> None:
    untuned, tuned = (
        {level.label: level for level in case.factors[0].levels} for case in (sgd_case(()), sgd_case(None))
    )
    assert losses(untuned["adam"].comparison) == pytest.approx(0.2, abs=0.01)
    assert losses(tuned["adam"].comparison) - losses(tuned["sgd, tuned"].comparison) < 0.06


def test_nothing_changes_untested_a_tuned_incumbent_is_compared_with_itself_as_it_was() -> None:
    levels = sgd_case(None).factors[0].levels
    assert [(level.label, level.incumbent) for level in levels] == [
        ("sgd", True), ("sgd, tuned", False), ("adam", False),
    ]  # fmt: skip
    assert levels[0].tuning == ()
    assert losses(levels[1].comparison) == pytest.approx(0.143, abs=0.01)
    found = sgd_case(())
    assert [level.label for level in found.factors[0].levels] == ["sgd", "adam"]


def test_all_arms_have_the_same_number_of_tuning_trials_and_their_effort_counts_them() -> None:
    levels = sgd_case(None).factors[0].levels[1:]
    assert [len(level.tuning[0].values) for level in levels] == [5, 5]
    assert [level.effort.trials for level in levels] == [3 + 5 * 2, 3 + 5 * 2]
    assert levels[0].effort.epochs == 13 * 2


def test_an_optimum_at_the_edge_is_followed_and_said() -> None:
    sgd, adam = (level.tuning[0] for level in sgd_case(None).factors[0].levels[1:])
    assert sgd.chosen == pytest.approx(0.027)  # three steps of 3 towards 0.1
    assert (sgd.widened, sgd.at_edge) == (2, True)
    assert "edge" in tuning_sentence(sgd)
    assert adam.chosen == pytest.approx(0.001)
    assert (adam.widened, adam.at_edge) == (0, False)
    assert "edge" not in tuning_sentence(adam)
    assert "optimizer.lr = 0.027" in decision_text(sgd_case(None).factors[0])


def test_tuning_never_meets_the_blocks_of_the_comparison() -> None:
    place = example_context(models=(model("net", BASE),), factors=(OPTIMIZER,))
    requests, _ = explored(place, by_optimizer)
    seeds = {request.stage: {trial.seed for trial in request.trials} for request in requests}
    assert seeds["optimizer: tuning"] == {TUNING_REPETITION}
    assert seeds["optimizer"] == {0}


@given(st.integers(3, 7), st.floats(-2.5, 2.5), st.floats(1.5, 10))
def test_a_search_spends_its_trials_and_ends_at_the_best_value_it_tried(trials: int, place: float, step: float) -> None:
    best = 0.01 * step**place
    arms = {"sgd": replace(MLP, optimizer=r.SGD(lr=0.01))}
    steps = tune_arms(example_context(), "net", OPTIMIZER, (Nuisance(trials=trials, step=step),), arms)
    _, tuned = driven(steps, lambda trial: 0.9 + near(best, trial.recipe))
    finding = tuned["sgd"].findings[0]
    assert len(finding.values) == trials
    assert len({round(np.log(value), 6) for value in finding.values}) == trials  # no value twice
    assert lr_of(tuned["sgd"].recipe) == finding.chosen == finding.values[int(np.argmax(finding.accuracies))]


@pytest.mark.parametrize(
    ("named", "start"),
    [("sgd", 0.1), ({"kind": "sgd", "momentum": 0.9}, 0.1), ({"kind": "sgd", "lr": 0.002}, 0.002), ("adam", 0.001)],
    ids=["a name", "without its rate", "with its rate", "whose default serves"],
)
def test_a_search_starts_at_a_rate_that_serves_where_a_level_names_none(named: Any, start: float) -> None:
    level = Level(label="level", changes={"optimizer": named})
    factor = replace(OPTIMIZER, levels=(level,))
    arms = {"level": arm(BASE, factor, level), "as before": BASE}
    _, tuned = driven(
        tune_arms(example_context(), "net", factor, (Nuisance(),), arms), lambda trial: 0.9 + near(start, trial.recipe)
    )
    assert tuned["level"].findings[0].start == lr_of(tuned["level"].recipe) == start
    assert tuned["as before"].findings[0].start == 0.001


def test_a_value_that_diverges_or_is_not_allowed_loses() -> None:
    momentum = Nuisance(field="optimizer.momentum", trials=4, step=2.0)
    start = replace(MLP, optimizer=r.SGD(lr=0.1, momentum=0.6))
    _, tuned = driven(
        tune_arms(example_context(), "net", OPTIMIZER, (momentum,), {"sgd": start}),
        lambda trial: None if momentum_of(trial.recipe) < 0.5 else 0.5,
    )
    assert momentum_of(tuned["sgd"].recipe) == 0.6  # 1.2 is no momentum, 0.3 diverges
    assert np.isnan(tuned["sgd"].findings[0].accuracies).sum() >= 2


def momentum_of(recipe: r.Recipe) -> float:
    assert isinstance(recipe.optimizer, r.SGD)
    return recipe.optimizer.momentum


@pytest.mark.parametrize(
    ("field", "tune", "expected"),
    [
        ("optimizer", None, ("optimizer.lr",)),
        ("schedule", None, ("optimizer.lr",)),
        ("model.dropout", None, ()),
        ("optimizer", (), ()),
        ("penalty", (Nuisance(field="penalty.strength"),), ("penalty.strength",)),
    ],
)
def test_learning_rates_are_tuned_for_optimizers_and_schedules_unless_the_study_says_otherwise(
    field: str, tune: tuple[Nuisance, ...] | None, expected: tuple[str, ...]
) -> None:
    factor = Factor(name="any", fields=(field,), levels=(SGD,), tune=tune)
    assert tuple(nuisance.field for nuisance in nuisances_of(factor)) == expected


STUDY = """
name = "x"
data = "digits"
[models.mlp]
model = "mlp"
[[factors]]
name = "penalty"
field = "penalty"
levels = ["none", { kind = "l2", strength = 1e-4 }]
"""


def tuned_fields(text: str) -> list[str]:
    return [nuisance.field for nuisance in nuisances_of(parse_study(STUDY + text).factors[0])]


def test_a_study_file_says_what_is_tuned() -> None:
    assert tuned_fields("") == tuned_fields("tune = false") == []
    assert tuned_fields("tune = true") == ["optimizer.lr"]
    assert tuned_fields('tune = ["penalty.strength"]') == ["penalty.strength"]
    assert tuned_fields('tune = [{ field = "penalty.strength", trials = 7, step = 10.0 }]') == ["penalty.strength"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('tune = ["penalty.strenght"]', 'no arm has a number above 0 in "penalty.strenght"'),
        ("tune = 3", "allowed are true, false, or a list"),
        ('tune = [{ field = "penalty.strength", trials = 2 }]', "trials"),
        ('tune = [{ feild = "penalty.strength" }]', "feild"),
    ],
)
def test_mistakes_in_tuning_are_found_before_anything_is_trained(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        tuned_fields(text)


# ---------------------------------------------------------------------------------------------------------------------
# One at a time, leave one out


def additive(trial: Trial) -> float:
    """Batch normalisation brings 0.2; a rate of 0.5 brings 0.1, and of 0.2 0.05."""
    return 0.5 + 0.2 * norm_of(trial.recipe) + {0.05: 0, 0.2: 0.05, 0.5: 0.1}[lr_of(trial.recipe)] + noise(trial)


def test_one_at_a_time_compares_with_the_baseline_alone_and_puts_the_winners_together() -> None:
    start = replace(MLP, optimizer=r.SGD(lr=0.05))
    place = example_context(models=(model("net", start),), strategy=OneAtATime())
    requests, route = explored(place, additive)
    assert [request.stage for request in requests] == ["rate", "norm"]
    assert all(not norm_of(trial.recipe) for trial in requests[0].trials)
    assert {lr_of(trial.recipe) for trial in requests[1].trials} == {0.05}
    assert (lr_of(route.best), norm_of(route.best)) == (0.5, True)
    assert "add up is an assumption" in search_text(route)


def test_leave_one_out_says_what_each_choice_is_worth_in_the_final_stack() -> None:
    start = replace(MLP, optimizer=r.SGD(lr=0.05))
    _, route = explored(example_context(models=(model("net", start),), strategy=LeaveOneOut()), additive)
    assert {finding.name: losses(finding.levels[1].comparison) for finding in route.ablation} == {
        "rate": pytest.approx(-0.1, abs=0.01), "norm": pytest.approx(-0.2, abs=0.01),
    }  # fmt: skip
    assert [level.incumbent for level in route.ablation[0].levels] == [True, False]


def losses(comparison: Comparison | None) -> float:
    assert comparison is not None
    return comparison.difference


def test_leave_one_out_has_nothing_to_put_back_where_the_baseline_stays() -> None:
    _, route = explored(example_context(strategy=LeaveOneOut()), lambda trial: 0.5)
    assert route.ablation == ()
    assert "no choice to put back" in search_text(route)


# ---------------------------------------------------------------------------------------------------------------------
# Until decided, within a budget


def extended(extension: Extension | None, gain: float, seeds: int = 1) -> tuple[int, SearchResult]:
    """Search with a gain of normalisation, image by image; how often trainings were asked for, and what was found."""
    exploration = Exploration(folds=3, seeds=seeds)
    place = images_context(1500, factors=(NORM,), exploration=exploration, equivalence_margin=0.001)
    place = replace(place, extension=extension)
    requests, route = answered(
        search_of(place, place.study.models[0]),
        lambda trial: image_record(trial, 0.9 + gain * norm_of(trial.recipe), 1500),
    )
    return len(requests), route


def test_open_levels_that_matter_get_more_repetitions_until_they_are_decided() -> None:
    requests, found = extended(None, 0.019)
    assert requests == 3  # looked at after 1, 2 and 3 repetitions
    plain, normed = found.factors[0].levels
    assert len(normed.accuracies) == len(plain.accuracies) == 3 * 3
    assert normed.comparison is not None
    assert normed.comparison.verdict == "better"
    assert extended(None, 0.019, seeds=3)[0] == 1  # the design has them all already


@pytest.mark.parametrize("gain", [0.0, 0.006, 0.09])
def test_what_is_decided_or_futile_gets_no_more(gain: float) -> None:
    assert extended(Extension(budget_seconds=None, workers=1), gain)[0] == 1


def test_looking_again_costs_significance() -> None:
    place = example_context(exploration=Exploration(folds=3, seeds=2))
    assert looks_of(place) == [(2, 0.4), (3, 0.7)]
    more = replace(place, extension=Extension(budget_seconds=None, workers=1))
    assert [repetitions for repetitions, _ in looks_of(more)] == [2, 3, 5, 8]
    assert looks_of(example_context(exploration=Exploration(seeds=3))) == [(3, 1.0)]


@pytest.mark.parametrize(("budget", "requests"), [(40.9, 1), (41.1, 2), (43.9, 2), (44.1, 3), (None, 3)])
def test_a_budget_ends_the_extension_before_it_is_overdrawn(budget: float | None, requests: int) -> None:
    """Half a second per training: 3 s for each repetition; 18 + 2 s for confirmation and finals, 15 s besides."""
    assert extended(Extension(budget_seconds=budget, workers=1), 0.019)[0] == requests


def test_what_is_put_aside_is_the_time_of_the_trainings_to_come_by_their_sizes() -> None:
    extension = Extension(budget_seconds=60, workers=1, size_of=lambda trial: float(trial.recipe.epochs))
    place = replace(example_context(), extension=extension)
    sample = example_record(exploration_trials(place, MLP)[0])  # half a second for 2 epochs
    # 3 recipes are confirmed on 12 blocks each, 2 x 2 finals follow; all of them have 3 epochs
    assert reserve(place, sample) == pytest.approx((3 * 12 + 2 * 2) * 0.75)


# ---------------------------------------------------------------------------------------------------------------------
# Confirmation

NORMED = replace(MLP, model=r.MLP(hidden=(16,), batch_norm=True))


def confirmed(study: Study, best: r.Recipe, accuracy: Accuracy) -> tuple[list[Request], Confirmation | None]:
    place = ExperimentContext(study=study, data="tiny", device="cpu")
    search = FactorPath(factors=1, around="best", changed=1)
    return driven(confirm(place, SearchResult(model=study.models[0], best=best, search=search)), accuracy)


def test_the_improvement_is_measured_on_blocks_that_no_choice_has_seen() -> None:
    requests, found = confirmed(example_study(confirmation=ConfirmationDesign(seeds=2)), NORMED, additive_norm)
    assert {trial.seed for trial in requests[0].trials} == {CONFIRMATION_REPETITION, CONFIRMATION_REPETITION + 1}
    assert found is not None
    assert losses(found.comparison) == pytest.approx(0.2, abs=0.01)
    assert "the best recipe was ahead in 6 of 6 trainings, on average by +" in confirmation_sentence(found)
    assert "it is shown to be better" in confirmation_sentence(found)


def additive_norm(trial: Trial) -> float:
    return 0.5 + 0.2 * norm_of(trial.recipe) + noise(trial)


def test_a_best_recipe_that_was_chance_is_told() -> None:
    _, found = confirmed(example_study(), NORMED, lambda trial: 0.5 - 0.1 * norm_of(trial.recipe) + noise(trial))
    assert found is not None
    assert "it is shown to be worse" in confirmation_sentence(found)


def test_nothing_is_confirmed_where_the_baseline_stayed_or_the_study_wants_none() -> None:
    assert confirmed(example_study(), MLP, additive_norm) == ([], None)
    assert confirmed(example_study(confirmation=ConfirmationDesign(seeds=0)), NORMED, additive_norm) == ([], None)
