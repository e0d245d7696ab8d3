"""The figures of every strategy: their numbers against the findings, and that they can be drawn whatever is in them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.example_findings import example_findings
from tests.example_searches import KINDS, Kind, search_findings

from ceteris.figures import (
    CellsInfo,
    candidate_settings_info,
    candidates_info,
    cells_info,
    confirmation_info,
    draw_candidate_settings,
    draw_cells,
    draw_history,
    draw_interaction,
    draw_rungs,
    draw_tuning,
    draw_worth,
    has_path,
    interactions_info,
    plates,
    race_info,
    search_path_info,
    to_svg,
    tuning_info,
    worth_info,
)
from ceteris.findings import ModelFinding, StudyFindings

SEARCHES: dict[Kind, set[str]] = {
    "one-at-a-time": {"effects-cnn", "tuning-cnn"},
    "leave-one-out": {"search-path", "effects-cnn", "tuning-cnn", "worth-cnn"},
    "factorial": {"effects-cnn", "cells-cnn", "interaction-cnn", "interactions-cnn"},
    "joint": {"history-cnn", "settings-cnn"},
    "halving": {"rungs-cnn", "settings-cnn"},
    "race": {"search-path", "effects-cnn", "race-cnn", "tuning-cnn"},
}


def _only(findings: StudyFindings) -> ModelFinding:
    return findings.models[0]


def _with_model(findings: StudyFindings, model: ModelFinding) -> StudyFindings:
    return replace(findings, models=(model,))


@pytest.mark.parametrize("kind", KINDS)
def test_every_strategy_has_its_own_figures_and_all_of_them_draw(kind: Kind) -> None:
    made = search_findings(kind, finals=False)
    drawn = {entry.name: entry for entry in plates(made) if entry.section == "exploration"}
    assert set(drawn) == SEARCHES[kind] | {"improvement"}
    for entry in drawn.values():
        figure = entry.figure()
        assert any("Group 12" in text.get_text() for text in figure.texts)
        assert len(entry.caption) > 30
        assert to_svg(figure).startswith("<svg")


def test_the_confirmation_shows_the_fresh_blocks_and_the_sum_of_the_gains_that_chose() -> None:
    made = example_findings()
    info = confirmation_info(made)
    assert [entry.model for entry in info.models] == ["MLP", "CNN", "ResNet"]
    for entry, model in zip(info.models, made.models, strict=True):
        assert model.confirmation is not None
        assert model.confirmation.comparison is not None
        assert entry.confirmed.difference == pytest.approx((entry.best - entry.baseline).mean())
        gains = [
            level.comparison.difference
            for factor in model.factors
            for level in factor.levels
            if level.chosen and level.comparison is not None
        ]
        assert entry.promised == pytest.approx(sum(gains))
    assert np.isnan(confirmation_info(search_findings("joint", finals=False)).models[0].promised)


def test_a_study_without_a_confirmation_has_no_figure_of_the_improvement() -> None:
    made = search_findings("joint", finals=False)
    bare = _with_model(made, replace(_only(made), confirmation=None))
    assert "improvement" not in {entry.name for entry in plates(bare)}


def test_the_worth_of_a_choice_is_what_is_lost_without_it() -> None:
    made = search_findings("leave-one-out", finals=False)
    info = worth_info(made, "cnn")
    differences = {
        factor.title: level.comparison.difference
        for factor in _only(made).ablation
        for level in factor.levels
        if level.comparison
    }
    for choice in info.choices:
        assert choice.worth.difference == pytest.approx(-differences[choice.factor])
        assert choice.worth.difference == pytest.approx(choice.losses.mean())
        assert choice.worth.low < choice.worth.difference < choice.worth.high
        assert choice.worth.verdict == ("better" if choice.worth.low > 0 else "worse" if choice.worth.high < 0 else
                                        choice.worth.verdict)  # fmt: skip
    assert [choice.worth.difference for choice in info.choices] == sorted(
        (choice.worth.difference for choice in info.choices), reverse=True
    )


def test_cells_of_two_factors_are_the_means_of_the_grid() -> None:
    made = search_findings("factorial", factors=2, finals=False)
    info = cells_info(made, "cnn")
    assert info is not None
    for candidate in _only(made).candidates:
        settings = dict(candidate.settings)
        place = info.first_levels.index(settings["optimizer"]), info.second_levels.index(settings["batch-norm"])
        assert info.means[place] == pytest.approx(candidate.accuracies.mean())
        assert (info.chosen == place) == candidate.chosen


def test_cells_of_more_factors_are_averaged_over_the_rest() -> None:
    made = search_findings("factorial", finals=False)
    info = cells_info(made, "cnn")
    assert info is not None
    assert info.averaged == ("Augmentation",)
    own = [
        candidate.accuracies.mean()
        for candidate in _only(made).candidates
        if {("optimizer", "adam"), ("batch-norm", "on")} <= set(candidate.settings)
    ]
    place = info.first_levels.index("adam"), info.second_levels.index("on")
    assert info.means[place] == pytest.approx(np.mean(own))


def test_cells_of_a_part_of_the_grid_are_not_averaged() -> None:
    made = search_findings("factorial", finals=False)
    some = replace(_only(made), candidates=_only(made).candidates[:-1])
    assert cells_info(_with_model(made, some), "cnn") is None
    two = search_findings("factorial", factors=2, finals=False)
    missing = cells_info(_with_model(two, replace(_only(two), candidates=_only(two).candidates[:-1])), "cnn")
    assert missing is not None
    assert np.isnan(missing.means).sum() == 1
    figure = Figure()
    draw_cells(missing, figure)
    assert "–" in [text.get_text() for text in figure.axes[0].texts]


def test_interactions_come_strongest_first() -> None:
    info = interactions_info(search_findings("factorial", finals=False), "cnn")
    sizes = [abs(entry.effect.difference) for entry in info.effects]
    assert sizes == sorted(sizes, reverse=True)
    assert info.effects[0].first == "Optimizer: adam"
    assert info.effects[0].second == "Batch normalisation: on"
    assert info.total == len(info.effects) == 11


def test_the_best_so_far_never_falls_and_counts_finished_recipes_only() -> None:
    info = candidates_info(search_findings("joint", finals=False), "cnn")
    finished = [entry.score if entry.fate == "finished" else -1.0 for entry in info.tried]
    np.testing.assert_array_equal(info.best_so_far, np.maximum.accumulate(finished))
    assert info.best_so_far[-1] == max(entry.score for entry in info.tried if entry.chosen)
    assert [entry.number for entry in info.tried if np.isnan(entry.score)] == [13]


def test_settings_that_never_differ_are_left_out_and_ranges_are_told_from_choices() -> None:
    made = search_findings("joint", finals=False)
    same = tuple(
        replace(candidate, settings=(*candidate.settings, ("epochs", "20"))) for candidate in _only(made).candidates
    )
    info = candidate_settings_info(_with_model(made, replace(_only(made), candidates=same)), "cnn")
    kinds = {entry.title: entry.numbers is not None for entry in info.settings}
    assert kinds == {
        "optimizer": False,
        "batch-norm": False,
        "augmentation": False,
        "optimizer.lr": True,
        "model.dropout": True,
    }
    for entry in info.settings:
        assert sum(entry.chosen) == 1
        assert len(entry.values) == len(entry.scores) == 40


def test_recipes_of_successive_halving_are_compared_where_all_had_the_same_epochs() -> None:
    made = search_findings("halving", finals=False)
    info = candidate_settings_info(made, "cnn")
    expected = [candidate.rungs[0][1] for candidate in _only(made).candidates]
    np.testing.assert_array_equal(info.settings[0].scores, expected)
    assert "first rung" in info.score


def test_a_race_shows_how_many_blocks_every_level_was_trained_on() -> None:
    made = search_findings("race", finals=False)
    info = race_info(made, "cnn")
    assert info.saved == 81
    for shown, factor in zip(info.factors, _only(made).factors, strict=True):
        assert shown.blocks == 25
        assert [level.trained for level in shown.levels] == [
            np.isfinite(level.accuracies).sum() for level in factor.levels
        ]
        assert len({level.trained for level in shown.levels}) > 1


def test_trainings_that_failed_are_no_blocks_that_were_saved() -> None:
    assert not any(entry.name.startswith("race-") for entry in plates(example_findings(models=("mlp",), factors=2)))


def test_tuned_values_stand_in_rising_order_with_their_own_accuracies() -> None:
    made = example_findings(models=("mlp",), factors=2)
    panels = tuning_info(made, "mlp").fields
    assert [(panel.factor, panel.field) for panel in panels] == [("Optimizer", "optimizer.lr")]
    tuned = {level.label: level.tuning[0] for level in made.models[0].factors[1].levels}
    for arm in panels[0].arms:
        assert list(arm.values) == sorted(tuned[arm.label].values)
        accuracies = dict(zip(tuned[arm.label].values, tuned[arm.label].accuracies, strict=True))
        np.testing.assert_array_equal(arm.accuracies, [accuracies[value] for value in arm.values])
        assert arm.accuracies[list(arm.values).index(arm.chosen)] == np.nanmax(arm.accuracies)
    assert [arm.label for arm in panels[0].arms if arm.at_edge] == ["muon"]


def test_only_a_search_around_the_best_so_far_has_a_path() -> None:
    paths = {kind: has_path(_only(search_findings(kind, finals=False))) for kind in KINDS}
    assert {kind for kind, path in paths.items() if path} == {"leave-one-out", "race"}
    model = _only(search_findings("race", finals=False))
    start = model.factors[0].levels[0].accuracies
    around = tuple(
        replace(factor, levels=(replace(factor.levels[0], accuracies=start), *factor.levels[1:]))
        for factor in model.factors
    )
    assert not has_path(replace(model, factors=around))


def test_a_step_of_the_path_gains_what_the_common_blocks_showed() -> None:
    made = search_findings("race", finals=False)
    steps = search_path_info(made).paths[0].steps[1:]
    for step, factor in zip(steps, _only(made).factors, strict=True):
        kept = next(level for level in factor.levels if level.chosen)
        assert kept.comparison is not None
        assert step.gain == kept.comparison.difference


def _cells(findings: StudyFindings) -> CellsInfo:
    info = cells_info(findings, "cnn")
    assert info is not None
    return info


def _all_failed(findings: StudyFindings) -> StudyFindings:
    failed = tuple(
        replace(
            candidate, accuracies=np.full_like(candidate.accuracies, np.nan), status="failed", chosen=False,
            rungs=tuple((epochs, float("nan")) for epochs, _ in candidate.rungs),
        )
        for candidate in _only(findings).candidates
    )  # fmt: skip
    return _with_model(findings, replace(_only(findings), candidates=failed))


@pytest.mark.parametrize(
    ("kind", "draw"),
    [
        ("joint", lambda made, figure: draw_history(candidates_info(made, "cnn"), figure)),
        ("joint", lambda made, figure: draw_candidate_settings(candidate_settings_info(made, "cnn"), figure)),
        ("halving", lambda made, figure: draw_rungs(candidates_info(made, "cnn"), figure)),
        ("factorial", lambda made, figure: draw_cells(_cells(made), figure)),
        ("factorial", lambda made, figure: draw_interaction(_cells(made), figure)),
    ],
)
def test_a_search_in_which_nothing_finished_is_drawn_without_numbers(
    kind: Kind, draw: Callable[[StudyFindings, Figure], None]
) -> None:
    figure = Figure()
    draw(_all_failed(search_findings(kind, finals=False)), figure)
    assert to_svg(figure)


def test_one_recipe_alone_is_a_search_too() -> None:
    made = search_findings("joint", finals=False)
    alone = _with_model(made, replace(_only(made), candidates=_only(made).candidates[:1]))
    figure = Figure()
    draw_history(candidates_info(alone, "cnn"), figure)
    assert to_svg(figure)
    assert candidate_settings_info(alone, "cnn").settings == ()


def test_many_long_labels_and_failed_tuning_are_drawn() -> None:
    made = example_findings(models=("mlp",), factors=2)
    model = made.models[0]
    level = model.factors[1].levels[1]
    nothing = replace(level.tuning[0], accuracies=np.full(len(level.tuning[0].values), np.nan))
    levels = tuple(
        replace(
            level,
            label=f"a level with a rather long name, number {number}",
            tuning=(nothing if number == 3 else level.tuning[0],),
        )
        for number in range(14)
    )
    wide = replace(model, factors=(replace(model.factors[1], levels=levels),) * 2)
    figure = Figure()
    draw_tuning(tuning_info(replace(made, models=(wide,)), "mlp"), figure)
    assert to_svg(figure)
    searched = search_findings("leave-one-out", finals=False)
    lost = tuple(
        replace(factor, levels=tuple(replace(entry, comparison=None) for entry in factor.levels))
        for factor in _only(searched).ablation
    )
    figure = Figure()
    draw_worth(worth_info(_with_model(searched, replace(_only(searched), ablation=lost)), "cnn"), figure)
    assert "not comparable" in [text.get_text() for text in figure.axes[0].texts]


def test_tuning_in_which_no_training_finished_is_drawn_with_its_values() -> None:
    made = example_findings(models=("mlp",), factors=2)
    factor = made.models[0].factors[1]
    levels = tuple(
        replace(level, tuning=tuple(replace(entry, accuracies=np.full(5, np.nan)) for entry in level.tuning))
        for level in factor.levels
    )
    lost = replace(made, models=(replace(made.models[0], factors=(replace(factor, levels=levels),)),))
    figure = Figure()
    draw_tuning(tuning_info(lost, "mlp"), figure)
    assert to_svg(figure)
    low, high = figure.axes[0].get_xlim()
    assert low <= min(min(entry.tuning[0].values) for entry in levels)
    assert high >= max(max(entry.tuning[0].values) for entry in levels)


def test_recipes_that_have_no_field_for_a_setting_take_no_part_in_its_panel() -> None:
    made = search_findings("joint", finals=False)
    first = replace(
        _only(made).candidates[0],
        idle=(("optimizer.lr", "optimizer.lr"),),
        settings=tuple(
            (name, "–" if name == "optimizer.lr" else value) for name, value in _only(made).candidates[0].settings
        ),
    )
    info = candidate_settings_info(
        _with_model(made, replace(_only(made), candidates=(first, *_only(made).candidates[1:]))), "cnn"
    )
    rates = next(entry for entry in info.settings if entry.title == "optimizer.lr")
    assert rates.numbers is not None
    assert len(rates.numbers) == len(rates.scores) == 39
