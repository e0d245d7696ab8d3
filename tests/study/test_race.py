from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from tests.study.example_images import image_record, images_context
from tests.study.example_search import answered, search
from tests.study.example_study import FACTOR, NORM, Accuracy, driven, example_context, model
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.execution.queue import Request
from ceteris.findings import Comparison, LevelFinding
from ceteris.records import Trial
from ceteris.report.search_words import decision_text, search_text
from ceteris.stats import Outcomes, compare_levels, overlap_share
from ceteris.study import Exploration, Factor, Level, SearchResult
from ceteris.study.strategies import search_of
from ceteris.study.strategies.race import RaceRules, RaceState
from ceteris.study.study import Greedy, OneAtATime, Race

BLOCKS = Exploration(folds=5, seeds=4)
START = replace(MLP, optimizer=r.SGD(lr=0.05))
FloatArray = NDArray[np.float64]


def noise(trial: Trial, size: float = 0.02) -> float:
    """Nearly normal noise that belongs to the recipe and the block alone; standard deviation ``size`` / 2."""
    digest = trial.digest
    return size * (sum(int(digest[i : i + 6], 16) / 2**24 for i in (0, 6, 12)) - 1.5)


def norm_of(trial: Trial) -> bool:
    assert isinstance(trial.recipe.model, r.MLP)
    return trial.recipe.model.batch_norm


def lr_of(recipe: r.Recipe) -> float:
    assert isinstance(recipe.optimizer, r.SGD)
    return recipe.optimizer.lr


def by_rate(gains: Mapping[float, float], size: float = 0.02) -> Callable[[Trial], float]:
    return lambda trial: 0.6 + gains.get(lr_of(trial.recipe), 0.0) + noise(trial, size)


@pytest.mark.parametrize(("blocks", "effect"), [(3, 0.4), (3, 2.0), (3, 6.0), (6, 1.2)])
def test_the_forecast_of_a_claim_is_what_simulated_futures_show(blocks: int, effect: float) -> None:
    random, count, of, draws = np.random.default_rng(blocks), blocks, 20, 20_000
    seen = random.normal(size=count)
    seen = (seen - seen.mean()) / seen.std(ddof=1) + effect
    found = _against_nothing(seen)["level"]
    spread = np.sqrt((count - 1) / random.chisquare(count - 1, draws))
    centre = effect + spread * random.normal(size=draws) / np.sqrt(count)
    later = centre[:, None] + spread[:, None] * random.normal(size=(draws, of - count))
    full = np.concatenate([np.tile(seen, (draws, 1)), later], axis=1)
    error = np.sqrt((1 / of + overlap_share(folds=5, blocks=of)) * full.var(axis=1, ddof=1))
    claimed = [np.mean(side * full.mean(axis=1) / error > stats.t.isf(0.025, of - 1)) for side in (-1, 1)]
    rules = RaceRules(blocks=of, folds=5, significance=0.05, margin=0.0)
    assert rules.chances(found, 0.05, of) == pytest.approx(claimed, abs=0.05)


def _against_nothing(figures: FloatArray) -> dict[str, Comparison]:
    zero, level = (Outcomes.of_figures(one, folds=5) for one in (np.zeros(len(figures)), figures))
    return compare_levels(zero, {"level": level}, folds=5, margin=0.0, test="corrected-t")


def race(
    accuracy: Accuracy, factors: tuple[Factor, ...] = (FACTOR,), **strategy: object
) -> tuple[list[Request], SearchResult]:
    return explored(Race(**strategy), accuracy, factors)  # type: ignore[arg-type]


def explored(
    strategy: Race | Greedy | OneAtATime, accuracy: Accuracy, factors: tuple[Factor, ...] = (FACTOR,)
) -> tuple[list[Request], SearchResult]:
    place = example_context(models=(model("net", START),), factors=factors, exploration=BLOCKS, strategy=strategy)
    return driven(search_of(place, place.study.models[0]), accuracy)


def trained(level: LevelFinding) -> int:
    return int(np.isfinite(level.accuracies).sum())


def compared(level: LevelFinding) -> Comparison:
    assert level.comparison is not None
    return level.comparison


# ---------------------------------------------------------------------------------------------------------------------
# Who leaves, and when


