from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.example_records import assert_same, finished_record
from tests.study.example_search import BEST, DROPOUT, RATE, answered, digests, measured, place_of, quality, search
from tests.study.example_study import driven, model, record_for
from tests.tiny_trials import MLP

from ceteris.digests import digest_of
from ceteris.execution.queue import Request
from ceteris.findings import Rung
from ceteris.records import Record, Trial
from ceteris.report.search_words import candidate_remark, search_text
from ceteris.study import SearchResult
from ceteris.study.strategies.halving import rungs
from ceteris.study.study import Halving, Range
from ceteris.study.trials import TUNING_REPETITION


def halving(**other: Any) -> Halving:
    parts: dict[str, Any] = {"candidates": 27, "ranges": (RATE, DROPOUT)}
    return Halving(**parts | other)


def explored(strategy: Halving, *, epochs: int = 9, **other: Any) -> tuple[list[Request], SearchResult]:
    return driven(search(place_of(strategy, epochs=epochs, **other)), measured)


def epochs_of(request: Request) -> set[int]:
    return {trial.recipe.epochs for trial in request.trials}


@pytest.mark.parametrize(
    ("strategy", "epochs", "expected"),
    [
        (Halving(), 9, [(1, 27), (3, 9), (9, 3)]),
        (Halving(), 10, [(2, 27), (6, 9), (10, 3)]),
        (Halving(), 1, [(1, 27)]),
        (Halving(shortest=1), 10, [(1, 27), (3, 9), (9, 3), (10, 1)]),
        (Halving(shortest=1), 1000, [(1, 27), (3, 9), (9, 3), (1000, 1)]),
        (Halving(reduction=2, shortest=4), 10, [(4, 27), (8, 13), (10, 6)]),
        (Halving(shortest=20), 10, [(10, 27)]),
    ],
)
def test_every_rung_keeps_one_in_so_many_for_so_many_times_the_epochs(
    strategy: Halving, epochs: int, expected: list[tuple[int, int]]
) -> None:
    assert rungs(strategy, 27, epochs) == tuple(Rung(epochs=length, candidates=count) for length, count in expected)


