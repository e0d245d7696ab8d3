"""What a drawing shows in numbers, for those who cannot see it; what it looks like is said by the figure itself."""

from collections.abc import Callable, Iterator

import numpy as np

from ceteris.analysis.results import ModelResults, Results, VersionResults
from ceteris.figures import ReportFigure
from ceteris.formats import duration, percent, shortened
from ceteris.report.words import improvement_in_short

_MOST = 12  # parts of one text
_LONGEST = 40  # letters of a name


def alternative_text(figure: ReportFigure, results: Results) -> str:
    """Return caption and description of a figure with the numbers that it shows, as far as a text can tell them."""
    models = [model for model in results.models if figure.model in ("", model.name)]
    numbers_of = NUMBERS.get(figure.kind)
    told = list(numbers_of(results, models)) if numbers_of else []
    more = f"; and {len(told) - _MOST} more" if len(told) > _MOST else ""
    numbers = f" In numbers: {'; '.join(told[:_MOST])}{more}." if told else ""
    return f"{figure.caption} {figure.description}{numbers}"


def _versions(results: Results, models: list[ModelResults]) -> Iterator[tuple[str, VersionResults]]:
    names = {model.name for model in models}
    return (
        (f"{shortened(version.title, _LONGEST)}, {version.version_title}", version)
        for version in results.versions
        if version.model in names
    )


def _accuracies(results: Results, models: list[ModelResults]) -> Iterator[str]:
    return (
        f"{name} {percent(version.mean('accuracy'))} of the test images" for name, version in _versions(results, models)
    )


def _fits(results: Results, models: list[ModelResults]) -> Iterator[str]:
    for name, version in _versions(results, models):
        if np.isfinite(version.gap):
            yield f"{name} {percent(version.train_accuracy)} in training, {percent(version.validation_accuracy)} in validation"


def _improvements(_: Results, models: list[ModelResults]) -> Iterator[str]:
    return (f"{shortened(model.label, _LONGEST)}: {improvement_in_short(model)}" for model in models)


def _confusions(results: Results, models: list[ModelResults]) -> Iterator[str]:
    names = {model.name for model in models}
    for best in results.best:
        if best.model in names:
            counts = best.results[0].confusion
            wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
            yield f"{counts.trace():,} of {counts.sum():,} right"
            for place in np.argsort(-wrong, axis=None, kind="stable")[:3]:
                true, given = divmod(int(place), len(counts))
                if wrong[true, given]:
                    first, second = (shortened(results.data.classes[one], _LONGEST) for one in (true, given))
                    yield f"{first} taken for {second} {wrong[true, given]:,} times"


def _lowest_class(results: Results, models: list[ModelResults]) -> Iterator[str]:
    for best in results.best:
        lowest = int(best.f1.argmin())
        name = shortened(results.data.classes[lowest], _LONGEST)
        yield f"{shortened(best.title, _LONGEST)} from {percent(best.f1[lowest])} ({name}) to {percent(best.f1.max())}"


def _areas(results: Results, models: list[ModelResults]) -> Iterator[str]:
    return (f"{shortened(best.title, _LONGEST)} macro AUC {best.mean('auc'):.4f}" for best in results.best)


def _calibrations(results: Results, models: list[ModelResults]) -> Iterator[str]:
    return (
        f"{shortened(best.title, _LONGEST)} calibration error {percent(best.calibration_error)}"
        for best in results.best
    )


def _levels(_: Results, models: list[ModelResults]) -> Iterator[str]:
    for model in models:
        for factor in model.factors:
            if (kept := factor.kept) and np.isfinite(kept.mean):
                label = shortened(kept.tuned_label, _LONGEST)
                yield f"{shortened(factor.label, _LONGEST)}: {label} is kept at {percent(kept.mean)}"


def _costs(results: Results, models: list[ModelResults]) -> Iterator[str]:
    for name, version in _versions(results, models):
        if version.costs:
            yield f"{name} {duration(version.mean_cost('train_seconds'))}, {version.costs[0].parameters:,} parameters"


# By kind of figure: the parts of its text.
NUMBERS: dict[str, Callable[[Results, list[ModelResults]], Iterator[str]]] = {
    "test-results": _accuracies, "generalisation-gap": _fits, "curves": _fits, "improvement": _improvements,
    "confusion": _confusions, "class-scores": _lowest_class, "roc": _areas, "calibration": _calibrations,
    "effects": _levels, "costs": _costs,
}  # fmt: skip
