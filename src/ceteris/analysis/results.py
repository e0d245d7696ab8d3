"""The final results on the test set, side by side, and how far they lie from training and validation."""

from dataclasses import dataclass

import numpy as np

from ceteris.analysis.finals import finished, identity, model_titles, versions_present
from ceteris.evaluation import (
    Calibration,
    ClassScores,
    RocCurves,
    accuracy,
    calibration,
    confusion_matrix,
    log_loss,
    precision_recall_f1,
    roc_one_vs_rest,
)
from ceteris.findings import FinalFinding, StudyFindings, Version
from ceteris.records import IntArray
from ceteris.stats import Interval, wilson_interval

METRICS = (
    ("accuracy", "accuracy, %"), ("precision", "macro precision, %"), ("recall", "macro recall, %"),
    ("f1", "macro F1, %"), ("auc", "macro AUC, %"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """What one final training answered on the test set; all scores in 0..1."""

    model: str
    version: Version
    seed: int
    images: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    auc: float
    loss: float
    confusion: IntArray
    scores: ClassScores
    roc: RocCurves
    calibration: Calibration


@dataclass(frozen=True, kw_only=True)
class VersionResults:
    """The mean over the seeds of one version of a model, with the 95 % Wilson interval of its accuracy.

    The interval says how far the accuracy on other images of the same kind may lie; it does not hold the spread over
    seeds, which ``results`` show one by one.
    """

    model: str
    title: str
    position: int
    version: Version
    results: tuple[SeedResult, ...]
    accuracy_interval: Interval
    train_accuracy: float
    validation_accuracy: float

    def mean(self, metric: str) -> float:
        """Return the mean of a score over the seeds."""
        return float(np.mean([getattr(result, metric) for result in self.results]))


@dataclass(frozen=True, kw_only=True)
class ResultsInfo:
    """The summaries of all versions of all models, in the study's order."""

    summaries: tuple[VersionResults, ...]
    images: int
    identity: str

    def of(self, model: str, version: Version = "best") -> VersionResults | None:
        """Return the summary of one version of a model, None when it has no finished final."""
        matches = (summary for summary in self.summaries if (summary.model, summary.version) == (model, version))
        return next(matches, None)


def results_info(findings: StudyFindings) -> ResultsInfo:
    """Evaluate every finished final on the test labels."""
    titles = model_titles(findings)
    summaries = tuple(
        _summary(findings, name, titles[name], position, version)
        for position, name in enumerate(titles)
        for version in versions_present(findings, name)
    )
    return ResultsInfo(summaries=summaries, images=len(findings.test_labels), identity=identity(findings))


def _summary(findings: StudyFindings, name: str, title: str, position: int, version: Version) -> VersionResults:
    finals = finished(findings, name, version)
    results = tuple(_result(final, findings.test_labels) for final in finals)
    images = len(findings.test_labels)
    correct = round(sum(result.accuracy for result in results) / len(results) * images)
    return VersionResults(
        model=name,
        title=title,
        position=position,
        version=version,
        results=results,
        accuracy_interval=wilson_interval(correct, images),
        train_accuracy=float(np.mean([_train_accuracy(final) for final in finals])),
        validation_accuracy=float(np.mean([final.validation_accuracy for final in finals])),
    )


def _train_accuracy(final: FinalFinding) -> float:
    """Return the training accuracy of the restored epoch, nan where no history was kept."""
    if final.epochs is None or not len(final.epochs.train_accuracy):
        return float("nan")
    return float(final.epochs.train_accuracy[min(max(final.best_epoch, 1), len(final.epochs.train_accuracy)) - 1])


def _result(final: FinalFinding, labels: IntArray) -> SeedResult:
    predicted = final.probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, final.probabilities.shape[1])
    scores = precision_recall_f1(confusion)
    roc = roc_one_vs_rest(final.probabilities, labels)
    return SeedResult(
        model=final.model,
        version=final.version,
        seed=final.seed,
        images=len(labels),
        accuracy=accuracy(labels, predicted),
        precision=scores.macro.precision,
        recall=scores.macro.recall,
        f1=scores.macro.f1,
        auc=roc.macro.auc,
        loss=log_loss(final.probabilities, labels),
        confusion=confusion,
        scores=scores,
        roc=roc,
        calibration=calibration(final.probabilities, labels),
    )
