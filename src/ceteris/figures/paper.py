"""Figures drawn for the columns of the printed report: all models in each, letters at their size in print, no title."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ceteris.analysis.results import ModelResults, Results, VersionResults
from ceteris.analysis.test_images import PredictedImages
from ceteris.figures.class_results import coloured_counts
from ceteris.figures.curves import DASHED, TEST, draw_seed
from ceteris.figures.explanations import overlaid
from ceteris.figures.images import as_colour, draw_sheet
from ceteris.figures.report_figure import ReportFigure, Section
from ceteris.figures.rows import draw_comparison, readable_range, write_right
from ceteris.figures.style import (
    ACCENT,
    BOTH_COLUMNS,
    COLUMN,
    CONTRAST,
    DARK,
    FAINT,
    INK,
    MARKERS,
    MUTED,
    PAPER,
    VERDICT_COLOURS,
    WHITE,
    abbreviated,
    axes_at,
    compact,
    grid,
    logarithmic,
    model_colour,
)
from ceteris.findings import Comparison, FactorFinding, ResidualFinding
from ceteris.formats import points, shortened
from ceteris.records import FloatArray

MOST_MATRICES = 20  # classes: above, a table of the pairs that are confused most tells more
MOST_EFFECTS, EFFECT_ROW, EFFECT_HEAD, TALLEST = 52.0, 0.135, 0.38, 8.6  # rows of a panel; inches
MOST_ROWS = 4  # models whose single images are shown
LETTER = 0.056  # inches: a letter of 7 points
HIGH = 0.9  # accuracy: above it curves are drawn as errors on a logarithmic axis


def paper_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield every figure of the printed report that the results allow."""
    for name, section, columns, caption, description, draw in _entries(results):
        yield ReportFigure(
            name=f"paper-{name}",
            section=section,
            columns=columns,
            caption=caption,
            description=f"{description} The numbers are in the tables.",
            draw=draw,
        )


def _entries(results: Results) -> Iterator[tuple[str, Section, Any, str, str, Callable[[Figure], None]]]:
    """Yield name, section, columns, caption, description and drawer of every figure."""
    data, best, mean = results.data, results.best, _mean_over(results)
    spread = 2 if len(best) > 1 else 1
    fewer = f" of the {MOST_ROWS} models with the highest test accuracy" if len(best) > MOST_ROWS else ""
    if len(data.sample_labels):
        yield (
            "samples", "data", 1, f"Training images with their labels, of {len(data.classes)} classes.",
            "A sheet of training images.", partial(draw_samples, results),
        )  # fmt: skip
    for number, bands in enumerate(effect_panels(results)):
        yield (
            f"effects-{number + 1}" if number else "effects", "exploration", 2 if max(map(len, bands)) > 1 else 1,
            "Every option of every factor against the setting that was current then: difference of the cross-validated "
            "accuracy in points with its 95 % interval (an arrow where it goes on); ✓ taken; filled: shown, open: not shown.",
            "Dot plots of differences with intervals, a panel per model.",
            partial(draw_effects, bands, results.equivalence_margin),
        )  # fmt: skip
    if any(model.confirmation for model in results.models):
        yield (
            "improvement", "exploration", 1,
            "Best setting minus baseline, both trained again: difference of the accuracy in points with its 95 % interval, "
            "and what was shown.", "A dot plot with a row per model.", partial(draw_improvement, results),
        )  # fmt: skip
    if any(version.histories for version in best):
        yield (
            "curves", "training", spread,
            "Loss and accuracy (or its error, logarithmic) by epoch of the best version of every model: training, "
            "validation and, recorded afterwards, test. Strong: first seed; faint: the others; dashed: epoch kept. "
            "Training values are means over mini-batches, with augmentation and dropout in force.",
            "Line charts, one column per model.", partial(draw_curves, results),
        )  # fmt: skip
    if results.versions:
        yield (
            "accuracies", "results", 1,
            f"Accuracy in training (open), validation (filled) and test (diamond, 95 % interval), {mean}.",
            "A dumbbell chart with a row per version.", partial(draw_accuracies, results),
        )  # fmt: skip
    if best and len(data.classes) <= MOST_MATRICES:
        yield (
            "confusion", "results", spread,
            f"Confusion matrices of the best versions: how many per cent of each true class (row) got each answer (column), "
            f"{mean}; right answers blue, mistakes orange on a scale of their own.",
            "A confusion matrix per model.", partial(draw_confusions, best, data.classes),
        )  # fmt: skip
    if len(results.images.first.labels) and best:
        yield (
            "first-images", "errors", 1,
            f"The first six test images with the answers of the best versions (first seed). Right: "
            f"{results.images.first.counted()}.", "Six images with true and predicted classes.",
            partial(draw_answers, results.images.first, data.classes),
        )  # fmt: skip
    best_first = sorted(best, key=lambda version: -version.mean("accuracy"))[:MOST_ROWS]
    wrong = {
        version.title: shown
        for version in best
        if version in best_first and len((shown := results.images.mistakes[version.model]).labels)
    }
    if wrong:
        yield (
            "mistakes", "errors", 1,
            f"The most confident mistakes of the best versions{fewer} (first seed): true class → answer.",
            "Misclassified images, a row per model.", partial(draw_mistakes, wrong, data.classes),
        )  # fmt: skip
    seen = [model for model in results.models if model.explanation is not None and len(model.explanation.heat)]
    rank = {version.model: place for place, version in enumerate(sorted(best, key=lambda one: -one.mean("accuracy")))}
    seen = sorted(seen, key=lambda model: rank.get(model.name, len(rank)))[:MOST_ROWS]
    if seen:
        yield (
            "attention", "explanations", 1,
            f"Where the best versions look{fewer} (Grad-CAM, Selvaraju et al. 2017; first seed): bright regions speak for the "
            "predicted class, which stands below. It shows where the last feature maps were active, not why.",
            "Images and heat maps, a row per model.", partial(draw_attention, seen, data.classes),
        )  # fmt: skip
    plain = [model for model in results.models if model.version("plain") and model.version()]
    if plain:
        yield (
            "residual", "residual", 1,
            f"{plain[0].label} with (blue) and without (orange) its residual connections: training loss by epoch and norm of "
            "the gradient of every convolution at the first step.",
            "Line charts of the loss and of gradient norms.", partial(draw_residual, plain[0], results.residual),
        )  # fmt: skip
    if any(version.costs for version in best):
        yield (
            "costs", "training", 1, f"Test accuracy against training time and parameters, {mean}; open: baseline.",
            "Two scatter charts.", partial(draw_costs, results),
        )  # fmt: skip


