"""The figures of every strategy: their numbers against the findings, and that they can be drawn whatever is in them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.example_findings import example_findings
from tests.example_searches import KINDS, Kind, search_findings

from ceteris.analysis.results import ModelResults, results_of
from ceteris.figures import figures
from ceteris.figures.candidates import (
    best_so_far,
    draw_history,
    draw_rungs,
    draw_settings,
    tried_recipes,
    varying_settings,
)
from ceteris.figures.effects import draw_race
from ceteris.figures.improvement import draw_ablation, draw_improvement
from ceteris.figures.interactions import (
    InteractionGrid,
    draw_cells,
    draw_interactions,
    draw_lines,
    interaction_grid,
    strongest,
)
from ceteris.figures.report_figure import to_svg
from ceteris.figures.search_path import draw_tuning, has_path, path_steps, tuned_fields
from ceteris.findings import FactorPath, ModelFinding, StudyFindings, Taken
from ceteris.formats import points

SEARCHES: dict[Kind, set[str]] = {
    "one-at-a-time": {"effects-cnn", "tuning-cnn"},
    "leave-one-out": {"search-path", "effects-cnn", "tuning-cnn", "worth-cnn"},
    "factorial": {"effects-cnn", "cells-cnn", "interaction-cnn", "interactions-cnn"},
    "joint": {"history-cnn", "settings-cnn"},
    "halving": {"rungs-cnn", "settings-cnn"},
    "race": {"search-path", "effects-cnn", "race-cnn", "tuning-cnn"},
}


def _only(findings: StudyFindings) -> ModelResults:
    return results_of(findings).models[0]


def _figure(findings: StudyFindings, name: str) -> Figure:
    return next(entry for entry in figures(results_of(findings)) if entry.name == name).figure()


def _with_model(findings: StudyFindings, model: ModelFinding) -> StudyFindings:
    return replace(findings, models=(model,))


@pytest.mark.parametrize("kind", KINDS)
def test_every_strategy_has_its_own_figures_and_all_of_them_draw(kind: Kind) -> None:
    made = search_findings(kind, finals=False)
    drawn = {
        entry.name: entry
        for entry in figures(results_of(made))
        if entry.section == "exploration" and not entry.columns  # the paper has its own
    }
    assert set(drawn) == SEARCHES[kind] | {"improvement"}
    for entry in drawn.values():
        figure = entry.figure()
        assert any("Group 12" in text.get_text() for text in figure.texts)
        assert len(entry.caption) > 30
        assert to_svg(figure).startswith("<svg")


def test_the_improvement_shows_the_fresh_blocks_and_the_sum_of_the_gains_that_chose() -> None:
    made, figure = results_of(example_findings()), Figure()
    draw_improvement(made.models, figure, margin=made.equivalence_margin)
    blocks, gains = figure.axes[:2]
    assert [text.get_text() for text in blocks.texts] == ["MLP", "CNN", "ResNet"]
    drawn = np.concatenate([np.asarray(dots.get_offsets())[:, 0] for dots in blocks.collections])
    fresh = [half for model in made.models if (found := model.confirmation) for half in (found.baseline, found.best)]
    np.testing.assert_allclose(np.sort(drawn), np.sort(100 * np.concatenate(fresh)))
    diamonds = np.concatenate([np.asarray(dots.get_offsets())[:, 0] for dots in gains.collections]).round(6)
    for model in made.models:
        assert model.confirmation is not None
        assert model.confirmation.comparison is not None
        differences = model.confirmation.best - model.confirmation.baseline
        assert model.confirmation.comparison.difference == pytest.approx(differences.mean())
        kept = [factor.reason.gain for factor in model.factors if isinstance(factor.reason, Taken)]
        assert model.promised_gain == pytest.approx(sum(kept))
        assert round(100 * sum(kept), 6) in diamonds
    assert np.isnan(_only(search_findings("joint", finals=False)).promised_gain)


def test_a_study_without_a_confirmation_has_no_figure_of_the_improvement() -> None:
    made = search_findings("joint", finals=False)
    bare = _with_model(made, replace(made.models[0], confirmation=None))
    assert "improvement" not in {entry.name for entry in figures(results_of(bare))}


def test_the_worth_of_a_choice_is_what_is_lost_without_it() -> None:
    made = search_findings("leave-one-out", finals=False)
    choices = _only(made).choices
    differences = {
        factor.title: level.comparison.difference
        for factor in _only(made).ablation
        for level in factor.levels
        if level.comparison
    }
    for choice in choices:
        found = choice.comparison
        assert found is not None
        assert found.difference == pytest.approx(-differences[choice.factor])
        assert found.difference == pytest.approx(choice.losses.mean())
        assert found.low < found.difference < found.high
        assert found.verdict == ("better" if found.low > 0 else "worse" if found.high < 0 else found.verdict)
    losses = [choice.losses.mean() for choice in choices]
    assert losses == sorted(losses, reverse=True)


def test_cells_of_two_factors_are_the_means_of_the_grid() -> None:
    made = search_findings("factorial", factors=2, finals=False)
    info = interaction_grid(_only(made), made.equivalence_margin)
    assert info is not None
    for candidate in _only(made).candidates:
        settings = dict(candidate.settings)
        place = info.first_levels.index(settings["optimizer"]), info.second_levels.index(settings["batch-norm"])
        assert info.means[place] == pytest.approx(candidate.accuracies.mean())
        assert (info.chosen == place) == candidate.chosen


def test_cells_of_more_factors_are_averaged_over_the_rest() -> None:
    made = search_findings("factorial", finals=False)
    info = interaction_grid(_only(made), made.equivalence_margin)
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
    assert interaction_grid(some, made.equivalence_margin) is None
    two = search_findings("factorial", factors=2, finals=False)
    missing = interaction_grid(replace(_only(two), candidates=_only(two).candidates[:-1]), two.equivalence_margin)
    assert missing is not None
    assert np.isnan(missing.means).sum() == 1
    figure = Figure()
    draw_cells(missing, figure)
    assert "–" in [text.get_text() for text in figure.axes[0].texts]


def test_interactions_come_strongest_first() -> None:
    made, figure = search_findings("factorial", finals=False), Figure()
    model = _only(made)
    sizes = [abs(entry.comparison.difference) for entry in strongest(model.interactions)]
    assert sizes == sorted(sizes, reverse=True)
    draw_interactions(model, figure, margin=made.equivalence_margin)
    told = [text.get_text() for text in figure.axes[0].texts]
    assert told[:2] == ["Optimizer: adam", "× Batch normalisation: on"]
    assert len(model.interactions) == 11
    assert len(told) == 3 * 11


def test_the_best_so_far_never_falls_and_counts_finished_recipes_only() -> None:
    tried = tried_recipes(_only(search_findings("joint", finals=False)))
    scores = np.array([np.nanmean(entry.accuracies) if entry.status == "finished" else -1.0 for entry in tried])
    np.testing.assert_array_equal(best_so_far(tried), np.maximum.accumulate(scores))
    assert best_so_far(tried)[-1] == max(np.nanmean(entry.accuracies) for entry in tried if entry.chosen)
    assert [entry.number for entry in tried if np.isnan(entry.accuracies).all()] == [13]


def test_settings_that_never_differ_are_left_out_and_ranges_are_told_from_choices() -> None:
    made = search_findings("joint", finals=False)
    same = tuple(
        replace(candidate, settings=(*candidate.settings, ("epochs", "20"))) for candidate in _only(made).candidates
    )
    settings = varying_settings(replace(_only(made), candidates=same))
    kinds = {entry.title: entry.numbers is not None for entry in settings}
    assert kinds == {
        "optimizer": False,
        "batch-norm": False,
        "augmentation": False,
        "optimizer.lr": True,
        "model.dropout": True,
    }
    for entry in settings:
        assert sum(entry.chosen) == 1
        assert len(entry.values) == len(entry.scores) == 40


def test_recipes_of_successive_halving_are_compared_where_all_had_the_same_epochs() -> None:
    made = search_findings("halving", finals=False)
    expected = [candidate.rungs[0][1] for candidate in _only(made).candidates]
    np.testing.assert_array_equal(varying_settings(_only(made))[0].scores, expected)
    assert any("first rung" in axes.get_title() for axes in _figure(made, "settings-cnn").axes)


def test_a_race_shows_how_many_blocks_every_level_was_trained_on() -> None:
    made, figure = search_findings("race", finals=False), Figure()
    draw_race(_only(made), figure)
    assert _only(made).trainings_saved == 81
    bars = [bar.get_width() for bar in figure.axes[0].patches]  # type: ignore[attr-defined]
    trained = [int(np.isfinite(level.accuracies).sum()) for factor in _only(made).factors for level in factor.levels]
    assert bars[0::2] == [25] * len(trained)
    assert bars[1::2] == trained
    assert len(set(trained)) > 1


def test_trainings_that_failed_are_no_blocks_that_were_saved() -> None:
    made = results_of(example_findings(models=("mlp",), factors=2))
    assert not any(entry.name.startswith("race-") for entry in figures(made))


def test_tuned_values_stand_in_rising_order_with_their_own_accuracies() -> None:
    made = example_findings(models=("mlp",), factors=2)
    panels = tuned_fields(made.models[0])
    assert [(panel.factor, panel.field) for panel in panels] == [("Optimizer", "optimizer.lr")]
    tuned = {level.label: level.tuning[0] for level in made.models[0].factors[1].levels}
    assert dict(panels[0].arms) == tuned
    figure = Figure()
    draw_tuning(panels, figure, title="MLP")
    lines = figure.axes[0].lines
    for line, (_, found) in zip(lines, panels[0].arms, strict=True):
        finite = {
            value: 100 * accuracy
            for value, accuracy in zip(found.values, found.accuracies, strict=True)
            if np.isfinite(accuracy)
        }
        assert list(line.get_xdata()) == sorted(finite)  # type: ignore[arg-type]
        assert list(line.get_ydata()) == [finite[value] for value in sorted(finite)]  # type: ignore[arg-type]
        assert finite[found.chosen] == max(finite.values())
    names = [text.get_text() for text in figure.axes[1].texts]
    assert [label for label, value in zip(names[::2], names[1::2], strict=True) if "→" in value] == ["muon"]


def test_only_a_search_around_the_best_so_far_has_a_path() -> None:
    paths = {kind: has_path(_only(search_findings(kind, finals=False))) for kind in KINDS}
    assert {kind for kind, path in paths.items() if path} == {"leave-one-out", "race"}
    model = _only(search_findings("race", finals=False))
    assert isinstance(model.search, FactorPath)
    assert not has_path(replace(model, search=replace(model.search, around="baseline")))
    assert not has_path(replace(model, factors=()))


def test_a_step_of_the_path_gains_what_the_common_blocks_showed() -> None:
    made = search_findings("race", finals=False)
    steps = path_steps(_only(made))[1:]
    for (_, level), factor in zip(steps, _only(made).factors, strict=True):
        assert level == next(entry for entry in factor.levels if entry.chosen)
        assert level.comparison is not None
    told = [text.get_text() for text in _figure(made, "search-path").axes[0].texts]
    for _, level in steps:
        assert level.comparison is not None
        assert points(level.comparison.difference, 1, zero="±") in told


def _cells(findings: StudyFindings) -> InteractionGrid:
    grid = interaction_grid(_only(findings), findings.equivalence_margin)
    assert grid is not None
    return grid


def _all_failed(findings: StudyFindings) -> StudyFindings:
    failed = tuple(
        replace(
            candidate, accuracies=np.full_like(candidate.accuracies, np.nan), status="failed", chosen=False,
            rungs=tuple((epochs, float("nan")) for epochs, _ in candidate.rungs),
        )
        for candidate in _only(findings).candidates
    )  # fmt: skip
    return _with_model(findings, replace(findings.models[0], candidates=failed))


def _draw_settings(findings: StudyFindings, figure: Figure) -> None:
    draw_settings(varying_settings(_only(findings)), figure, title="CNN", measured="accuracy")


@pytest.mark.parametrize(
    ("kind", "draw"),
    [
        ("joint", lambda made, figure: draw_history(tried_recipes(_only(made)), figure, title="CNN")),
        ("joint", lambda made, figure: _draw_settings(made, figure)),
        (
            "halving",
            lambda made, figure: draw_rungs(tried_recipes(_only(made)), figure, title="CNN: successive halving"),
        ),
        ("factorial", lambda made, figure: draw_cells(_cells(made), figure)),
        ("factorial", lambda made, figure: draw_lines(_cells(made), figure)),
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
    alone = _with_model(made, replace(made.models[0], candidates=made.models[0].candidates[:1]))
    figure = Figure()
    draw_history(tried_recipes(_only(alone)), figure, title="CNN")
    assert to_svg(figure)
    assert varying_settings(_only(alone)) == ()


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
    draw_tuning(tuned_fields(wide), figure, title="MLP")
    assert to_svg(figure)
    searched = search_findings("leave-one-out", finals=False)
    lost = tuple(
        replace(factor, levels=tuple(replace(entry, comparison=None) for entry in factor.levels))
        for factor in _only(searched).ablation
    )
    figure = Figure()
    without = _only(_with_model(searched, replace(searched.models[0], ablation=lost)))
    draw_ablation(without.choices, figure, title="CNN", margin=0.005)
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
    draw_tuning(tuned_fields(lost.models[0]), figure, title="MLP")
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
    settings = varying_settings(replace(_only(made), candidates=(first, *_only(made).candidates[1:])))
    rates = next(entry for entry in settings if entry.title == "optimizer.lr")
    assert rates.numbers is not None
    assert len(rates.numbers) == len(rates.scores) == 39
