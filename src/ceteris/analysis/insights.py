"""What follows from what was looked at: accuracy under corruption with its tests, confidence, merged classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ceteris.analysis.confidence import at_temperature, conformal_sets, coverage_risk, merged
from ceteris.analysis.metrics import calibration, log_loss
from ceteris.findings import FinalFinding, StudyFindings
from ceteris.insights import Corruption, Robustness
from ceteris.records import FloatArray, IntArray
from ceteris.stats import Interval, holm, mcnemar, two_way_interval, two_way_test

_RISK_POINTS = 101


@dataclass(frozen=True, kw_only=True)
class KindComparison:
    """Two models under one kind of condition, second minus first, the mean over its severities.

    Seeds and images both count; with one seed the images alone at the middle severity (McNemar). ``adjusted_p`` counts all
    pairs and kinds (Holm).
    """

    first: str
    second: str
    kind: Corruption
    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p: float = 1.0
    shown: bool = False


@dataclass(frozen=True, kw_only=True)
class RobustnessResults:
    """``accuracy`` (models, conditions + 1), the untouched images first, with 95 % intervals (models, conditions + 1, 2)."""

    found: Robustness
    accuracy: FloatArray
    intervals: FloatArray
    comparisons: tuple[KindComparison, ...]

    @property
    def kinds(self) -> tuple[Corruption, ...]:
        """The kinds of conditions, in their order."""
        return tuple(dict.fromkeys(condition.kind for condition in self.found.conditions))

    def places(self, kind: Corruption) -> list[int]:
        """Return the columns of ``accuracy`` that belong to a kind, by rising severity."""
        return [place for place, condition in enumerate(self.found.conditions, start=1) if condition.kind == kind]


@dataclass(frozen=True, kw_only=True)
class ModelConfidence:
    """How far one model's best version can be believed on the test set, the mean over its ``seeds``.

    ``error_before`` and ``error_after`` are calibration errors without and with the ``temperature`` fitted on
    ``validation`` images; a right model stays below ``by_chance`` in 95 % of such test sets. ``coverage`` and
    ``set_size`` (levels,) are what conformal sets at ``levels`` reached; ``risk`` (points,) is the error rate among
    the surest ``answered`` share of images.
    """

    model: str
    seeds: int
    validation: int
    temperature: float
    error_before: float
    error_after: float
    by_chance: float
    loss_before: float
    loss_after: float
    levels: FloatArray
    coverage: FloatArray
    set_size: FloatArray
    answered: FloatArray
    risk: FloatArray


@dataclass(frozen=True, kw_only=True)
class MergedClasses:
    """Test accuracy of one model, plain and with classes that look alike counted as one, mean over the seeds."""

    model: str
    plain: float
    merged: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What follows from the insights of a study. ``missed`` are test images that no model's best version names right."""

    robustness: RobustnessResults | None
    confidence: tuple[ModelConfidence, ...]
    merged: tuple[MergedClasses, ...]
    missed: int


def seen_in(findings: StudyFindings, finals: Mapping[str, Sequence[FinalFinding]]) -> Seen:
    """Work out what follows from the insights; ``finals`` are the finished ones of every model's best version, by seed."""
    known, labels, insights = (
        {name: own for name, own in finals.items() if own},
        findings.test_labels,
        findings.insights,
    )
    wrong = [own[0].probabilities.argmax(1) != labels for own in known.values()]
    found = insights.robustness
    return Seen(
        robustness=robustness_results(found, findings.significance) if found else None,
        confidence=tuple(
            one for name, own in known.items() if (one := _confidence(findings, name, own, labels)) is not None
        ),
        merged=tuple(_merged(name, own, labels, insights.groups) for name, own in known.items())
        if insights.groups
        else (),
        missed=int(np.all(wrong, axis=0).sum()) if wrong else 0,
    )