def test_a_race_begins_with_a_few_blocks_and_goes_on_one_by_one() -> None:
    requests, _ = race(by_rate({0.2: 0.02, 0.5: -0.02}), first=4)
    blocks = [len({(trial.seed, trial.split.index) for trial in request.trials}) for request in requests]  # type: ignore[union-attr]
    assert blocks == [4] + [1] * (len(requests) - 1)
    assert {trial.seed for trial in requests[0].trials} == {0}


def test_clear_losers_leave_early_and_the_finding_says_on_how_many_blocks() -> None:
    _, route = race(by_rate({0.2: -0.2, 0.5: -0.3}))
    incumbent, *losers = route.factors[0].levels
    for level in losers:
        assert compared(level).verdict == "worse"
        assert compared(level).blocks == trained(level) < 10
        assert len(level.accuracies) == 20
        assert f"{level.label} left after {trained(level)} of 20 blocks: worse" in decision_text(route.factors[0])
    assert trained(incumbent) == max(map(trained, losers))
    assert route.best == START


def test_what_cannot_be_found_any_more_is_given_up() -> None:
    _, route = race(lambda trial: 0.6 + 0.02 * (trial.split.index % 2 - 0.5) + noise(trial))  # type: ignore[union-attr]
    for level in route.factors[0].levels[1:]:
        assert compared(level).verdict in ("undecided", "equivalent")
        assert trained(level) < 20
    assert "could hardly be found better or worse" in decision_text(route.factors[0])


def test_trainings_saved_are_those_of_the_full_design_that_nobody_asked_for() -> None:
    accuracy = by_rate({0.2: 0.2, 0.5: -0.2})
    requests, route = race(accuracy, factors=(FACTOR, NORM))
    full, _ = explored(Greedy(), accuracy, (FACTOR, NORM))
    asked = [{trial.digest for request in rounds for trial in request.trials} for rounds in (requests, full)]
    assert route.trainings_saved == len(asked[1]) - len(asked[0]) > 0
    assert asked[0] <= asked[1]
    assert f"{route.trainings_saved} of the {len(asked[1])} trainings" in search_text(route)


@pytest.mark.parametrize("test", ["paired", "friedman"])
def test_a_race_along_the_greedy_way_goes_on_from_its_winner(test: str) -> None:
    _, route = race(lambda trial: by_rate({0.2: 0.2})(trial) + 0.1 * norm_of(trial), factors=(FACTOR, NORM), test=test)
    assert lr_of(route.best) == 0.2
    assert route.factors[1].levels[1].chosen


def test_a_race_against_the_baseline_alone() -> None:
    requests, route = race(by_rate({0.2: 0.2}), factors=(FACTOR, NORM), along="one-at-a-time")
    assert {lr_of(trial.recipe) for request in requests if request.stage == "norm" for trial in request.trials} == {
        0.05
    }
    assert lr_of(route.best) == 0.2


def test_of_two_winners_the_race_goes_on_until_one_is_ahead() -> None:
    """Both are far better than the incumbent and lie close together: the better one is kept, as by the full design."""
    accuracy = by_rate({0.2: 0.200, 0.5: 0.212}, size=0.01)
    _, raced = race(accuracy)
    _, full = explored(Greedy(), accuracy)
    assert lr_of(raced.best) == lr_of(full.best) == 0.5


def test_an_arm_that_diverges_leaves() -> None:
    accuracy = by_rate({0.2: 0.01})
    requests, route = race(lambda trial: None if lr_of(trial.recipe) == 0.5 else accuracy(trial))
    broken = route.factors[0].levels[2]
    assert broken.effort.trials == 3
    assert len(broken.failures) == 3
    assert "lr 0.5 left after 3 of 20 blocks: a training did not finish" in decision_text(route.factors[0])
    assert all(lr_of(trial.recipe) != 0.5 for request in requests[1:] for trial in request.trials)


def test_an_incumbent_that_diverges_is_replaced() -> None:
    accuracy = by_rate({0.2: 0.1})
    _, route = race(lambda trial: None if lr_of(trial.recipe) == 0.05 else accuracy(trial))
    assert lr_of(route.best) == 0.2
    assert route.factors[0].levels[0].effort.trials == 3


