"""The numbers behind every figure, against computations that share no code with them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support, roc_auc_score
from tests.example_findings import example_findings

from ceteris.analysis.metrics import most_confused
from ceteris.analysis.results import Results, finished, results_of
from ceteris.analysis.test_images import first_test_indices, images_to_show, random_test_indices
from ceteris.figures import identity
from ceteris.figures.class_results import hardest_first
from ceteris.figures.curves import draw_iteration_loss, first_log, headline, of_search, residual_figure, running_mean
from ceteris.figures.data import draw_class_balance
from ceteris.figures.effects import draw_effects
from ceteris.figures.explanations import explanation_figures, overlaid
from ceteris.figures.images import image_sheet, scaled_to_bytes
from ceteris.figures.rows import CLAIMS, readable_range
from ceteris.figures.search_path import path_steps
from ceteris.findings import Comparison, StudyFindings, TuningFinding
from ceteris.formats import chance, points
from ceteris.records import Float32Array
from ceteris.report.search_tables import what_helped


def test_test_metrics_agree_with_scikit_learn_for_every_final(findings: StudyFindings, results: Results) -> None:
    finals = {(final.model, final.version, final.seed): final for final in findings.finals}
    checked = 0
    for summary in results.versions:
        for seed, result in zip(summary.seeds, summary.results, strict=True):
            probabilities = finals[summary.model, summary.version, seed].probabilities.astype(np.float64)
            predicted = probabilities.argmax(axis=1)
            precision, recall, f1, _ = precision_recall_fscore_support(
                findings.test_labels, predicted, average="macro", zero_division=0
            )
            normalised = probabilities / probabilities.sum(axis=1, keepdims=True)
            area = roc_auc_score(findings.test_labels, normalised, multi_class="ovr", average="macro")
            assert result.accuracy == accuracy_score(findings.test_labels, predicted)
            assert (result.precision, result.recall, result.f1) == pytest.approx((precision, recall, f1))
            assert result.auc == pytest.approx(area, abs=1e-6)
            checked += 1
    assert checked == len(findings.finals)


def test_summary_is_the_mean_over_seeds_and_its_interval_holds_it(results: Results) -> None:
    for summary in results.versions:
        accuracies = [result.accuracy for result in summary.results]
        assert summary.mean("accuracy") == pytest.approx(sum(accuracies) / len(accuracies))
        assert summary.accuracy_interval.low < summary.mean("accuracy") < summary.accuracy_interval.high


def test_confusion_counts_agree_with_scikit_learn_and_mistakes_come_most_frequent_first(
    findings: StudyFindings, results: Results
) -> None:
    summary = results.models[1].version()
    assert summary is not None
    counts = summary.results[0].confusion
    predicted = finished(findings, "cnn", "best")[0].probabilities.argmax(axis=1)
    np.testing.assert_array_equal(counts, confusion_matrix(findings.test_labels, predicted, labels=range(10)))
    mistakes = most_confused(counts, 10)
    assert [images for *_, images in mistakes] == sorted((images for *_, images in mistakes), reverse=True)
    assert all(true != taken and counts[true, taken] == images for true, taken, images in mistakes)
    assert sum(images for *_, images in most_confused(counts, 100)) == counts.sum() - np.trace(counts)


def expected_text(found: Comparison) -> str:
    return points(found.expected_gain, 1, zero="±")


def test_effects_show_every_fold_and_the_comparison_of_every_level(findings: StudyFindings) -> None:
    model, figure = results_of(findings).models[1], Figure()
    draw_effects(model, figure, margin=findings.equivalence_margin)
    folds, effects = figure.axes[:2]
    levels = [level for factor in model.factors for level in factor.levels]
    dots = [entry for entry in folds.collections if isinstance(entry, PathCollection)]
    drawn = np.concatenate([np.asarray(entry.get_offsets())[:, 0] for entry in dots])
    low, high = folds.get_xlim()
    near = [level.accuracies for level in levels if 100 * level.accuracies.mean() > low]
    expected = [100 * value for accuracies in near for value in accuracies if low <= 100 * value <= high]
    np.testing.assert_allclose(np.sort(drawn), np.sort(expected))
    assert len(near) > 0.7 * len(levels)
    told = [text.get_text() for text in effects.texts]
    for level in levels:
        assert level.tuned_label[:10] in " ".join(text.get_text() for text in folds.texts)
    compared = [level.comparison for level in levels if level.comparison is not None]
    columns = [told[place : place + 3] for place, text in enumerate(told) if text in set(map(expected_text, compared))]
    for found in compared:
        assert [expected_text(found), chance(found.chance), CLAIMS[found.verdict]] in columns
    assert sum("current setting" in text for text in told) == len(model.factors)


def test_a_level_whose_trainings_all_failed_is_drawn_without_a_number(findings: StudyFindings) -> None:
    model, figure = results_of(findings).models[0], Figure()
    draw_effects(model, figure, margin=findings.equivalence_margin)
    assert [text.get_text() for text in figure.axes[0].texts].count("  nothing finished") == 1
    assert [text.get_text() for text in figure.axes[1].texts].count("5 failed") == 1


def test_search_path_starts_at_the_baseline_and_rises_by_the_kept_differences(findings: StudyFindings) -> None:
    for model in findings.models:
        (_, first), *steps = path_steps(model)
        assert first.mean == pytest.approx(model.factors[0].levels[0].accuracies.mean())
        kept = [
            level.comparison.difference
            for factor in model.factors
            for level in factor.levels
            if level.chosen and level.comparison is not None
        ]
        assert steps[-1][1].mean - first.mean == pytest.approx(sum(kept))
        assert sum(not level.incumbent for _, level in steps) == len(kept)


def test_what_is_taken_stands_with_its_expected_gain_its_chance_and_what_was_shown(results: Results) -> None:
    rows = iter(what_helped(results.models).rows)
    for model in results.models:
        for factor in model.factors:
            kept, row = next(level for level in factor.levels if level.chosen), next(rows)
            assert row[:2] == (model.label, factor.label)
            assert str(row[2]).startswith(kept.tuned_label)
            if kept.incumbent:
                assert str(row[2]).endswith(" stays")
                assert row[3:5] == (None, None)
            else:
                assert kept.comparison is not None
                assert row[3:5] == (kept.comparison.expected_gain, kept.comparison.chance)
                assert str(row[5]).startswith("shown (")
    assert next(rows, None) is None


def test_learning_curves_name_batch_rate_epochs_time_and_device(findings: StudyFindings, results: Results) -> None:
    versions = of_search(results.models[0])
    assert [version.version for version in versions] == ["baseline", "best"]
    final = finished(findings, "mlp", "best")[0]
    assert final.cost is not None
    told = headline(versions[1], "cpu")
    for part in ("mini-batch 64", "0.002", "adam", "20 epochs", f"{final.cost.train_seconds:.1f} s", "cpu"):
        assert part in told
    assert len(versions[1].histories) == findings.seeds


def test_the_loss_is_drawn_over_every_mini_batch_of_each_version(results: Results) -> None:
    versions, figure = [version for model in results.models for version in of_search(model)], Figure()
    draw_iteration_loss(versions, figure)
    for axes, model in zip(figure.axes, results.models, strict=True):
        logs = [log for version in of_search(model) if (log := first_log(version))]
        assert len(logs) == 2
        assert [len(log.loss) for log in logs] == [420, 420]
        smooth = axes.lines[1::2]
        for line, log in zip(smooth, logs, strict=True):
            np.testing.assert_allclose(np.asarray(line.get_ydata()), running_mean(log.loss))


@given(
    arrays.arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 10, width=32)),
    st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_running_mean_is_the_mean_of_the_last_values(values: Float32Array, width: int) -> None:
    expected = [values[max(0, end - width) : end].astype(np.float64).mean() for end in range(1, len(values) + 1)]
    np.testing.assert_allclose(running_mean(values, width), expected, atol=1e-9)


def test_roc_areas_are_those_of_scikit_learn(findings: StudyFindings, results: Results) -> None:
    for summary, name in zip(results.best, ("mlp", "cnn", "resnet"), strict=True):
        scores = finished(findings, name, "best")[0].probabilities
        for label, curve in enumerate(summary.results[0].roc.per_class):
            assert curve.auc == pytest.approx(roc_auc_score(findings.test_labels == label, scores[:, label]))


def test_class_scores_are_ordered_from_the_hardest_class(results: Results) -> None:
    f1, order = hardest_first(results.best, 10)
    assert f1.shape == (3, 10)
    assert sorted(order) == list(range(10))
    assert (np.diff(f1.mean(axis=0)[order]) >= 0).all()


def test_costs_are_means_over_the_seeds(findings: StudyFindings, results: Results) -> None:
    best = results.models[1].version()
    assert best is not None
    seconds = [final.cost.train_seconds for final in finished(findings, "cnn", "best") if final.cost]
    assert best.mean_cost("train_seconds") == pytest.approx(np.mean(seconds))
    assert [best.mean_cost(name) for name in ("peak_memory_bytes", "parameters", "forward_flops_per_image")] == [
        310e6, 40_000, 900_000,
    ]  # fmt: skip


def test_training_accuracy_is_that_of_the_restored_epoch(findings: StudyFindings, results: Results) -> None:
    summary = results.models[0].version()
    assert summary is not None
    kept = [
        final.epochs.train_accuracy[final.best_epoch - 1] for final in finished(findings, "mlp", "best") if final.epochs
    ]
    assert summary.train_accuracy == pytest.approx(np.mean(kept))


def test_residual_comparison_pairs_the_best_with_the_plain_version(findings: StudyFindings, results: Results) -> None:
    [shown], figure = list(residual_figure(results)), Figure()
    shown.draw(figure)
    loss, _, gradient = figure.axes
    finals = [*finished(findings, "resnet", "best"), *finished(findings, "resnet", "plain")]
    histories = [final.epochs for final in finals if final.epochs]
    for line, history in zip(loss.lines, histories, strict=True):
        np.testing.assert_array_equal(np.asarray(line.get_ydata()), history.train_loss)
    assert findings.residual is not None
    norms = findings.residual.gradient_norms_with, findings.residual.gradient_norms_without
    for line, values in zip(gradient.lines, norms, strict=True):
        np.testing.assert_array_equal(np.asarray(line.get_ydata()), values)
    assert list(residual_figure(results_of(example_findings(models=("mlp",))))) == []


def test_predictions_shown_are_the_models_own(findings: StudyFindings, results: Results) -> None:
    for info, chosen, count in (
        (results.images.first, first_test_indices, 6), (results.images.random, random_test_indices, 10),
    ):  # fmt: skip
        np.testing.assert_array_equal(info.indices, chosen(len(findings.test_labels)))
        assert len(info.labels) == count
        np.testing.assert_array_equal(info.labels, findings.test_labels[info.indices])
        for row, name in enumerate(("mlp", "cnn", "resnet")):
            answers = finished(findings, name, "best")[0].probabilities[info.indices].argmax(axis=1)
            np.testing.assert_array_equal(info.predictions[row], answers)
            title = info.models[row]
            assert info.right()[title] == int((answers == info.labels).sum())


def test_random_images_are_ten_different_ones_and_always_the_same() -> None:
    assert len(set(random_test_indices(360).tolist())) == 10
    np.testing.assert_array_equal(random_test_indices(360), random_test_indices(360))
    assert random_test_indices(4).size == 4


def test_mistakes_are_wrong_and_of_as_many_classes_as_possible(findings: StudyFindings, results: Results) -> None:
    info = results.images.mistakes["mlp"]
    answers = finished(findings, "mlp", "best")[0].probabilities.argmax(axis=1)
    wrong = answers != findings.test_labels
    assert (info.predictions[0] != info.labels).all()
    assert len(set(info.labels.tolist())) == min(10, len(set(findings.test_labels[wrong].tolist())))


def test_images_to_show_hold_all_that_the_figures_look_up(findings: StudyFindings, results: Results) -> None:
    shown = set(images_to_show(findings.test_labels, findings.finals, findings.data.image_shape).tolist())
    count = len(findings.test_labels)
    for indices in (first_test_indices(count), random_test_indices(count), results.images.mistakes["cnn"].indices):
        assert set(indices.tolist()) <= shown
    assert set(range(6)) <= shown


def test_images_without_a_stored_picture_are_left_out(findings: StudyFindings) -> None:
    few = replace(
        findings.test_images, indices=findings.test_images.indices[:3], images=findings.test_images.images[:3]
    )
    np.testing.assert_array_equal(results_of(replace(findings, test_images=few)).images.first.indices, [0, 1, 2])


def test_failed_finals_take_no_part(findings: StudyFindings) -> None:
    broken = replace(findings.finals[0], status="diverged", probabilities=np.zeros((0, 10), np.float32), epochs=None)
    summary = results_of(replace(findings, finals=(broken, *findings.finals[1:]))).models[0].version("baseline")
    assert summary is not None
    assert summary.seeds == (1,)


def test_the_class_balance_shows_the_described_counts(findings: StudyFindings) -> None:
    figure = Figure()
    draw_class_balance(findings.data, figure)
    for axes, counts in zip(
        figure.axes, (findings.data.train_class_counts, findings.data.test_class_counts), strict=True
    ):
        assert [bar.get_height() for bar in axes.patches] == counts.tolist()  # type: ignore[attr-defined]
    assert findings.data.train_class_counts.sum() == findings.data.train_count


def test_a_model_without_grad_cam_has_no_attention_figure(results: Results) -> None:
    names = {entry.name for entry in explanation_figures(results)}
    assert {"attention-mlp"} == {f"{kind}-{name}" for kind in ("attention", "features", "embedding") for name in (
        "mlp", "cnn", "resnet")} - names  # fmt: skip


def test_figures_are_signed_with_people_study_and_date_where_somebody_is_named(findings: StudyFindings) -> None:
    line = identity(results_of(replace(findings, data=replace(findings.data, note="not the official split"))))
    for part in ("Group 12", "A. Author", "Which techniques help on digits?", "2026-11-21"):
        assert part in line
    assert "not the official split" not in line  # it stands once, above all figures
    assert identity(results_of(replace(findings, author="", group=""))) == ""


def test_the_range_of_an_axis_leaves_far_outliers_to_the_edge() -> None:
    centres = np.array([0.97, 0.972, 0.968, 0.975, 0.13, np.nan])
    low, high = readable_range(centres, centres - 0.004, centres + 0.004, needed=np.zeros(0))
    assert 0.9 < low < 0.964
    assert 0.979 < high < 1.0
    assert readable_range(centres, centres, centres, needed=np.array([0.13, np.nan]))[0] < 0.13
    nothing = np.array([np.nan])
    assert readable_range(nothing, nothing, nothing, needed=nothing) == (0.0, 1.0)


def test_a_sheet_keeps_every_picture_whole() -> None:
    pictures = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
    sheet = image_sheet(pictures, 2)
    assert sheet.shape[0] == sheet.shape[1]
    opaque = sheet[..., 3] == 255
    zoom = 64 // 4
    assert opaque.sum() == 3 * (4 * zoom) ** 2
    assert set(map(tuple, sheet[opaque][:, :3].tolist())) == set(map(tuple, pictures.reshape(-1, 3).tolist()))


def test_filters_are_scaled_around_zero_and_constant_pictures_do_not_fail() -> None:
    pictures = np.array([[[-1.0, 0.0], [0.5, 1.0]], [[2.0, 2.0], [2.0, 2.0]]], dtype=np.float32)
    grey = scaled_to_bytes(pictures, symmetric=True)[..., 0]
    np.testing.assert_array_equal(grey[0], [[0, 128], [191, 255]])
    assert scaled_to_bytes(pictures)[1].max() == 0


def test_overlay_without_heat_is_close_to_the_grey_image_and_hot_places_are_coloured() -> None:
    image = np.full((1, 1, 2, 2), 200, np.uint8)
    heat = np.array([[[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32)
    result = overlaid(image, heat).astype(int)
    assert np.ptp(result[0, 0, 0]) < 5
    assert np.ptp(result[0, 0, 1]) > 40


def test_an_incumbent_that_tuning_changed_is_told_with_its_new_value_everywhere(findings: StudyFindings) -> None:
    model, factor, kept = next(
        (model, factor, level)
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
        if level.incumbent
    )
    tuned = TuningFinding(
        field="optimizer.lr", values=(0.05, 0.15), accuracies=np.array([0.9, 0.95]), start=0.05, chosen=0.15, widened=0,
        at_edge=True,
    )  # fmt: skip
    parts = (("sgd (", ""), ("lr 0.05", "optimizer.lr"), (")", ""))
    stays = replace(kept, label="sgd (lr 0.05)", label_parts=parts, chosen=True, comparison=None, tuning=(tuned,))
    changed = replace(factor, levels=(stays, *(replace(level, chosen=False) for level in factor.levels[1:])))
    told = replace(findings, models=(replace(model, factors=(changed,)),), finals=(), explanations=())
    assert (stays.tuned_label, stays.retuned) == ("sgd (lr 0.15, tuned)", True)
    assert replace(stays, label="plain", label_parts=()).tuned_label == "plain (lr 0.15, tuned)"
    assert replace(stays, tuning=(replace(tuned, chosen=0.05),)).tuned_label == "sgd (lr 0.05)"
    _, step = path_steps(told.models[0])[1]
    assert (step.tuned_label, step.incumbent, step.retuned) == ("sgd (lr 0.15, tuned)", True, True)
    row = what_helped(results_of(told).models).rows[0]
    assert row[2] == "sgd (lr 0.15, tuned) stays"
    assert row[6:8] == ("sgd (lr 0.15, tuned)", "sgd (lr 0.15, tuned)")
