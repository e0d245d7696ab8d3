"""From findings to results: everything that tables, figures and words say of a study, worked out once.

A ``Results`` holds the facts of the study, and of every model what was explored, what was chosen, what it gained and what
its final trainings answered on the test set. Nothing that is written of a study reads its findings beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ceteris.analysis.insights import Seen, seen_in
from ceteris.analysis.metrics import Scores, auc_values, scores
from ceteris.analysis.test_images import ShownImages, shown_images
from ceteris.findings import (
    Candidate,
    Comparison,
    Explanation,
    FactorFinding,
    FinalFinding,
    LevelFinding,
    ModelFinding,
    StudyFacts,
    StudyFindings,
    Taken,
    Verdict,
    Version,
    mean_of_finished,
)
from ceteris.recipe import Recipe
from ceteris.records import Cost, Criterion, EpochHistory, FloatArray, IntArray
from ceteris.seeds import generator
from ceteris.stats import MORE_REPETITIONS, Interval, holm, two_way_bootstrap, two_way_interval, two_way_test

VERSION_TITLES: dict[Version, str] = {"baseline": "baseline", "best": "best", "plain": "best, no shortcuts"}
AS_GIVEN_TITLES = VERSION_TITLES | {"best": "as given", "plain": "no shortcuts"}  # where nothing was varied
METRICS = (
    ("accuracy", "accuracy, %"), ("precision", "macro precision, %"), ("recall", "macro recall, %"),
    ("f1", "macro F1, %"), ("auc", "macro AUC, %"),
)  # fmt: skip
_OPPOSITE: dict[Verdict, Verdict] = {
    "better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VersionResults:
    """One version of a model: its finished ``finals`` by seed, their scores, and 95 % intervals of mean accuracy, F1 and AUC.

    The intervals say how far the figure on other images of the same kind may lie, over seeds and images alike; with
    one seed they lack the luck of the training. ``position`` is the model's place in the study; ``right`` (seeds, images) says
    which of the test images, that have these ``labels``, were named right. Training accuracy and loss are those of the
    restored weights in evaluation mode where they were recorded, else the running ones of that epoch; nan where no history
    was kept.
    """

    model: str
    title: str
    position: int
    version: Version
    as_given: bool
    recipe: Recipe
    finals: tuple[FinalFinding, ...]
    results: tuple[Scores, ...]
    right: NDArray[np.bool_]
    labels: IntArray
    accuracy_interval: Interval
    f1_interval: Interval
    auc_interval: Interval
    train_accuracy: float
    validation_accuracy: float
    train_loss: float
    validation_loss: float

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that finished."""
        return tuple(final.seed for final in self.finals)

    @property
    def version_title(self) -> str:
        """The version in words."""
        return AS_GIVEN_TITLES[self.version] if self.as_given else VERSION_TITLES[self.version]

    @property
    def gap(self) -> float:
        """Training minus validation accuracy, nan where no history was kept."""
        return self.train_accuracy - self.validation_accuracy

    @property
    def clean(self) -> bool:
        """Whether training accuracy and loss are those of evaluation mode for every seed."""
        return all(final.clean_train_loss is not None for final in self.finals)

    @property
    def histories(self) -> tuple[EpochHistory, ...]:
        """The epochs of every seed that kept them."""
        return tuple(final.epochs for final in self.finals if final.epochs is not None)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What every seed took, where it was recorded; parameters and operations are the same for all."""
        return tuple(final.cost for final in self.finals if final.cost is not None)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, mean over the seeds."""
        return float(np.mean([result.calibration.error for result in self.results]))

    @property
    def f1(self) -> FloatArray:
        """F1 of every class, mean over the seeds, (classes,)."""
        return np.asarray(np.mean([result.per_class.f1 for result in self.results], axis=0))

    @property
    def confusion(self) -> FloatArray:
        """How often each true class (row) was given each class (column), mean over the seeds, (classes, classes)."""
        return np.asarray(np.mean([result.confusion for result in self.results], axis=0))

    @property
    def hard_classes(self) -> IntArray:
        """The classes with more mistakes than chance would spread there, the hardest first.

        Over seeds and images, as everywhere on the test set: the one-sided interval of a class's error rate, at 5 % and
        Bonferroni over the classes, lies above the rate of all images, and three of its images are missed on average. One
        training cannot tell its own luck from a hard class.
        """
        wrong, classes = ~self.right, len(self.f1)
        rates = np.zeros(classes)
        for place in range(classes):
            own = wrong[:, self.labels == place]
            if len(own) > 1 and own.sum() >= 3 * len(own):
                found = two_way_interval(own, confidence=1 - 2 * 0.05 / classes)
                rates[place] = found.estimate if found.low > wrong.mean() else 0.0
        return np.argsort(-rates, kind="stable")[: np.count_nonzero(rates)].astype(np.int64)

    @property
    def collapsed(self) -> int:
        """How many trainings learned nothing: no better than always naming the most frequent class, within a point."""
        frequent = [result.confusion.sum(axis=1).max() / result.confusion.sum() for result in self.results]
        return sum(result.accuracy <= share + 0.01 for result, share in zip(self.results, frequent, strict=True))

    @property
    def calibration_by_chance(self) -> float:
        """What the calibration error of a perfectly calibrated model stays below in 95 % of such test sets, mean over seeds."""
        return float(np.mean([result.calibration.by_chance for result in self.results]))

    def mean(self, metric: str) -> float:
        """Return the mean of a score over the seeds."""
        return float(np.mean([getattr(result, metric) for result in self.results]))

    def mean_cost(self, name: str) -> float:
        """Return the mean of a cost over the seeds, nan where none was recorded or an estimator does not tell it."""
        mean = float(np.mean([getattr(cost, name) for cost in self.costs])) if self.costs else float("nan")
        return float("nan") if self.recipe.model.kind == "estimator" and not mean else mean


