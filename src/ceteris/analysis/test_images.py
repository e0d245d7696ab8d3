"""Which test images a report shows, and what the best models answered to them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ceteris.findings import FinalFinding, StudyFindings, TestImages
from ceteris.records import ByteArray, Float32Array, FloatArray, IntArray
from ceteris.seeds import generator

MISTAKE_BYTES = 3_000_000  # of pixels of the mistakes that are kept for the page, where each can be called up


@dataclass(frozen=True, kw_only=True)
class PredictedImages:
    """Test images (n, channels, h, w), their places (n,), true classes (n,) and what each model said, (models, n)."""

    models: tuple[str, ...]
    indices: IntArray
    images: ByteArray
    labels: IntArray
    predictions: IntArray

    def right(self) -> dict[str, int]:
        """Count how many of the images each model names right."""
        counts = (self.predictions == self.labels[None]).sum(axis=1)
        return {model: int(count) for model, count in zip(self.models, counts, strict=True)}

    def counted(self) -> str:
        """Say how many each model names right."""
        return ", ".join(f"{model} {count} of {len(self.labels)}" for model, count in self.right().items())


@dataclass(frozen=True, kw_only=True)
class ShownImages:
    """The first six test images, ten random ones and those all models miss, with all answers; the mistakes of each model.

    ``kept`` are all pictures that were kept, ``labels`` (images,) the true classes of the whole test set.
    """

    first: PredictedImages
    random: PredictedImages
    missed: PredictedImages
    mistakes: dict[str, PredictedImages]
    kept: TestImages
    labels: IntArray


def shown_images(findings: StudyFindings) -> ShownImages:
    """Collect the test images that a report shows, with the answers of every model's best version at its smallest seed."""
    titles = {model.name: model.label for model in findings.models}
    finals = _first_of_best(findings.finals, tuple(titles))
    labels, stored = findings.test_labels, findings.test_images
    answered = [(titles[name], final) for name, final in finals.items()]
    return ShownImages(
        first=predicted_images(answered, labels, stored, first_test_indices(len(labels))),
        random=predicted_images(answered, labels, stored, random_test_indices(len(labels))),
        missed=predicted_images(answered, labels, stored, missed_by_all(list(finals.values()), labels)),
        mistakes={
            name: predicted_images(
                [(titles[name], final)], labels, stored, most_confident_mistakes(final.probabilities, labels)
            )
            for name, final in finals.items()
        },
        kept=stored,
        labels=labels,
    )


def predicted_images(
    finals: Sequence[tuple[str, FinalFinding]], labels: IntArray, stored: TestImages, indices: IntArray
) -> PredictedImages:
    """Collect what the ``finals``, each with its model's title, answer to the images of ``indices`` whose pictures were kept.

    ``labels`` are the true classes of all test images.
    """
    places = {int(index): position for position, index in enumerate(stored.indices)}
    kept = np.array([index for index in indices if int(index) in places], dtype=np.int64)
    predictions = [final.probabilities[kept].argmax(axis=1) for _, final in finals]
    return PredictedImages(
        models=tuple(title for title, _ in finals),
        indices=kept,
        images=stored.images[[places[int(index)] for index in kept]],
        labels=labels[kept],
        predictions=np.array(predictions, dtype=np.int64).reshape(len(finals), len(kept)),
    )


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


def missed_by_all(finals: Sequence[FinalFinding], labels: IntArray, count: int = 10) -> IntArray:
    """Return up to ``count`` indices of images that none of several finals names right, the most confidently wrong first.

    The classes take turns, so that one hard pair of classes does not fill the sheet.
    """
    if len(finals) < 2:
        return np.zeros(0, np.int64)
    wrong = np.all([final.probabilities.argmax(axis=1) != labels for final in finals], axis=0)
    confidence = np.min([final.probabilities.max(axis=1) for final in finals], axis=0)
    found = np.flatnonzero(wrong)
    found = found[np.argsort(-confidence[found], kind="stable")]
    met: Counter[int] = Counter()
    turns = []
    for label in labels[found].tolist():
        turns.append(met[label])
        met[label] += 1
    return found[np.argsort(turns, kind="stable")][:count].astype(np.int64)


def spread_mistakes(probabilities: Float32Array | FloatArray, labels: IntArray, count: int) -> IntArray:
    """Return the indices (m,) of up to ``count`` misclassified images, taken in turn from all pairs of true and given class.

    The most confident mistake of every pair comes first, the pairs by that confidence; then the second ones, and so on.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1) if wrong.size else np.empty(0)
    wrong = wrong[np.argsort(-confidence, kind="stable")]
    met: Counter[tuple[int, int]] = Counter()
    turns = np.empty(len(wrong), dtype=np.int64)
    for place, pair in enumerate(zip(labels[wrong], probabilities[wrong].argmax(axis=1), strict=True)):
        turns[place] = met[pair]
        met[pair] += 1
    return np.asarray(wrong[np.argsort(turns, kind="stable")][:count], dtype=np.int64)


def images_to_show(
    test_labels: IntArray, finals: Sequence[FinalFinding], image_shape: tuple[int, int, int]
) -> IntArray:
    """Return the indices, sorted, of all test images that a report shows: put these into ``TestImages``.

    Mistakes are kept as far as MISTAKE_BYTES allow for images of ``image_shape``, shared by the best versions evenly.
    """
    count = len(test_labels)
    best = [final for final in finals if final.status == "finished" and final.version == "best"]
    kept = MISTAKE_BYTES // (math.prod(image_shape) * max(1, len(best)))
    wanted = [first_test_indices(count), random_test_indices(count)]
    for final in best:
        wanted += [
            most_confident_mistakes(final.probabilities, test_labels),
            spread_mistakes(final.probabilities, test_labels, kept),
        ]
    first = _first_of_best(finals, tuple(dict.fromkeys(final.model for final in finals)))
    wanted.append(missed_by_all(list(first.values()), test_labels))
    return np.unique(np.concatenate(wanted))


def _first_of_best(finals: Sequence[FinalFinding], models: Sequence[str]) -> dict[str, FinalFinding]:
    """Return the best version of every model at its smallest seed."""
    best = [final for final in finals if final.status == "finished" and final.version == "best"]
    own = {name: [final for final in best if final.model == name] for name in models}
    return {name: min(found, key=lambda final: final.seed) for name, found in own.items() if found}
