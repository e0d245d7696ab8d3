"""From findings to results: everything that tables, figures and words say of a study, worked out once.

A ``Results`` holds the facts of the study, and of every model what was explored, what was chosen, what it gained and what
its final trainings answered on the test set. Nothing that is written of a study reads its findings beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ceteris.analysis.metrics import Scores, scores
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
    Verdict,
    Version,
    mean_of_finished,
)
from ceteris.recipe import Recipe
from ceteris.records import Cost, EpochHistory, FloatArray
from ceteris.stats import Interval, McNemarResult, mcnemar, wilson_interval

VERSION_TITLES: dict[Version, str] = {"baseline": "baseline", "best": "best", "plain": "best, no shortcuts"}
METRICS = (
    ("accuracy", "accuracy, %"), ("precision", "macro precision, %"), ("recall", "macro recall, %"),
    ("f1", "macro F1, %"), ("auc", "macro AUC, %"),
)  # fmt: skip
_OPPOSITE: dict[Verdict, Verdict] = {
    "better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VersionResults:
    """One version of a model: its finished ``finals`` by seed, their scores, and the 95 % Wilson interval of the mean accuracy.

    The interval says how far the accuracy on other images of the same kind may lie; it does not hold the spread over
    seeds, which ``results`` show one by one. ``position`` is the model's place in the study; ``right`` (seeds, images) says
    which test images were named right. ``train_accuracy`` is that of the restored epochs, nan where no history was kept.
    """

    model: str
    title: str
    position: int
    version: Version
    recipe: Recipe
    finals: tuple[FinalFinding, ...]
    results: tuple[Scores, ...]
    right: NDArray[np.bool_]
    accuracy_interval: Interval
    train_accuracy: float
    validation_accuracy: float

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that finished."""
        return tuple(final.seed for final in self.finals)

    @property
    def version_title(self) -> str:
        """The version in words."""
        return VERSION_TITLES[self.version]

    @property
    def gap(self) -> float:
        """Training minus validation accuracy, nan where no history was kept."""
        return self.train_accuracy - self.validation_accuracy

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

    def mean(self, metric: str) -> float:
        """Return the mean of a score over the seeds."""
        return float(np.mean([getattr(result, metric) for result in self.results]))

    def mean_cost(self, name: str) -> float:
        """Return the mean of a cost over the seeds, nan where none was recorded."""
        return float(np.mean([getattr(cost, name) for cost in self.costs])) if self.costs else float("nan")

    def compared_with(self, other: "VersionResults") -> dict[int, McNemarResult]:
        """Compare with another version on the same test images, this one minus the other, at every seed that both have."""
        mine, others = (dict(zip(one.seeds, one.right, strict=True)) for one in (self, other))
        return {seed: mcnemar(others[seed], mine[seed]) for seed in sorted(mine.keys() & others.keys())}


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
class Undecided:
    """A level whose comparison with the incumbent is undecided.

    ``more`` blocks would decide it, None where no number of repetitions would; ``seconds`` is the training time of these on
    one core, level and incumbent together.
    """

    model: str
    factor: str
    level: str
    comparison: Comparison
    more: int | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class ModelResults(ModelFinding):
    """What was found for one model, and what follows from it.

    ``versions`` are those with a finished final, in the order baseline, best, plain. ``choices`` are the choices of the best
    recipe that were put back, the most valuable first. ``promised_gain`` is the sum of the differences with which levels won,
    nan where the search was not factor by factor.
    """

    position: int
    block: Literal["fold", "block"]  # a fold where every fold was trained once
    versions: tuple[VersionResults, ...]
    choices: tuple[AblatedChoice, ...]
    promised_gain: float
    undecided: tuple[Undecided, ...]
    explanation: Explanation | None

    @property
    def factor_titles(self) -> dict[str, str]:
        """The title of every factor by its name."""
        return {factor.name: factor.label for factor in self.factors}

    @property
    def changed(self) -> bool:
        """Whether the best recipe differs from the baseline."""
        return self.best != self.baseline

    def levels(self) -> Iterator[tuple[FactorFinding, LevelFinding]]:
        """Yield every level of every factor."""
        return ((factor, level) for factor in self.factors for level in factor.levels)

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

    @cached_property
    def versions(self) -> tuple[VersionResults, ...]:
        """All versions of all models."""
        return tuple(version for model in self.models for version in model.versions)

    @cached_property
    def best(self) -> tuple[VersionResults, ...]:
        """The best version of every model that has one."""
        return tuple(version for version in self.versions if version.version == "best")

    @property
    def undecided(self) -> tuple[Undecided, ...]:
        """All undecided comparisons."""
        return tuple(entry for model in self.models for entry in model.undecided)

    def title_of(self, model: str) -> str:
        """Return the title of a model, its name where the study does not have it."""
        return next((entry.label for entry in self.models if entry.name == model), model)