@dataclass(frozen=True, kw_only=True)
class TestComparison:
    """Two versions on the same test images, second minus first, over the ``seeds`` that both have.

    Seeds and images both count. ``adjusted_p`` counts all pairs of the study (Holm); the difference is ``shown`` where it is
    below the study's significance. They differ by ``images`` in the mean. One seed alone tells two trainings apart, not two
    recipes (McNemar's test would claim 3 to 66 % falsely): the interval is that of its images, p is nan and nothing is shown.
    """

    __test__ = False  # not a pytest class

    first: VersionResults
    second: VersionResults
    seeds: int
    difference: float
    low: float
    high: float
    p_value: float
    images: float
    adjusted_p: float = float("nan")
    shown: bool = False


@dataclass(frozen=True, kw_only=True)
class AblatedChoice:
    """One choice of the best recipe: ``label`` names what it was put back to.

    ``losses`` (blocks,) is the whole stack minus the stack without the choice; ``comparison`` has the same sign, so that
    "better" means that the choice helps. None where nothing was comparable.
    """

    factor: str
    label: str
    losses: FloatArray
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class Open:
    """An option of which nothing was shown. ``trainings`` are those of two more repetitions, option and current setting.

    ``seconds`` is their training time on one core. It ``matters`` where the option is expected to move more than half the
    margin, for better or worse.
    """

    model: str
    factor: str
    level: str
    comparison: Comparison
    trainings: int
    seconds: float
    matters: bool


@dataclass(frozen=True, kw_only=True)
class ModelResults(ModelFinding):
    """What was found for one model, and what follows from it.

    ``versions`` are those with a finished final, in the order baseline, best, plain. ``choices`` are the choices of the best
    recipe that were put back, the most valuable first. ``promised_gain`` is the sum of what was expected of the options that
    were taken, nan where the search was not factor by factor.
    """

    position: int
    block: Literal["fold", "block"]  # a fold where every fold was trained once
    versions: tuple[VersionResults, ...]
    choices: tuple[AblatedChoice, ...]
    promised_gain: float
    open: tuple[Open, ...]
    explanation: Explanation | None

    @property
    def factor_titles(self) -> dict[str, str]:
        """The title of every factor by its name."""
        return {factor.name: factor.label for factor in self.factors}

    @property
    def criterion(self) -> Criterion:
        """What choices and claims were made of."""
        compared = [*(level.comparison for _, level in self.levels()), *(entry.comparison for entry in self.candidates)]
        return next((found.criterion for found in compared if found), "accuracy")

    @property
    def changed(self) -> bool:
        """Whether the best recipe differs from the baseline."""
        return self.best != self.baseline

    def levels(self) -> Iterator[tuple[FactorFinding, LevelFinding]]:
        """Yield every level of every factor."""
        return ((factor, level) for factor in self.factors for level in factor.levels)

    def finals_of(self, version: Version = "best") -> tuple[FinalFinding, ...]:
        """Return the finished finals of one version."""
        found = self.version(version)
        return found.finals if found else ()

    def version(self, version: Version = "best") -> VersionResults | None:
        """Return the results of one version, None when it has no finished final."""
        return next((found for found in self.versions if found.version == version), None)