def _mean_over(results: Results) -> str:
    most = max((len(version.finals) for version in results.versions), default=1)
    return f"mean over {most} seeds" if most > 1 else "one training each"


def _open(figure: Figure, width: float, height: float) -> None:
    figure.set_size_inches(width, height)


def _letters(inches: float) -> int:
    return max(3, int(inches / LETTER))


def draw_samples(results: Results, figure: Figure) -> None:
    """Draw two images of every class, or where there are many classes one of as many as there is room for."""
    data, count = results.data, len(results.data.classes)
    if count <= 12:
        columns, places = count, [
            place
            for row in range(2)
            for label in range(count)
            for place in np.flatnonzero(data.sample_labels == label)[row : row + 1]
        ]  # fmt: skip
    else:
        columns = 7 if max(map(len, data.classes)) > 3 else 12
        classes = np.unique(np.linspace(0, count - 1, min(count, 3 * columns)).astype(int))
        places = [int(found[0]) for label in classes if len(found := np.flatnonzero(data.sample_labels == label))]
    side, rows = min(COLUMN / columns, 0.6), -(-len(places) // columns)
    pitch = side + 0.13
    _open(figure, COLUMN, rows * pitch + 0.02)
    for row in range(rows):
        part = places[row * columns : (row + 1) * columns]
        axes = axes_at(figure, (COLUMN - side * columns) / 2, row * pitch, side * len(part), side)
        draw_sheet(axes, as_colour(data.sample_images[part]), len(part), gap=0.04)
        for column, place in enumerate(part):
            name = abbreviated(data.classes[data.sample_labels[place]], _letters(side))
            axes.text(column + 0.5, 1.02, name, ha="center", va="top", fontsize=7)


# ---------------------------------------------------------------------------------------------------------------------
# The exploration


def effect_panels(results: Results) -> list[list[list[tuple[ModelResults, list[FactorFinding], float]]]]:
    """Lay out the factors of all models: figures of rows of panels, each panel (model, factors, height in rows)."""
    panels: list[tuple[ModelResults, list[FactorFinding], float]] = []
    for model in results.models:
        part: list[FactorFinding] = []
        for factor in model.factors:
            if part and _rows([*part, factor]) > MOST_EFFECTS:
                panels.append((model, part, _rows(part)))
                part = []
            part.append(factor)
        if part:
            panels.append((model, part, _rows(part)))
    across = 3 if len(panels) % 3 == 0 or len(panels) > 4 else min(len(panels), 2)
    bands = [panels[start : start + across] for start in range(0, len(panels), max(across, 1))]
    pages: list[list[list[tuple[ModelResults, list[FactorFinding], float]]]] = []
    used = 0.0
    for band in bands:
        height = max(rows for *_, rows in band) * EFFECT_ROW + EFFECT_HEAD
        if not pages or used + height > TALLEST:
            pages.append([])
            used = 0.0
        pages[-1].append(band)
        used += height
    return pages


def _rows(factors: Sequence[FactorFinding]) -> float:
    return sum(1.15 + len(factor.levels) for factor in factors)


def draw_effects(
    bands: list[list[tuple[ModelResults, list[FactorFinding], float]]], margin: float, figure: Figure
) -> None:
    """Draw rows of panels, each with a row for every option of some factors of one model."""
    across = max(map(len, bands))
    page = COLUMN if across == 1 else BOTH_COLUMNS
    pitch, label = page / across, min(1.35, 0.45 * page / across)
    heights = [max(rows for *_, rows in band) * EFFECT_ROW + EFFECT_HEAD for band in bands]
    _open(figure, page, sum(heights))
    for row, band in enumerate(bands):
        for column, (model, factors, rows) in enumerate(band):
            width = pitch - label - 0.55
            top = sum(heights[:row]) + EFFECT_HEAD - 0.08
            axes = axes_at(figure, pitch * column + label, top, width, rows * EFFECT_ROW)
            known = [level.comparison for factor in factors for level in factor.levels if level.comparison]
            set_differences(axes, known, rows, margin)
            colour = model_colour(model.position)
            title = shortened(model.label, _letters(pitch))
            axes.set_title(title, fontsize=7.5, fontweight="bold", color=colour, pad=12)
            _draw_effects_of(axes, factors, label, width)


def _draw_effects_of(axes: Axes, factors: Sequence[FactorFinding], left: float, width: float) -> None:
    page, top = axes.get_yaxis_transform(), 0.0
    for factor in factors:
        axes.text(-left / width, top + 0.6, shortened(factor.label, _letters(left + width)), transform=page, va="center",
                  fontweight="bold")  # fmt: skip
        for row, level in enumerate(factor.levels):
            y = top + 1.65 + row
            name = ("✓ " if level.chosen else "   ") + abbreviated(level.tuned_label, _letters(left - 0.12))
            axes.text(-left / width, y, name, transform=page, va="center", color=INK if level.chosen else MUTED)
            if level.comparison:
                draw_comparison(axes, y, level.comparison, told=points(level.comparison.difference, zero="±"))
            else:
                write_right(axes, y, "current" if level.incumbent else "failed")
        top += 1.15 + len(factor.levels)


def set_differences(axes: Axes, known: Sequence[Comparison], rows: float, margin: float) -> None:
    """Prepare axes of differences in points, ``rows`` rows high, with the band of what counts as equivalent."""
    centre, low, high = (np.array([getattr(one, name) for one in known]) for name in ("difference", "low", "high"))
    left, right = readable_range(centre, low, high, needed=np.array([0.0])) if known else (-margin, margin)
    axes.set_xlim(100 * min(left, -1.3 * margin), 100 * max(right, 1.3 * margin))
    axes.set_ylim(rows, 0)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0, top=False, labeltop=True, labelbottom=False, pad=0)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    grid(axes, "x")
    axes.axvspan(-100 * margin, 100 * margin, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.7, zorder=1)


