"""Every figure can be drawn, whatever the study looks like; the suite turns warnings into errors."""

import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.example_findings import example_findings

from ceteris.analysis.results import Results, results_of
from ceteris.figures import ReportFigure, figures
from ceteris.figures.report_figure import to_png, to_svg
from ceteris.findings import StudyFindings

EXPECTED = {
    "samples", "class-balance", "search-path", "effects-mlp", "effects-cnn", "effects-resnet", "curves-mlp", "curves-cnn",
    "curves-resnet", "iterations-loss", "learning-rate", "generalisation-gap", "test-results", "confusion-mlp",
    "confusion-cnn", "confusion-resnet", "roc", "class-scores", "calibration", "costs", "residual", "attention-cnn",
    "attention-resnet", "features-mlp", "features-cnn", "features-resnet", "embedding-mlp", "embedding-cnn",
    "embedding-resnet", "improvement",
    "tuning-mlp", "tuning-cnn", "tuning-resnet", "first-images", "random-images",
    "mistakes-mlp", "mistakes-cnn", "mistakes-resnet",
} | {
    f"paper-{name}"
    for name in (
        "samples", "effects", "improvement", "curves", "accuracies", "confusion", "first-images", "mistakes", "attention",
        "residual", "costs",
    )
}  # fmt: skip
MODELS = ("mlp", "cnn", "resnet")


@pytest.fixture(scope="module")
def entries(results: Results) -> dict[str, ReportFigure]:
    return {entry.name: entry for entry in figures(results)}


def named(findings: StudyFindings, name: str) -> ReportFigure:
    return next(entry for entry in figures(results_of(findings)) if entry.name == name)


def test_a_full_study_has_every_figure_once_with_words(results: Results) -> None:
    entries = list(figures(results))
    assert {entry.name for entry in entries} == EXPECTED
    assert len(entries) == len(EXPECTED)
    assert all(len(entry.caption) > 30 and len(entry.description) > 30 for entry in entries)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_figure_draws_and_carries_the_identifier(entries: dict[str, ReportFigure], name: str) -> None:
    figure = entries[name].figure()
    texts = [text.get_text() for text in figure.texts]
    assert any("Group 12" in text and "2026-11-21" in text for text in texts) != bool(entries[name].columns)
    assert to_svg(figure).startswith("<svg")


def _drawn(findings: StudyFindings) -> set[str]:
    names = set()
    for entry in figures(results_of(findings)):
        to_svg(entry.figure())
        names.add(entry.name)
    return names


def test_a_hundred_classes_with_long_names_in_colour() -> None:
    names = [f"a class with a rather long name, number {number}" for number in range(100)]
    drawn = _drawn(example_findings(models=("cnn",), factors=1, classes=100, seeds=1, colour=True, class_names=names))
    assert {"confusion-cnn", "samples", "class-scores"} <= drawn


def test_one_model_without_factors() -> None:
    drawn = _drawn(example_findings(models=("mlp",), factors=0, seeds=1))
    assert "test-results" in drawn
    assert not {"search-path", "effects-mlp", "residual"} & drawn


def test_a_study_whose_finals_all_failed_still_shows_data_and_exploration(findings: StudyFindings) -> None:
    lost = tuple(
        replace(
            final, status="failed", epochs=None, iterations=None, cost=None, probabilities=np.zeros((0, 10), np.float32)
        )
        for final in findings.finals
    )
    nothing = results_of(replace(findings, finals=lost, explanations=(), residual=None))
    names = {entry.name for entry in figures(nothing) if not entry.columns}
    of_search = {"improvement", "search-path", *(f"{kind}-{name}" for kind in ("effects", "tuning") for name in MODELS)}
    assert names == {"samples", "class-balance"} | of_search


def test_hostile_names_are_drawn_as_they_are() -> None:
    names = ["$x$", "\\frac", "<b>", "_", "^", "{", "漢字", "%", "#", "&"]
    findings = example_findings(models=("cnn",), factors=1, seeds=1, title="$\\alpha", class_names=names)
    for name in ("samples", "confusion-cnn", "mistakes-cnn"):
        assert to_png(named(findings, name).figure(), dpi=50)


def _all_equal(findings: StudyFindings) -> StudyFindings:
    """Every level and every final exactly right: the ranges of all axes are empty."""
    perfect = np.eye(10, dtype=np.float32)[findings.test_labels]
    levels = [
        [replace(level, accuracies=np.ones(5), comparison=None) for level in factor.levels]
        for factor in findings.models[0].factors
    ]
    factors = tuple(
        replace(factor, levels=tuple(made)) for factor, made in zip(findings.models[0].factors, levels, strict=True)
    )
    return replace(
        findings,
        models=(replace(findings.models[0], factors=factors),),
        finals=tuple(replace(final, probabilities=perfect) for final in findings.finals),
    )


def test_perfect_results_leave_no_axis_without_a_range() -> None:
    drawn = _drawn(_all_equal(example_findings(models=("mlp",), factors=1, seeds=1)))
    assert "mistakes-mlp" not in drawn
    assert {"effects-mlp", "test-results", "class-scores"} <= drawn


def test_svg_is_the_same_every_time_and_has_neither_date_nor_letters_of_a_font(findings: StudyFindings) -> None:
    entry = named(findings, "search-path")
    first, second = to_svg(entry.figure()), to_svg(entry.figure())
    assert first == second
    assert "<text" not in first
    assert "<dc:date" not in first


def test_png_has_the_resolution_that_was_asked_for(findings: StudyFindings) -> None:
    figure = named(findings, "learning-rate").figure()
    picture = Image.open(io.BytesIO(to_png(figure, dpi=100)))
    assert picture.size == tuple(round(100 * inches) for inches in figure.get_size_inches())


def test_the_callers_settings_neither_matter_nor_change(findings: StudyFindings) -> None:
    entry = named(findings, "costs")
    expected = to_svg(entry.figure())
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "none", "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        assert to_svg(entry.figure()) == expected
        assert dict(matplotlib.rcParams) == before


def test_drawing_does_not_touch_the_numbers(findings: StudyFindings) -> None:
    before = findings.finals[0].probabilities.copy()
    figure = Figure()
    named(findings, "roc").draw(figure)
    np.testing.assert_array_equal(findings.finals[0].probabilities, before)
    assert figure.axes


def test_a_figure_shows_itself_in_a_notebook(findings: StudyFindings) -> None:
    entry: ReportFigure = named(findings, "class-balance")
    assert entry._repr_png_().startswith(b"\x89PNG")


def test_a_model_none_of_whose_trainings_finished_is_drawn_without_numbers() -> None:
    findings = example_findings(models=("mlp",), factors=2, seeds=1)
    factors = tuple(
        replace(
            factor,
            levels=tuple(replace(level, accuracies=np.full(5, np.nan), comparison=None) for level in factor.levels),
        )
        for factor in findings.models[0].factors
    )
    broken = replace(findings, models=(replace(findings.models[0], factors=factors),))
    for name in ("effects-mlp", "search-path"):
        assert to_svg(named(broken, name).figure())