@given(st.integers(1, 500), st.integers(2, 10), st.integers(0, 20), st.integers(1, 300))
def test_rungs_grow_in_epochs_and_shrink_in_recipes(count: int, reduction: int, shortest: int, epochs: int) -> None:
    ladder = rungs(Halving(reduction=reduction, shortest=shortest), count, epochs)
    assert ladder[0].candidates == count
    assert ladder[-1].epochs == epochs
    for lower, upper in pairwise(ladder):
        assert lower.epochs < upper.epochs
        assert upper.candidates == max(1, lower.candidates // reduction)


def test_short_rungs_train_one_block_that_no_comparison_uses_and_the_last_one_all() -> None:
    requests, route = explored(halving())
    in_full = [one for one in route.candidates if one.status == "finished"]
    assert len(in_full) in (3, 4)  # three went on, and the baseline if it is none of them
    assert [(request.stage, len(request.trials), epochs_of(request)) for request in requests] == [
        ("rung 1 (1 epoch)", 27, {1}), ("rung 2 (3 epochs)", 9, {3}), ("last rung", 5 * len(in_full), {9}),
    ]  # fmt: skip
    assert {trial.seed for request in requests[:2] for trial in request.trials} == {TUNING_REPETITION}
    assert {trial.seed for trial in requests[2].trials} == {0}


def test_the_best_of_each_rung_go_on() -> None:
    _, route = explored(halving())
    for rung, kept in ((0, 9), (1, 3)):
        there = [one for one in route.candidates if len(one.rungs) > rung and one.rungs[rung][0] == (1, 3)[rung]]
        going_on = [one.rungs[rung][1] for one in there if len(one.rungs) > rung + 1 and one.rungs[rung + 1][0] < 10]
        ranked = sorted((one.rungs[rung][1] for one in there), reverse=True)
        assert set(ranked[:kept]) <= set(going_on)
    eliminated = [one for one in route.candidates if one.status == "eliminated"]
    assert all(candidate_remark(one).startswith("eliminated in rung") for one in eliminated)
    assert all(np.isnan(one.accuracies).all() for one in eliminated)
    assert {one.epochs for one in eliminated} == {1, 3}


def test_the_baseline_takes_part_and_is_always_trained_in_full() -> None:
    requests, route = explored(halving())
    baseline = route.candidates[0]
    assert requests[0].trials[0].recipe == replace(MLP, epochs=1)
    assert np.isfinite(baseline.accuracies).all()
    assert baseline.status == "finished"
    assert "trained in full because the others are compared with it" in candidate_remark(baseline)


def test_every_single_change_of_the_baseline_is_among_the_first() -> None:
    _, route = explored(halving())
    baseline = dict(route.candidates[0].settings)
    changed = [[name for name, value in one.settings if value != baseline[name]] for one in route.candidates]
    levels = sum(len(factor.levels) - 1 for factor in place_of(halving(), epochs=9).study.factors)
    assert [len(names) for names in changed[: levels + 1]] == [0] + [1] * levels
    assert max(len(names) for names in changed) > 1
    _, few = explored(halving(candidates=2 * levels - 1))
    changed = [[name for name, value in one.settings if value != baseline[name]] for one in few.candidates]
    assert [len(names) for names in changed[:levels]] == [0] + [1] * (levels - 1)


def test_recipes_are_drawn_without_one_twice() -> None:
    requests, route = explored(halving())
    assert len({digest_of(trial.recipe) for trial in requests[0].trials}) == 27
    _, small = explored(halving(candidates=100, ranges=()))
    assert len({one.settings for one in small.candidates}) == len(small.candidates) == 8
    assert [one.number for one in route.candidates] == list(range(27))


def test_it_finds_a_recipe_close_to_the_best_for_less_than_one_full_training_of_each() -> None:
    requests, route = explored(halving(candidates=81), folds=3)
    assert BEST - quality(route.best) < 0.012
    assert route.candidates[0].chosen is False
    epochs = sum(trial.recipe.epochs for request in requests for trial in request.trials)
    assert epochs < 81 * 9
    assert "winner's curse" in search_text(route)


def test_it_takes_the_same_way_again_whatever_the_order_of_the_records() -> None:
    requests, route = explored(halving())
    backwards, again = answered(search(place_of(halving(), epochs=9)), lambda trial: record_for(trial, measured(trial)))
    assert digests(backwards) == digests(requests)
    assert_same(again.candidates, route.candidates)
    assert digests(explored(halving(), seed=1)[0]) != digests(requests)


def test_where_all_is_equal_the_first_ones_drawn_go_on_and_the_baseline_stays() -> None:
    _, route = driven(search(place_of(halving(), epochs=9)), lambda trial: 0.75)
    assert [one.number for one in route.candidates if one.status == "finished"] == [0, 1, 2]
    assert route.best == place_of(halving(), epochs=9).study.models[0].recipe
    assert "The baseline stays" in search_text(route)


@pytest.mark.parametrize("by", ["loss", "flops"])
def test_among_equal_accuracies_the_lower_loss_then_the_cheaper_goes_on(by: str) -> None:
    def record(trial: Trial) -> Record:
        found = finished_record(trial, flops=1000 + _order(trial) if by == "flops" else 3000)
        return replace(found, loss=_order(trial) / 1000 if by == "loss" else 0.5)

    requests, _ = answered(search(place_of(halving(), epochs=9)), record)
    kept = {_order(trial) for trial in requests[1].trials}
    assert kept == set(sorted(_order(trial) for trial in requests[0].trials)[:9])


def _order(trial: Trial) -> int:
    """A number that belongs to the recipe, whatever its epochs."""
    return int(digest_of(replace(trial.recipe, epochs=1))[:6], 16)


def test_a_recipe_that_diverges_goes_no_further() -> None:
    def accuracy(trial: Trial) -> float | None:
        return None if _order(trial) % 3 == 0 else measured(trial)

    requests, route = driven(search(place_of(halving(), epochs=9)), accuracy)
    failed = [one for one in route.candidates if one.status == "failed"]
    assert failed
    assert all(candidate_remark(one).startswith(("in rung 1: diverged", "diverged")) for one in failed)
    assert all(_order(trial) % 3 for trial in requests[1].trials)
    assert f"{len(failed)} did not finish" in search_text(route)


def test_where_nothing_finishes_the_baseline_is_still_tried_in_full() -> None:
    requests, route = driven(search(place_of(halving(), epochs=9)), lambda trial: None)
    assert [request.stage for request in requests] == ["rung 1 (1 epoch)", "last rung"]
    assert not route.candidates[0].accuracies[np.isfinite(route.candidates[0].accuracies)].size
    assert route.candidates[0].chosen


def test_a_recipe_with_few_epochs_of_its_own_is_not_trained_longer() -> None:
    strategy = halving(shortest=1, ranges=(Range(field="epochs", low=1, high=20),))
    requests, route = driven(
        search(place_of(strategy, models=(model("mlp", replace(MLP, epochs=9)),))), lambda trial: 0.75
    )
    own = {one.number: int(dict(one.settings)["epochs"]) for one in route.candidates}
    for one in route.candidates:
        assert all(epochs <= own[one.number] for epochs, _ in one.rungs)
    assert [max(epochs_of(request)) for request in requests[:3]] == [1, 3, 9]