@dataclass(frozen=True, kw_only=True)
class Results(StudyFacts):
    """What a whole study found: its facts, its models in the study's order, and the test images that are shown.

    ``lost`` are the final trainings that did not finish.
    """

    models: tuple[ModelResults, ...]
    lost: tuple[FinalFinding, ...]
    test_count: int
    images: ShownImages
    comparisons: tuple[TestComparison, ...]
    seen: Seen

    @cached_property
    def versions(self) -> tuple[VersionResults, ...]:
        """All versions of all models."""
        return tuple(version for model in self.models for version in model.versions)

    @cached_property
    def best(self) -> tuple[VersionResults, ...]:
        """The best version of every model that has one."""
        return tuple(version for version in self.versions if version.version == "best")

    @property
    def explored(self) -> tuple[ModelResults, ...]:
        """The models of which something was varied."""
        return tuple(model for model in self.models if not model.as_given)

    @property
    def open(self) -> tuple[Open, ...]:
        """All options of which nothing was shown."""
        return tuple(entry for model in self.models for entry in model.open)

    def compared(self, first: VersionResults, second: VersionResults) -> TestComparison | None:
        """Return how two versions compare on the test set, None where no seed is common or the pair was not compared."""
        return next((found for found in self.comparisons if found.first is first and found.second is second), None)

    def title_of(self, model: str) -> str:
        """Return the title of a model, its name where the study does not have it."""
        return next((entry.label for entry in self.models if entry.name == model), model)


def results_of(findings: StudyFindings) -> Results:
    """Work out what a study found; every finished final is judged by the test labels."""
    models = tuple(_model(findings, model, position) for position, model in enumerate(findings.models))
    return Results(
        **{field.name: getattr(findings, field.name) for field in fields(StudyFacts)},
        models=models,
        comparisons=_test_comparisons(models, findings.significance),
        lost=tuple(final for final in findings.finals if final.status != "finished"),
        test_count=len(findings.test_labels),
        images=shown_images(findings),
        seen=seen_in(findings, {model.name: finished(findings, model.name, "best") for model in models}),
    )


def _model(findings: StudyFindings, model: ModelFinding, position: int) -> ModelResults:
    arms: list[LevelFinding | Candidate] = [level for factor in model.factors for level in factor.levels]
    arms += model.candidates
    finals = {version: finished(findings, model.name, version) for version in VERSION_TITLES}
    gains = [factor.reason.gain for factor in model.factors if isinstance(factor.reason, Taken)]
    return ModelResults(
        **{field.name: getattr(model, field.name) for field in fields(ModelFinding)},
        position=position,
        block="fold" if max((len(arm.accuracies) for arm in arms), default=0) == findings.folds else "block",
        choices=_choices(model),
        promised_gain=float(sum(gains)) if gains and not model.candidates else float("nan"),
        open=tuple(_open(model)),
        explanation=next((entry for entry in findings.explanations if entry.model == model.name), None),
        versions=tuple(_version(findings, model, position, version, own) for version, own in finals.items() if own),
    )


def finished(findings: StudyFindings, model: str, version: Version) -> tuple[FinalFinding, ...]:
    """Return the finished finals of one version of a model, ordered by seed."""
    chosen = (final for final in findings.finals if (final.model, final.version) == (model, version))
    return tuple(sorted((final for final in chosen if final.status == "finished"), key=lambda final: final.seed))


def _version(
    findings: StudyFindings, model: ModelFinding, position: int, version: Version, finals: tuple[FinalFinding, ...]
) -> VersionResults:
    labels = findings.test_labels
    predicted = np.array([final.probabilities.argmax(axis=1) for final in finals])
    return VersionResults(
        model=model.name,
        title=model.label,
        position=position,
        version=version,
        as_given=model.as_given,
        recipe=model.baseline if version == "baseline" else model.best,
        finals=finals,
        results=tuple(scores(final.probabilities, labels) for final in finals),
        right=predicted == labels,
        labels=labels,
        accuracy_interval=two_way_interval(predicted == labels),
        f1_interval=_f1_interval(predicted, labels, finals[0].probabilities.shape[1]),
        auc_interval=_auc_interval(np.array([auc_values(final.probabilities, labels) for final in finals])),
        train_accuracy=_mean_of(
            [_first_of(final.clean_train_accuracy, _kept(final, "train_accuracy")) for final in finals]
        ),
        validation_accuracy=_mean_of([final.validation_accuracy for final in finals]),
        train_loss=_mean_of([_first_of(final.clean_train_loss, _kept(final, "train_loss")) for final in finals]),
        validation_loss=_mean_of([_kept(final, "validation_loss") for final in finals]),
    )


def _f1_interval(predicted: IntArray, labels: IntArray, classes: int) -> Interval:
    pairs = labels * classes + predicted

    def macro_f1(seed: int, drawn: IntArray) -> float:
        counts = np.bincount(pairs[seed, drawn], minlength=classes**2).reshape(classes, classes)
        there = counts.sum(axis=1) > 0
        return float(np.mean((2 * counts.diagonal() / (counts.sum(axis=0) + counts.sum(axis=1)).clip(1))[there]))

    return _bootstrapped(macro_f1, predicted)