def _merged(
    name: str, finals: Sequence[FinalFinding], labels: IntArray, groups: Sequence[Sequence[int]]
) -> MergedClasses:
    predicted = [final.probabilities.argmax(1) for final in finals]
    return MergedClasses(
        model=name,
        plain=float(np.mean([part == labels for part in predicted])),
        merged=float(np.mean([merged(part, groups) == merged(labels, groups) for part in predicted])),
    )


def robustness_results(found: Robustness, significance: float) -> RobustnessResults:
    """Return accuracies with intervals, and every pair of models under every kind of condition."""
    right = np.unpackbits(found.right, axis=-1, count=found.images).astype(
        bool
    )  # (models, conditions + 1, seeds, images)
    intervals = [[two_way_interval(part) for part in model] for model in right]
    results = RobustnessResults(
        found=found,
        accuracy=right.mean(axis=(2, 3)),
        intervals=np.array([[(part.low, part.high) for part in model] for model in intervals]),
        comparisons=(),
    )
    pairs = [
        _compared(found, right, first, second, kind, results.places(kind))
        for kind in results.kinds
        for first, second in combinations(range(len(found.models)), 2)
    ]
    adjusted: list[float] = list(holm([pair.p_value for pair in pairs])) if pairs else []
    comparisons = tuple(
        replace(pair, adjusted_p=float(p), shown=bool(p < significance))
        for pair, p in zip(pairs, adjusted, strict=True)
    )
    return replace(results, comparisons=comparisons)


def _compared(
    found: Robustness, right: NDArray[np.bool_], first: int, second: int, kind: Corruption, places: list[int]
) -> KindComparison:
    differences = right[second][places].astype(float) - right[first][places]  # (severities, seeds, images)
    mean, names = differences.mean(axis=0), (found.models[first], found.models[second])
    if differences.shape[1] > 1:
        test = two_way_test(mean)
        interval, p_value = Interval(estimate=test.difference, low=test.low, high=test.high), test.p_value
    else:
        middle = places[len(places) // 2]
        interval = two_way_interval(mean, bounded=False)
        p_value = mcnemar(right[first][middle, 0], right[second][middle, 0]).p_value
    return KindComparison(
        first=names[0], second=names[1], kind=kind, difference=float(mean.mean()), low=interval.low, high=interval.high,
        p_value=p_value,
    )  # fmt: skip


def _confidence(
    findings: StudyFindings, name: str, finals: Sequence[FinalFinding], labels: IntArray
) -> ModelConfidence | None:
    fits = {fit.seed: fit for fit in findings.insights.confidence if fit.model == name}
    pairs = [(final.probabilities, fits[final.seed]) for final in finals if final.seed in fits]
    if not pairs:
        return None
    levels, answered = pairs[0][1].levels, np.linspace(0, 1, _RISK_POINTS)
    before = [calibration(probabilities, labels) for probabilities, _ in pairs]
    cooled = [at_temperature(probabilities, fit.temperature) for probabilities, fit in pairs]
    sets = [[conformal_sets(given, float(q)) for q in fit.quantiles] for given, fit in pairs]
    rows = np.arange(len(labels))

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    return ModelConfidence(
        model=name,
        seeds=len(pairs),
        validation=pairs[0][1].images,
        temperature=mean([fit.temperature for _, fit in pairs]),
        error_before=mean([found.error for found in before]),
        error_after=mean([calibration(given, labels).error for given in cooled]),
        by_chance=mean([found.by_chance for found in before]),
        loss_before=mean([log_loss(given, labels) for given, _ in pairs]),
        loss_after=mean([log_loss(given, labels) for given in cooled]),
        levels=levels,
        coverage=np.mean([[part[rows, labels].mean() for part in own] for own in sets], axis=0),
        set_size=np.mean([[part.sum(1).mean() for part in own] for own in sets], axis=0),
        answered=answered,
        risk=np.mean([np.interp(answered, *coverage_risk(given, labels)) for given, _ in pairs], axis=0),
    )