def test_a_factor_without_another_level_trains_its_incumbent_on_the_design() -> None:
    alone = Factor(
        name="alone", fields=("optimizer.lr",), levels=(Level(label="here", changes={"optimizer.lr": 0.05}),)
    )
    _, route = race(by_rate({}), factors=(alone,))
    assert trained(route.factors[0].levels[0]) == 20


def test_levels_without_any_difference_leave_at_the_first_chance() -> None:
    _, route = race(lambda trial: 0.6)
    assert [compared(level).verdict for level in route.factors[0].levels[1:]] == ["equivalent"] * 2
    assert max(map(trained, route.factors[0].levels)) < 8


def test_what_is_open_at_the_end_and_matters_gets_more_repetitions() -> None:
    place = images_context(
        1500, models=(model("net", START),), factors=(NORM,), exploration=Exploration(folds=3),
        strategy=Race(first=3), equivalence_margin=0.001,
    )  # fmt: skip
    requests, route = answered(search(place), lambda trial: image_record(trial, 0.9 + 0.019 * norm_of(trial), 1500))
    assert len(requests) == 3
    assert len(route.factors[0].levels[0].accuracies) == 9


# ---------------------------------------------------------------------------------------------------------------------
# Against the full design


def standing(levels: list[str], margin: float = 0.0) -> RaceState:
    rules = RaceRules(blocks=20, folds=5, significance=0.05, margin=margin)
    return RaceState(rules=rules, incumbent="incumbent", running=["incumbent", *levels])


def compared_figures(incumbent: FloatArray, levels: dict[str, FloatArray]) -> dict[str, Comparison]:
    figures = {label: Outcomes.of_figures(level, folds=5) for label, level in levels.items()}
    return compare_levels(Outcomes.of_figures(incumbent, folds=5), figures, folds=5, margin=0.0)


def raced(results: dict[str, FloatArray]) -> tuple[RaceState, dict[str, FloatArray]]:
    """Run through all looks; what an arm was not trained on is NaN."""
    seen = {label: np.full(20, np.nan) for label in results}
    standings = standing([label for label in results if label != "incumbent"])
    done = 3
    for label in results:
        seen[label][:done] = results[label][:done]
    while done < 20:
        running = {label: seen[label][:done] for label in standings.running}
        standings.look(running, compared_figures(running["incumbent"], running))
        if standings.over:
            break
        for label in standings.running:
            seen[label][done] = results[label][done]
        done += 1
    return standings, seen


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.lists(st.floats(-6, 6), min_size=1, max_size=4))
def test_who_left_has_the_verdict_with_which_it_left(seed: int, effects: list[float]) -> None:
    """Holm over all levels at the end agrees with the bounds that were kept during the race."""
    random = np.random.default_rng(seed)
    results = {str(number): effect + random.normal(size=20) for number, effect in enumerate(effects)}
    standings, seen = raced({"incumbent": random.normal(size=20)} | results)
    comparisons = compared_figures(seen["incumbent"], {label: seen[label] for label in results})
    for label, departure in standings.left.items():
        assert comparisons[label].blocks == departure.blocks
        assert (comparisons[label].verdict == "worse") == (departure.reason == "worse")
        if departure.reason == "futile":
            assert comparisons[label].verdict in ("undecided", "equivalent")


def test_races_agree_with_the_full_design_and_save_most_of_it() -> None:
    """100 studies of two levels: null and large effects; benchmarks/race_calibration.py has the large tables."""
    random = np.random.default_rng(0)
    words = {"better": 1, "worse": -1}
    saved, differing = [], []
    for number in range(100):
        effects = {"a": 0.0, "b": float(random.choice([-6.0, 6.0]))} if number % 2 else {"a": 0.0, "b": 0.0}
        results = {"incumbent": random.normal(size=20) / 1.4}
        results |= {label: gain + random.normal(size=20) / 1.4 for label, gain in effects.items()}
        _, seen = raced(results)
        verdicts = [
            [
                words.get(found.verdict, 0)
                for found in compared_figures(blocks["incumbent"], {label: blocks[label] for label in effects}).values()
            ]
            for blocks in (results, seen)
        ]
        differing.append(verdicts[0] != verdicts[1])
        saved.append(np.mean([np.isnan(block).mean() for block in seen.values()]))
    assert np.mean(differing) < 0.04
    assert np.mean(saved) > 0.6