def draw_improvement(results: Results, figure: Figure) -> None:
    """Draw a row per model that met its baseline again."""
    found = [(model, model.confirmation.comparison) for model in results.models if model.confirmation]
    _open(figure, COLUMN, 0.19 * len(found) + 0.2)
    axes = axes_at(figure, 0.95, 0.18, 1.4, 0.19 * len(found))
    set_differences(axes, [one for _, one in found if one], len(found), results.equivalence_margin)
    for row, (model, comparison) in enumerate(found):
        label = shortened(model.label, 16)
        axes.text(-0.66, row + 0.5, label, transform=axes.get_yaxis_transform(), va="center", fontweight="bold")
        draw_comparison(axes, row + 0.5, comparison)


# ---------------------------------------------------------------------------------------------------------------------
# Training and results


def draw_curves(results: Results, figure: Figure) -> None:
    """Draw loss above accuracy for every model's best version, or the error, logarithmic, where all are above 90 %."""
    shown = [version for version in results.best if version.histories]
    across = min(len(shown), 3 if len(shown) < 4 else 4 if len(shown) % 5 else 5)
    high = min(version.mean("accuracy") for version in shown) > HIGH
    page = COLUMN if len(shown) == 1 else BOTH_COLUMNS
    pitch, band, body = page / across, 2.0, 0.72
    _open(figure, page, band * -(-len(shown) // across) + 0.14)
    panels: list[list[Axes]] = []
    for number, version in enumerate(shown):
        left, top = pitch * (number % across) + 0.45, band * (number // across) + 0.34
        pair = [axes_at(figure, left, top + place * (body + 0.1), pitch - 0.55, body) for place in range(2)]
        _draw_curves_of(pair, version, high=high, test_count=results.test_count)
        pair[0].set_title(shortened(version.title, _letters(pitch - 0.5)), pad=3, fontweight="bold")
        panels.append(pair)
    for metric in zip(*panels, strict=True):  # one scale for all models
        lows, highs = zip(*(axes.get_ylim() for axes in metric), strict=True)
        for number, axes in enumerate(metric):
            axes.set_ylim(min(lows), max(highs))
            if number % across:
                axes.tick_params(labelleft=False)
    panels[0][0].set_ylabel("loss", labelpad=1)
    panels[0][1].set_ylabel("error, %" if high else "accuracy, %", labelpad=1)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.0), borderaxespad=0, handlelength=1.4
    )


def _draw_curves_of(pair: Sequence[Axes], version: VersionResults, *, high: bool, test_count: int) -> None:
    first = next(final for final in version.finals if final.epochs is not None)
    floor = 50 / max(test_count, 1)  # half an image, where nothing is wrong

    def scaled(values: Any, loss: bool) -> FloatArray:
        numbers = np.asarray(values, dtype=np.float64)
        if loss:
            return np.maximum(numbers, 1e-4)
        return np.maximum(100 * (1 - numbers), floor) if high else 100 * numbers

    for axes, name, test in zip(
        pair, ("loss", "accuracy"), (first.test_curve_loss, first.test_curve_accuracy), strict=True
    ):
        for number, history in enumerate(version.histories):
            for part, colour, label in (("train", ACCENT, "training"), ("validation", CONTRAST, "validation")):
                values = np.asarray(getattr(history, f"{part}_{name}"))
                if np.isfinite(values).any():  # else nothing was held out
                    draw_seed(axes, scaled(values, name == "loss"), colour, number, label)
        if len(test):
            values = scaled(test, name == "loss")
            axes.plot(
                np.arange(1, len(test) + 1), values, color=TEST, linewidth=1.0, linestyle=(0, (1, 1)), label="test"
            )
        axes.axvline(first.best_epoch, color=MUTED, linewidth=0.6, linestyle=DASHED, zorder=1)
        if name == "loss" or high:
            logarithmic(axes, "y")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlim(left=1 if len(first.epochs.train_loss) > 1 else 0.5)  # type: ignore[union-attr]
        grid(axes)
    pair[0].tick_params(labelbottom=False)
    pair[1].set_xlabel("epoch", labelpad=0)


def draw_accuracies(results: Results, figure: Figure) -> None:
    """Draw training, validation and test accuracy of every version in one row each; the line between is the gap."""
    rows, step = results.versions, 0.14
    _open(figure, COLUMN, step * len(rows) + 0.26)
    left = 1.3
    axes = axes_at(figure, left, 0.02, COLUMN - left - 0.12, step * len(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for row, version in enumerate(rows):
        colour, test = model_colour(version.position), 100 * version.mean("accuracy")
        train, validation = 100 * version.train_accuracy, 100 * version.validation_accuracy
        axes.plot([train, validation], [row, row], color=colour, linewidth=1.2, zorder=1)
        interval = version.accuracy_interval
        axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=MUTED, linewidth=0.6, zorder=0)
        axes.scatter([train], [row], s=12, facecolor=PAPER, edgecolor=colour, linewidth=0.9, zorder=2)
        axes.scatter([validation], [row], s=12, color=colour, zorder=3)
        axes.scatter([test], [row], s=12, marker="D", facecolor=PAPER, edgecolor=INK, linewidth=0.8, zorder=4)
    names = [f"{shortened(version.title, 15)}, {version.version_title}" for version in rows]
    axes.set_yticks(range(len(rows)), [shortened(name, _letters(left - 0.1)) for name in names])
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("accuracy, %", labelpad=0)
    grid(axes, "both")


def draw_confusions(best: Sequence[VersionResults], classes: tuple[str, ...], figure: Figure) -> None:
    """Draw the matrices of all models, up to three in a row, in per cent of the true class where the cells have room."""
    count = len(classes)
    across = len(best) if len(best) < 4 else 4 if len(best) % 5 else 5
    page = COLUMN if len(best) == 1 else BOTH_COLUMNS
    names = [abbreviated(name, 8) for name in classes]
    wide = LETTER * max(map(len, names))
    side = min(page / across - wide - 0.12, 2.1)
    cell = side / count
    turned = wide > cell
    head = 0.2 + (wide if turned else 0.12)
    _open(figure, page, (side + head + 0.06) * -(-len(best) // across))
    for number, version in enumerate(best):
        left = page / across * (number % across) + wide + 0.05
        axes = axes_at(figure, left, head + (side + head + 0.06) * (number // across), side, side)
        mean = version.confusion
        share = 100 * mean / np.maximum(mean.sum(axis=1, keepdims=True), 1)
        axes.imshow(coloured_counts(mean), interpolation="nearest")
        size = min(7.0, 72 * cell * 0.8)
        labelled = size >= 5
        axes.set_xticks(
            range(count) if labelled else [], names if labelled else [], fontsize=size, rotation=90 if turned else 0
        )
        axes.set_yticks(range(count) if labelled else [], names if labelled else [], fontsize=size)
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=1)
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(FAINT)
        axes.set_title(shortened(version.title, _letters(side)), fontweight="bold", pad=3, loc="center")
        if cell >= 0.17:
            for row, column in zip(*np.nonzero(share >= 0.5), strict=True):
                ink = WHITE if row == column and share[row, column] > 35 else DARK
                axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", fontsize=7, color=ink)


def draw_residual(model: ModelResults, gradients: ResidualFinding | None, figure: Figure) -> None:
    """Draw the training loss by epoch and the gradient norms by layer, with and without residual connections."""
    _open(figure, COLUMN, 1.35)
    loss, norms = (axes_at(figure, 0.36 + 1.72 * column, 0.17, 1.25, 0.85) for column in range(2))
    for version, colour, label in ((model.version(), ACCENT, "with"), (model.version("plain"), CONTRAST, "without")):
        for number, history in enumerate(version.histories if version else ()):
            draw_seed(loss, np.maximum(history.train_loss, 1e-6), colour, number, label)
    logarithmic(loss, "y")
    loss.set_title("training loss", pad=2)
    loss.set_xlabel("epoch", labelpad=0)
    if gradients is not None and len(gradients.layers):
        both = (gradients.gradient_norms_with, gradients.gradient_norms_without)
        for values, line, colour, label in zip(
            both, ("o-", "s--"), (ACCENT, CONTRAST), ("with", "without"), strict=True
        ):
            norms.plot(np.arange(1, len(values) + 1), values, line, color=colour, markersize=2.5, label=label)
        if min(values.min() for values in both) > 0:
            logarithmic(norms, "y")
    norms.set_title("gradient norm, first step", pad=2)
    norms.set_xlabel("convolution", labelpad=0)
    for axes in (loss, norms):
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        grid(axes)


def draw_costs(results: Results, figure: Figure) -> None:
    """Draw test accuracy against training time and parameters, a colour and a mark per model."""
    shown = [version for version in results.versions if version.costs and version.version != "plain"]
    titles = {version.position: version.title for version in shown}
    across = 3 if max(map(len, titles.values())) < 16 else 2
    lines = -(-len(titles) // across)
    _open(figure, COLUMN, 1.36 + 0.13 * lines)
    panels = [axes_at(figure, 0.48 + 1.47 * column, 0.06 + 0.13 * lines, 1.33, 0.95) for column in range(2)]
    for axes, name, title in zip(
        panels, ("train_seconds", "parameters"), ("training time, s", "parameters"), strict=True
    ):
        for version in shown:
            colour, marker = model_colour(version.position), MARKERS[version.position % len(MARKERS)]
            best = version.version == "best"
            axes.scatter(
                [version.mean_cost(name)], [100 * version.mean("accuracy")], s=22, marker=marker, edgecolor=colour,
                facecolor=colour if best else "none", linewidth=1.0, label=shortened(version.title, 20) if best else None,
            )  # fmt: skip
        costs = [version.mean_cost(name) for version in shown]
        if min(costs) > 0 and max(costs) / min(costs) > 8:
            logarithmic(axes, "x")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
        axes.margins(0.12)
        axes.set_xlabel(title, labelpad=1)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        grid(axes, "both")
    panels[1].tick_params(labelleft=False)
    panels[0].set_ylabel("test accuracy, %", labelpad=1)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper center", ncols=across, borderaxespad=0.1, handletextpad=0.2, columnspacing=1.0
    )


# ---------------------------------------------------------------------------------------------------------------------
# Single images


def draw_answers(shown: PredictedImages, classes: tuple[str, ...], figure: Figure) -> None:
    """Draw the images in one row, the true class above, every model's answer below."""
    count, left, line = len(shown.labels), 0.75, 0.125
    side = min((COLUMN - left) / count, 0.5)
    _open(figure, COLUMN, 0.14 + side + line * len(shown.models) + 0.04)
    axes = axes_at(figure, left, 0.14, side * count, side)
    draw_sheet(axes, as_colour(shown.images), count, gap=0.04)
    letters = _letters(side) - 1
    for column, label in enumerate(shown.labels):
        axes.text(column + 0.5, -0.05, abbreviated(classes[label], letters), ha="center", va="bottom")
    for row, name in enumerate(shown.models):
        y = 1 + (row + 0.5) * line / side
        axes.text(-0.06, y, shortened(name, _letters(left)), ha="right", va="center", color=MUTED)
        for column, (label, answer) in enumerate(zip(shown.labels, shown.predictions[row], strict=True)):
            right = answer == label
            text = abbreviated(classes[answer], letters if right else letters - 1) + ("" if right else "✗")
            colour = VERDICT_COLOURS["better" if right else "worse"]
            axes.text(column + 0.5, y, text, ha="center", va="center", color=colour)
    axes.text(-0.06, -0.05, "true", ha="right", va="bottom", color=MUTED)


def draw_mistakes(wrong: dict[str, PredictedImages], classes: tuple[str, ...], figure: Figure) -> None:
    """Draw up to six mistakes of every model in a row."""
    left, most = 0.62, 6
    side = (COLUMN - left) / most
    pitch = side + 0.15
    _open(figure, COLUMN, pitch * len(wrong))
    for row, (name, shown) in enumerate(wrong.items()):
        count = min(most, len(shown.labels))
        axes = axes_at(figure, left, pitch * row, side * count, side)
        draw_sheet(axes, as_colour(shown.images[:count]), count, gap=0.06)
        axes.text(-0.06, 0.5, shortened(name, _letters(left - 0.03)), ha="right", va="center", color=MUTED)
        each = max(2, (_letters(side) - 1) // 2)
        for column, (label, answer) in enumerate(zip(shown.labels[:count], shown.predictions[0], strict=False)):
            text = f"{abbreviated(classes[label], each)}→{abbreviated(classes[answer], each)}"
            axes.text(column + 0.5, 1.02, text, ha="center", va="top")


def draw_attention(models: Sequence[ModelResults], classes: tuple[str, ...], figure: Figure) -> None:
    """Draw the images, and below for every model the same images under its heat map with its answer."""
    left, most = 0.62, 6
    side, pitch = (COLUMN - left) / most, (COLUMN - left) / most + 0.14
    found = [(model, model.explanation) for model in models if model.explanation is not None]
    first = found[0][1]
    count = min(most, len(first.images))
    _open(figure, COLUMN, side + pitch * len(found) + 0.14)
    axes = axes_at(figure, left, 0.14, side * count, side)
    draw_sheet(axes, as_colour(first.images[:count]), count, gap=0.04)
    letters = _letters(side) - 1
    for column, label in enumerate(first.labels[:count]):
        axes.text(column + 0.5, -0.03, abbreviated(classes[label], letters), ha="center", va="bottom")
    for row, (model, explanation) in enumerate(found):
        axes = axes_at(figure, left, 0.14 + side + pitch * row, side * count, side)
        draw_sheet(axes, overlaid(explanation.images[:count], explanation.heat[:count]), count, gap=0.04)
        axes.text(-0.06, 0.5, shortened(model.label, _letters(left - 0.03)), ha="right", va="center", color=MUTED)
        for column, (label, answer) in enumerate(
            zip(explanation.labels[:count], explanation.predictions, strict=False)
        ):
            right = label == answer
            text = abbreviated(classes[answer], letters if right else letters - 1) + ("" if right else "✗")
            axes.text(
                column + 0.5, 1.02, text, ha="center", va="top", color=VERDICT_COLOURS["better" if right else "worse"]
            )