def _auc_interval(values: FloatArray) -> Interval:
    """Return the interval of the macro AUC from values (seeds, images) whose mean it is, see :func:`auc_values`."""
    if not np.isfinite(values).all():
        return Interval(estimate=np.nan, low=np.nan, high=np.nan)
    found = _bootstrapped(lambda seed, drawn: float(values[seed, drawn].mean()), values)
    return replace(found, high=min(1.0, found.high))


def _bootstrapped(metric: Callable[[int, IntArray], float], table: NDArray[np.generic]) -> Interval:
    seeds, images = table.shape
    return two_way_bootstrap(metric, seeds=seeds, images=images, generator=generator(0, 0, "sample"), resamples=500)


def _test_comparisons(models: tuple[ModelResults, ...], significance: float) -> tuple[TestComparison, ...]:
    """Compare each best version with its model's others, and the best versions with each other."""
    best = [version for model in models if (version := model.version())]
    others: tuple[Version, ...] = ("baseline", "plain")
    pairs = [(model.version(other), model.version()) for other in others for model in models]
    pairs += combinations(best, 2)
    compared = [_compared(first, second) for first, second in pairs if first is not None and second is not None]
    found = [entry for entry in compared if entry is not None]
    adjusted = iter(holm(known).tolist() if (known := [entry.p_value for entry in found if entry.seeds > 1]) else ())
    return tuple(
        replace(entry, adjusted_p=(p := next(adjusted)), shown=p < significance) if entry.seeds > 1 else entry
        for entry in found
    )


def _compared(first: VersionResults, second: VersionResults) -> TestComparison | None:
    common = sorted(set(first.seeds) & set(second.seeds))
    if not common:
        return None
    before, after = (one.right[[one.seeds.index(seed) for seed in common]] for one in (first, second))
    differences = after.astype(float) - before
    if len(common) > 1:
        test = two_way_test(differences)
        low, high, p_value = test.low, test.high, test.p_value
    else:
        interval, p_value = two_way_interval(differences, bounded=False), float("nan")
        low, high = interval.low, interval.high
    mean = float(differences.mean())
    return TestComparison(
        first=first, second=second, seeds=len(common), difference=mean, low=low, high=high, p_value=p_value,
        images=abs(mean) * differences.shape[1],
    )  # fmt: skip


def _mean_of(values: list[float]) -> float:
    return float(np.mean(values))


def _first_of(clean: float | None, running: float) -> float:
    return running if clean is None else clean


def _kept(final: FinalFinding, name: str) -> float:
    """Return a number of the restored epoch, nan where no history was kept."""
    values = getattr(final.epochs, name) if final.epochs is not None else ()
    return float(values[min(max(final.best_epoch, 1), len(values)) - 1]) if len(values) else float("nan")


def _choices(model: ModelFinding) -> tuple[AblatedChoice, ...]:
    choices = [
        AblatedChoice(
            factor=factor.label,
            label=f"back to {level.label}",
            losses=stack.accuracies - level.accuracies,
            comparison=level.comparison and _reversed(level.comparison),
        )
        for factor in model.ablation
        if (stack := factor.incumbent) is not None
        for level in factor.levels
        if not level.incumbent
    ]
    sizes = [choice.comparison.difference if choice.comparison else np.nan for choice in choices]
    order = sorted(range(len(choices)), key=lambda place: -np.nan_to_num(sizes[place], nan=np.inf))
    return tuple(choices[place] for place in order)


def _reversed(found: Comparison) -> Comparison:
    """Return the comparison of the incumbent with the level."""
    return replace(
        found,
        difference=-found.difference,
        low=-found.high,
        high=-found.low,
        probability_worse=found.probability_better,
        probability_better=found.probability_worse,
        effect_size=-found.effect_size,
        expected_gain=-found.expected_gain,
        chance=1 - found.chance,
        verdict=_OPPOSITE[found.verdict],
        narrow_low=-found.narrow_high,
        narrow_high=-found.narrow_low,
    )


def still_open(found: Comparison) -> bool:
    """Tell whether nothing was shown, though the trainings differed."""
    return found.verdict == "undecided" and not found.identical


def _open(model: ModelFinding) -> Iterator[Open]:
    for factor in model.factors:
        for level in factor.levels:
            if (found := level.comparison) is None or not still_open(found):
                continue
            arms = [level, *([factor.incumbent] if factor.incumbent else [])]
            blocks = MORE_REPETITIONS * found.folds
            yield Open(
                model=model.label,
                factor=factor.label,
                level=level.tuned_label,
                comparison=found,
                trainings=blocks * len(arms),
                seconds=blocks * sum(mean_of_finished(arm.train_seconds) for arm in arms),
                matters=abs(found.expected_gain) > found.margin / 2,
            )
