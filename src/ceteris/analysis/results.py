"""The final results on the test set, side by side, and how far they lie from training and validation."""

from dataclasses import dataclass

import numpy as np

from ceteris.analysis.finals import finished, model_titles, versions_present
from ceteris.analysis.metrics import Scores, scores
from ceteris.findings import FinalFinding, StudyFindings, Version
from ceteris.stats import Interval, McNemarResult, mcnemar, wilson_interval

METRICS = (
    ("accuracy", "accuracy, %"), ("precision", "macro precision, %"), ("recall", "macro recall, %"),
    ("f1", "macro F1, %"), ("auc", "macro AUC, %"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VersionResults:
    """The scores of one version of a model for each of its ``seeds``, with the 95 % Wilson interval of its mean accuracy.

    The interval says how far the accuracy on other images of the same kind may lie; it does not hold the spread over
    seeds, which ``results`` show one by one. ``position`` is the model's place in the study.
    """

    model: str
    title: str
    position: int
    version: Version
    seeds: tuple[int, ...]
    results: tuple[Scores, ...]
    accuracy_interval: Interval
    train_accuracy: float
    validation_accuracy: float

    def mean(self, metric: str) -> float:
        """Return the mean of a score over the seeds."""
        return float(np.mean([getattr(result, metric) for result in self.results]))

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, mean over the seeds."""
        return float(np.mean([result.calibration.error for result in self.results]))


@dataclass(frozen=True, kw_only=True)
class ResultsInfo:
    """The summaries of all versions of all models, in the study's order."""

    summaries: tuple[VersionResults, ...]
    images: int

    @property
    def best(self) -> tuple[VersionResults, ...]:
        """The best version of every model that has one."""
        return tuple(summary for summary in self.summaries if summary.version == "best")

    def of(self, model: str, version: Version = "best") -> VersionResults | None:
        """Return the summary of one version of a model, None when it has no finished final."""
        matches = (summary for summary in self.summaries if (summary.model, summary.version) == (model, version))
        return next(matches, None)


def results_info(findings: StudyFindings) -> ResultsInfo:
    """Judge every finished final by the test labels."""
    titles = model_titles(findings)
    summaries = tuple(
        _summary(findings, name, titles[name], position, version)
        for position, name in enumerate(titles)
        for version in versions_present(findings, name)
    )
    return ResultsInfo(summaries=summaries, images=len(findings.test_labels))


def _summary(findings: StudyFindings, name: str, title: str, position: int, version: Version) -> VersionResults:
    finals = finished(findings, name, version)
    results = tuple(scores(final.probabilities, findings.test_labels) for final in finals)
    images = len(findings.test_labels)
    correct = round(sum(result.accuracy for result in results) / len(results) * images)
    return VersionResults(
        model=name,
        title=title,
        position=position,
        version=version,
        seeds=tuple(final.seed for final in finals),
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


def compared_on_test(
    findings: StudyFindings, first: tuple[str, Version], second: tuple[str, Version]
) -> dict[int, McNemarResult]:
    """Compare two versions of models on the same test images, second minus first, at every seed that both have."""
    one, other = ({final.seed: final for final in finished(findings, *pair)} for pair in (first, second))
    right = {
        seed: [final.probabilities.argmax(axis=1) == findings.test_labels for final in (one[seed], other[seed])]
        for seed in sorted(one.keys() & other.keys())
    }
    return {seed: mcnemar(*answers) for seed, answers in right.items()}