def results_of(findings: StudyFindings) -> Results:
    """Work out what a study found; every finished final is judged by the test labels."""
    return Results(
        **{field.name: getattr(findings, field.name) for field in fields(StudyFacts)},
        models=tuple(_model(findings, model, position) for position, model in enumerate(findings.models)),
        lost=tuple(final for final in findings.finals if final.status != "finished"),
        test_count=len(findings.test_labels),
        images=shown_images(findings),
    )


def _model(findings: StudyFindings, model: ModelFinding, position: int) -> ModelResults:
    arms: list[LevelFinding | Candidate] = [level for factor in model.factors for level in factor.levels]
    arms += model.candidates
    finals = {version: finished(findings, model.name, version) for version in VERSION_TITLES}
    return ModelResults(
        **{field.name: getattr(model, field.name) for field in fields(ModelFinding)},
        position=position,
        block="fold" if max((len(arm.accuracies) for arm in arms), default=0) == findings.folds else "block",
        choices=_choices(model),
        promised_gain=_promised_gain(model),
        undecided=tuple(_undecided(model)),
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
    results = tuple(scores(final.probabilities, labels) for final in finals)
    correct = round(sum(result.accuracy for result in results) / len(results) * len(labels))
    return VersionResults(
        model=model.name,
        title=model.label,
        position=position,
        version=version,
        recipe=model.baseline if version == "baseline" else model.best,
        finals=finals,
        results=results,
        right=np.array([final.probabilities.argmax(axis=1) == labels for final in finals]),
        accuracy_interval=wilson_interval(correct, len(labels)),
        train_accuracy=float(np.mean([_train_accuracy(final) for final in finals])),
        validation_accuracy=float(np.mean([final.validation_accuracy for final in finals])),
    )


def _train_accuracy(final: FinalFinding) -> float:
    """Return the training accuracy of the restored epoch, nan where no history was kept."""
    if final.epochs is None or not len(final.epochs.train_accuracy):
        return float("nan")
    return float(final.epochs.train_accuracy[min(max(final.best_epoch, 1), len(final.epochs.train_accuracy)) - 1])


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
        verdict=_OPPOSITE[found.verdict],
        narrow_low=-found.narrow_high,
        narrow_high=-found.narrow_low,
    )


def _promised_gain(model: ModelFinding) -> float:
    won = [factor.winner for factor in model.factors]
    gains = [level.comparison.difference for level in won if level is not None and level.comparison is not None]
    return float(sum(gains)) if gains and not model.candidates else float("nan")


def _undecided(model: ModelFinding) -> Iterator[Undecided]:
    for factor in model.factors:
        for level in factor.levels:
            if (found := level.comparison) is None or found.verdict != "undecided":
                continue
            more = found.blocks_to_decide - found.blocks if found.blocks_to_decide > found.blocks else None
            pair = [level, *([factor.incumbent] if factor.incumbent else [])]
            seconds = more and more * sum(mean_of_finished(arm.train_seconds) for arm in pair)
            yield Undecided(
                model=model.label, factor=factor.label, level=level.label, comparison=found, more=more, seconds=seconds
            )
