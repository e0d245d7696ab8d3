"""Choosing among the final trainings of a study and among the test images that are shown; the line that identifies a figure."""

from collections.abc import Sequence

import numpy as np

from ceteris.findings import FinalFinding, StudyFindings, Version
from ceteris.records import Float32Array, FloatArray, IntArray
from ceteris.seeds import generator

VERSION_TITLES: dict[Version, str] = {"baseline": "baseline", "best": "best", "plain": "best, no shortcuts"}


def shortened(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters, the last one an ellipsis."""
    return text if len(text) <= limit else text[: max(1, limit - 1)].rstrip() + "…"


def identity(findings: StudyFindings) -> str:
    """Return author or group, study and date in one line; it stands on every figure.

    The data set's note (for instance that a set is not the official one) follows where there is one.
    """
    people = " · ".join(part for part in (findings.group, findings.author) if part)
    parts = ((people, 60), (findings.title or findings.name, 70), (findings.date, 20), (findings.data.note, 120))
    return "  ·  ".join(shortened(part, limit) for part, limit in parts if part)


def finished(
    findings: StudyFindings, model: str | None = None, version: Version | None = None
) -> tuple[FinalFinding, ...]:
    """Return the finished finals, of one model or version where named, ordered by seed within the study's order."""
    chosen = (
        final
        for final in findings.finals
        if final.status == "finished" and model in (None, final.model) and version in (None, final.version)
    )
    return tuple(sorted(chosen, key=lambda final: final.seed)) if model and version else tuple(chosen)


def shown(findings: StudyFindings, model: str, version: Version = "best") -> FinalFinding | None:
    """Return the final whose predictions are shown in detail: that of the smallest seed, None when all failed."""
    finals = finished(findings, model, version)
    return finals[0] if finals else None


def model_titles(findings: StudyFindings) -> dict[str, str]:
    """Return the title of every model by its name, in the study's order."""
    return {model.name: model.label for model in findings.models}


def versions_present(findings: StudyFindings, model: str) -> Sequence[Version]:
    """Return the versions of ``model`` that have at least one finished final, in the order baseline, best, plain."""
    return [version for version in VERSION_TITLES if finished(findings, model, version)]


def first_test_indices(count: int) -> IntArray:
    """Return the indices of the first six of ``count`` test images."""
    return np.arange(min(6, count), dtype=np.int64)


def random_test_indices(count: int) -> IntArray:
    """Return the indices of ten random of ``count`` test images, always the same ones, in the order of drawing."""
    return generator(0, 0, "sample").choice(count, size=min(10, count), replace=False).astype(np.int64)


def most_confident_mistakes(probabilities: Float32Array | FloatArray, labels: IntArray, count: int = 10) -> IntArray:
    """Return the indices (m,) of up to ``count`` misclassified images, ordered by true class, then by confidence.

    The most confident mistake of every class comes first; where there are more such classes than ``count`` the most
    confident of them are taken, where there are fewer the next most confident mistakes of any class fill up.
    Probabilities are (n, classes), labels (n,).
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1) if wrong.size else np.empty(0)
    by_confidence = wrong[np.argsort(-confidence, kind="stable")]
    first_of_class = np.zeros(len(by_confidence), dtype=bool)
    first_of_class[np.unique(labels[by_confidence], return_index=True)[1]] = True
    chosen = np.concatenate((by_confidence[first_of_class], by_confidence[~first_of_class]))[:count]
    order = np.lexsort((-probabilities[chosen].max(axis=1), labels[chosen])) if chosen.size else slice(None)
    return chosen[order].astype(np.int64)


def images_to_show(test_labels: IntArray, finals: Sequence[FinalFinding]) -> IntArray:
    """Return the indices, sorted, of all test images that the figures show: put these into ``TestImages``."""
    count = len(test_labels)
    wanted = [first_test_indices(count), random_test_indices(count)]
    wanted += [
        most_confident_mistakes(final.probabilities, test_labels)
        for final in finals
        if final.status == "finished" and final.version == "best"
    ]
    return np.unique(np.concatenate(wanted))
